//! What a step tells the metrics, beside its events: the same transitions, at the same moments.
//!
//! A step outside any task is a task of its own. Where somebody listens that task is real, and tells of itself; where nobody
//! does, none is made, and the step tells the metrics of it.

use super::{Kept, Next, StepRun};
use crate::lifecycle::TaskCore;
use crate::metrics::{TaskSeries, Took};
use crate::scope::Scope;
use crate::time::{Moment, Timestamp};

/// What a step has to tell the metrics. Unless it is `Off`, moments are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Metering {
    /// Metrics are off.
    Off,
    /// Of itself.
    Step,
    /// Of itself, and of the task that it is: nobody else is told of that one.
    LoneStep,
}

impl Metering {
    pub(super) const fn is_on(self) -> bool {
        !matches!(self, Self::Off)
    }
}

impl StepRun {
    /// Where the step is counted; `None` when metrics are off.
    #[inline]
    fn metrics(&self) -> Option<&TaskSeries> {
        if !self.metering.is_on() {
            return None;
        }
        match self.scope()? {
            Scope::Task(task, ..) => task.metrics(),
            Scope::Light(core, spec, _) => core.metrics().life_cycle()?.lone_step(spec).map(|metrics| &**metrics),
            Scope::Empty | Scope::Telemetry(_) | Scope::Installed(..) => None,
        }
    }

    /// The task that a lone step is begins.
    #[inline]
    pub(super) fn meter_lone(&self) {
        if let (Metering::LoneStep, Some(metrics)) = (self.metering, self.metrics()) {
            metrics.began();
        }
    }

    /// The body begins, after so long a wait.
    #[inline]
    pub(super) fn meter_start(&mut self, queue_nanos: u64) {
        if let Some(metrics) = self.metrics() {
            self.series = metrics.step_began(self.spec, queue_nanos);
        }
    }

    /// It has begun as a short step, and turned out not to be one.
    pub(super) fn meter_late_start(&mut self) {
        if let Some(metrics) = self.metrics() {
            self.series = metrics.step_waited(self.spec, 0);
        }
    }

    #[inline]
    pub(super) fn meter_completed(&self, end: Moment, nanos: u64) {
        let Some(metrics) = self.metrics() else { return };
        metrics.step_completed(self.series, self.took(end, nanos));
        if self.metering == Metering::LoneStep {
            metrics.completed(self.took(end, self.lone_nanos(end)));
        }
    }

    /// The same for one that began as a short step.
    #[inline]
    pub(super) fn meter_short_completed(&self, task: &TaskCore, end: Timestamp, nanos: u64) {
        if let Some(metrics) = task.metrics() {
            let took = Took { nanos, end_unix_nanos: end.as_unix_nanos(), trace: || task.exemplar() };
            metrics.step_completed(self.series, took);
        }
    }

    pub(super) fn meter_failed(&mut self, end: Moment, nanos: u64, error_type: &str, next: Next) {
        let retried = matches!(next, Next::Again(_));
        if let Some(metrics) = self.metrics() {
            metrics.step_failed(self.spec, error_type, retried, self.took(end, nanos));
            if self.metering == Metering::LoneStep && (!retried || matches!(self.counted, super::Counted::Given)) {
                metrics.failed(self.took(end, self.lone_nanos(end)));
            }
        }
        if self.metering == Metering::LoneStep && retried {
            let asked = self.times.map(|times| times.asked);
            if let Kept::Scope(_, _, rare) = &mut self.kept {
                let begun = &mut rare.get_or_insert_default().begun;
                *begun = begun.or(asked);
            }
        }
    }

    /// It was dropped; `was_running`: inside its body.
    pub(super) fn meter_cancelled(&self, was_running: bool) {
        let Some(metrics) = self.metrics() else { return };
        metrics.step_cancelled(self.spec, was_running);
        if self.metering == Metering::LoneStep {
            metrics.cancelled();
        }
    }

    fn took(&self, end: Moment, nanos: u64) -> Took<impl FnOnce() -> Option<u128>> {
        // A lone step that nobody asked for its task has no trace.
        let trace = || self.task().and_then(|(task, _)| task.exemplar());
        Took { nanos, end_unix_nanos: end.timestamp().as_unix_nanos(), trace }
    }

    /// How long the task that a lone step is has taken.
    fn lone_nanos(&self, end: Moment) -> u64 {
        let begun = self.rare().and_then(|rare| rare.begun).or(self.times.map(|times| times.asked));
        begun.map_or(0, |begun| begun.nanos_until(end))
    }
}
