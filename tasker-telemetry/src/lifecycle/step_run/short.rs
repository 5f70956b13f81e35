//! The way of most steps: it begins at once, in the scope around it, and ends well in its first poll. What it has to remember
//! lies on the stack of that poll; what turns out otherwise becomes a [`StepRun`] like all others.

use std::sync::Arc;

use super::meter::Metering;
use super::{Outside, Phase, StepRun, Times};
use crate::catalog::StepSpec;
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
    /// A step of which nobody is told, after its first poll.
    #[cold]
    pub(in crate::lifecycle) fn quiet(spec: &'static StepSpec, lent: &mut Lent) -> Self {
        let mut run = Self::new(spec, None);
        run.set_scope(lent.keep());
        run.phase = Phase::Running;
        run
    }

    /// One that was told of; or its body failed or panicked in that poll.
    #[cold]
    pub(in crate::lifecycle) fn told(spec: &'static StepSpec, lent: &mut Lent, short: &mut Option<Short>) -> Self {
        let mut run = Self::quiet(spec, lent);
        let Some(Short { started, series, spot }) = short.take() else { return run };
        if let Some((task, _)) = run.task() {
            let (watched, is_metered) = (task.is_watched(), task.metrics().is_some());
            run.watched = watched;
            run.metering = if is_metered { Metering::Step } else { Metering::Off };
        }
        run.times = Some(Times { asked: started, started });
        run.series = series;
        run.set_outside(spot.is_there().then(|| Outside { spot, log: LogSpan::none() }));
        run.state = State::InProgress;
        run
    }
}

impl Short {
    /// A step begins in the scope around it, if it can. Its body is next; unless it is made a [`StepRun`] after that, it is over
    /// then. `short` is set if the step was told of.
    #[inline]
    pub(in crate::lifecycle) fn begin(
        spec: &'static StepSpec,
        polls: bool,
        lent: &mut Lent,
        short: &mut Option<Self>,
    ) -> Begun {
        lent.begin(spec, polls, |task, around| Self::tell(spec, task, around, short))
    }

    /// A step asks to run in that task, and begins. Not where logs want a span of it.
    #[inline(never)]
    fn tell(
        spec: &'static StepSpec,
        task: &Arc<TaskCore>,
        around: Option<&StepPlace>,
        short: &mut Option<Self>,
    ) -> Option<StepPlace> {
        if LogSpan::is_wanted(task) {
            return None;
        }
        let started = Moment::now();
        let mut place = StepPlace::of(spec, task);
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
        let series = task.metrics().map_or(u32::MAX, |metrics| metrics.step_began(spec, 0));
        *short = Some(Self { started, series, spot });
        Some(place)
    }

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
