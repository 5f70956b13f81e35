//! A step that is made when its body is polled for the first time, and only if telemetry is on.
//!
//! Until then its future holds no more than where the step is declared: less to move, nothing to drop, and when a program is
//! compiled no value of its own in each annotated function, whose drop the compiler would have to look into.

use super::dying::Dying;
use super::step_run::StepRun;
use crate::catalog::StepSpec;
use crate::telemetry;

/// See the module.
pub(super) enum Late {
    /// Not polled yet.
    New(&'static StepSpec),
    /// The body runs without us: telemetry was off at the first poll; or the step is over, and never was more than that poll.
    Bare,
    Step(StepRun),
}

impl Late {
    /// A step that was nothing more goes on after its first poll: `become_it` makes it what it is. `dying` stands behind the body.
    #[inline]
    pub(super) fn go_on(&mut self, spec: &'static StepSpec, dying: &mut Dying, become_it: impl FnOnce(&mut StepRun)) {
        *self = Self::Step(StepRun::new(spec, None));
        if let Self::Step(run) = self {
            dying.follows(run, true);
            become_it(run);
        }
    }

    /// Whether the body runs without us, now or for good.
    #[inline]
    pub(super) fn is_bare(&mut self) -> bool {
        match self {
            Self::New(_) => {
                let is_on = telemetry::is_on();
                if !is_on {
                    *self = Self::Bare;
                }
                !is_on
            }
            Self::Bare => true,
            Self::Step(run) => run.is_off(),
        }
    }
}
