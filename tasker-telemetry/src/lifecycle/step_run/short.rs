//! The way of most steps: it begins at once, in the scope around it, and ends well in its first poll. What it has to remember
//! lies on the stack of that poll; what turns out otherwise becomes a [`StepRun`] like all others.

use std::mem;
use std::sync::Arc;

use super::meter::Metering;
use super::{Kept, NOT_OPENED, Outside, Phase, StepRun, Times};
use crate::catalog::StepSpec;
use crate::event::EventKind;
use crate::lifecycle::TaskCore;
use crate::log_span::LogSpan;
use crate::metrics::Took;
use crate::otel::{Attached, Spot};
use crate::publisher::{Fact, Lanes, StepPlace};
use crate::scope::{self, Begun, Lent, Scope};
use crate::state::State;
use crate::time::Moment;
use crate::trace::SpanId;

/// What is to be remembered of a step on that way that was told of.
pub(in crate::lifecycle) struct Short {
    started: Moment,
    /// The number of the first event that its beginning was told by.
    opened: u32,
    /// Other libraries see the step, until its first poll ends.
    attached: Attached,
}

impl StepRun {
    /// A step that has just been made becomes one of which nobody is told, after its first poll. (It is made where it stays: moved
    /// there, it costs 30 instructions each time.)
    pub(in crate::lifecycle) fn become_quiet(&mut self, lent: &mut Lent) {
        self.set_scope(lent.keep());
        self.phase = Phase::Running;
    }

    /// The same for one that was told of; or its body failed or panicked in that poll.
    pub(in crate::lifecycle) fn become_told(&mut self, lent: &mut Lent, short: &mut Option<Short>) {
        self.become_quiet(lent);
        let Some(Short { started, opened, mut attached }) = short.take() else { return };
        if let Kept::Scope(Scope::Task(task, Some(place), _), outside, _) = &mut self.kept {
            self.watched = task.is_watched();
            self.metering = if task.metrics().is_some() { Metering::Step } else { Metering::Off };
            let span = || SpanId::of_step(task.nonce(), place.number, place.attempt);
            let spot = task.trace().map(|trace| attached.take_back(trace, span()));
            if let Some(spot) = spot.filter(Spot::is_there) {
                // There is nothing in it: forgotten, it is not asked what it holds.
                mem::forget(outside.replace(Outside { spot, log: LogSpan::none() }));
            }
        }
        self.times = Some(Times { asked: started, started });
        self.opened = opened;
        self.meter_late_start();
        self.state = State::InProgress;
    }

    /// One that failed or panicked in its first poll, or call.
    #[cold]
    pub(in crate::lifecycle) fn told(spec: &'static StepSpec, lent: &mut Lent, short: &mut Option<Short>) -> Self {
        let mut run = Self::new(spec, None);
        run.become_told(lent, short);
        run
    }

    /// A step that began as a short one ends well, after further polls. `false`: it did not, and nothing has happened.
    pub(super) fn short_completed(&mut self) -> bool {
        let opened = self.opened;
        let (Some(Times { started, .. }), Some((task, place))) = (self.times, self.task()) else { return false };
        if opened == NOT_OPENED {
            return false;
        }
        let nanos = started.nanos_since();
        let end = started.timestamp().after(nanos);
        task.step_completed();
        let step = place.short(started.timestamp(), opened);
        if scope::with_lanes(|lanes| task.emit_short_end(lanes, step, nanos)).is_none() {
            let fact = || Fact::Completed { nanos, queue_nanos: 0, inputs: None };
            task.emit(EventKind::StepCompleted, end, Some(place), fact); // the thread is being torn down
        }
        self.meter_short_completed(task, end, nanos);
        self.state = State::Complete;
        true
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
        lent.begin(spec, polls, |task, place, lanes| Self::tell(spec, task, place, lanes, short))
    }

    /// A step asks to run in that task, and begins: its place takes that of the one around. Not where logs want a span of it.
    #[inline(never)]
    fn tell(
        spec: &'static StepSpec,
        task: &Arc<TaskCore>,
        place: &mut Option<StepPlace>,
        lanes: &mut Lanes,
        short: &mut Option<Self>,
    ) -> bool {
        if LogSpan::is_wanted(task) {
            return false;
        }
        let started = Moment::now();
        let (number, opened) = task.open();
        let mut inner = StepPlace { spec, number, attempt: 1, parent: 0 };
        let mut attached = Attached::NOTHING;
        if let Some(trace) = task.trace().filter(|trace| trace.is_recorded()) {
            let span_of = |place: &StepPlace| SpanId::of_step(task.nonce(), place.number, place.attempt);
            let current;
            (attached, current) = Attached::of_new_step(trace, span_of(&inner));
            inner.parent = trace.parent_among(current.or_else(|| place.as_ref().map(span_of)));
        }
        task.emit_opening(lanes, inner.short(started.timestamp(), opened));
        if let Some(metrics) = task.metrics() {
            metrics.short_step_began();
        }
        *place = Some(inner);
        put(short, Self { started, opened, attached });
        true
    }

    /// Its body is over: other libraries see what they saw before.
    #[inline]
    pub(in crate::lifecycle) fn leave(short: &mut Option<Self>) {
        if let Some(short) = short {
            short.attached.detach();
        }
    }

    /// It ended well.
    #[inline(never)]
    pub(in crate::lifecycle) fn complete(&self, lent: &mut Lent) {
        let nanos = self.started.nanos_since();
        lent.end_told(|task, place, lanes| {
            task.step_completed();
            let end = self.started.timestamp().after(nanos);
            task.emit_short_end(lanes, place.short(self.started.timestamp(), self.opened), nanos);
            if let Some(metrics) = task.metrics() {
                let took = Took { nanos, end_unix_nanos: end.as_unix_nanos(), trace: || task.exemplar() };
                metrics.short_step_completed(place.spec, took);
            }
        });
    }
}

/// Puts it where there is none: forgotten, what is there is not asked what it holds.
#[inline]
#[allow(clippy::forget_non_drop, reason = "without the feature `otel` it never holds what has to be dropped")]
fn put(short: &mut Option<Short>, new: Short) {
    mem::forget(short.replace(new));
}
