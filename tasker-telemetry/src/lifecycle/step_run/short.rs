//! The way of most steps: it begins at once, in the scope around it, and ends well in its first poll. What it has to remember
//! lies on the stack of that poll; what turns out otherwise becomes a [`StepRun`] like all others.

use std::sync::Arc;

use super::meter::Metering;
use super::{Outside, Phase, StepRun, Times};
use crate::event::EventKind;
use crate::lifecycle::TaskCore;
use crate::log_span::LogSpan;
use crate::metrics::Took;
use crate::otel::{Attached, Spot};
use crate::publisher::{Fact, StepPlace};
use crate::scope::{Begun, Lent};
use crate::state::State;
use crate::time::Moment;
use crate::trace::SpanId;

/// What is to be remembered of a step on that way that was told of.
pub(in crate::lifecycle) struct Short {
    started: Moment,
    /// Where its series are.
    series: u32,
    spot: Spot,
}

impl StepRun {
    /// Begins in the scope around it, if it can. Its body is next; unless a word comes otherwise
    /// ([`keep_quiet`](Self::keep_quiet), [`keep`](Self::keep)), it is over then. `short` is set if the step was told of.
    #[inline]
    pub(in crate::lifecycle) fn begin_short(
        &mut self,
        polls: bool,
        lent: &mut Lent,
        short: &mut Option<Short>,
    ) -> Begun {
        let begun = lent.begin(self.spec, polls, |task, around| self.tell_short(task, around, short));
        if begun != Begun::No {
            self.phase = Phase::Over;
        }
        begun
    }

    /// The first poll of a step that nobody is told of has ended before its body did.
    #[cold]
    pub(in crate::lifecycle) fn keep_quiet(&mut self, lent: &mut Lent) {
        self.set_scope(lent.keep());
        self.phase = Phase::Running;
    }

    /// The same for one that was told of; or its body failed or panicked.
    #[cold]
    pub(in crate::lifecycle) fn keep(&mut self, lent: &mut Lent, short: &mut Option<Short>) {
        self.set_scope(lent.keep());
        let Some(Short { started, series, spot }) = short.take() else { return };
        let Some((task, _)) = self.task() else { return };
        let (watched, is_metered) = (task.is_watched(), task.metrics().is_some());
        self.watched = watched;
        self.metering = if is_metered { Metering::Step } else { Metering::Off };
        self.times = Some(Times { asked: started, started });
        self.series = series;
        self.set_outside(spot.is_there().then(|| Outside { spot, log: LogSpan::none() }));
        self.state = State::InProgress;
        self.phase = Phase::Running;
    }

    /// A step asks to run in that task, and begins. Not with values of its own, and not where logs want a span of it.
    #[inline(never)]
    fn tell_short(
        &self,
        task: &Arc<TaskCore>,
        around: Option<&StepPlace>,
        short: &mut Option<Short>,
    ) -> Option<StepPlace> {
        if !self.is_plain() || LogSpan::is_wanted(task) {
            return None;
        }
        let started = Moment::now();
        let mut place = StepPlace::of(self.spec, task);
        let mut spot = Spot::none();
        if let Some(trace) = task.trace().filter(|trace| trace.is_recorded()) {
            let span_of = |place: &StepPlace| SpanId::of_step(task.nonce(), place.number, place.attempt);
            let current;
            (spot, current) = Spot::of_step_inside(trace, span_of(&place));
            place.parent = trace.parent_among(current.or_else(|| around.map(span_of)));
        }
        let at = started.timestamp();
        if task.wants_begun() {
            task.emit_begun(at, place, None);
        } else {
            task.emit(EventKind::StepExecutionRequested, at, Some(place), || Fact::Bare);
            task.emit_started(at, place);
        }
        let series = task.metrics().map_or(u32::MAX, |metrics| metrics.step_began(self.spec, 0));
        *short = Some(Short { started, series, spot });
        Some(place)
    }
}

impl Short {
    /// While the answer lives, other libraries see the step.
    #[inline]
    pub(in crate::lifecycle) fn attach(&self) -> Attached {
        self.spot.attach()
    }

    /// It ended well.
    #[inline(never)]
    pub(in crate::lifecycle) fn complete(&self, lent: &mut Lent) {
        let end = self.started.later();
        let nanos = self.started.nanos_until(end);
        lent.end(|task, place| {
            task.step_completed();
            task.emit_completed(end.timestamp(), *place, nanos);
            if let Some(metrics) = task.metrics() {
                let end_unix_nanos = end.timestamp().as_unix_nanos();
                metrics.step_completed(self.series, Took { nanos, end_unix_nanos, trace: || task.exemplar() });
            }
        });
    }
}
