//! A step that is made when its body is polled for the first time, and only if telemetry is on.
//!
//! Until then its future holds no more than where the step is declared: less to move, nothing to drop, and when a program is
//! compiled no value of its own in each annotated function, whose drop the compiler would have to look into.

use super::step_run::StepRun;
use crate::catalog::StepSpec;
use crate::telemetry;

/// See the module.
pub(super) enum Late {
    /// Not polled yet.
    New(&'static StepSpec),
    /// Telemetry was off at the first poll: nothing will happen.
    Off,
    Step(StepRun),
}

impl Late {
    /// The step, unless telemetry is off.
    #[inline]
    pub(super) fn step(&mut self) -> Option<&mut StepRun> {
        if let Self::New(spec) = *self {
            *self = if telemetry::is_on() { Self::Step(StepRun::new(spec, None)) } else { Self::Off };
        }
        match self {
            Self::Step(run) => (!run.is_off()).then_some(run),
            Self::New(_) | Self::Off => None,
        }
    }
}
