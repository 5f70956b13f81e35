//! A step that is made when its body is polled for the first time, and only if telemetry is on.
//!
//! Until then its future holds no more than where the step is declared: less to move, nothing to drop, and when a program is
//! compiled no value of its own in each annotated function, whose drop the compiler would have to look into.

use std::mem;

use super::dying::Dying;
use super::step_run::StepRun;
use crate::catalog::StepSpec;

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

    /// The body needs nothing of the step: it has not begun, and perhaps will not.
    #[inline]
    pub(super) fn make_bare(&mut self) {
        // Forgotten, it is not asked what it holds.
        mem::forget(mem::replace(self, Self::Bare));
    }
}
