//! An attempt as an engine names it: which one, and of which step.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// Which attempt of a step is to run, when an engine owns the retries: see
/// [`Handle::handle_attempt`](crate::handler::Handle::handle_attempt).
///
/// An engine that keeps what [`Attempted::Retry`](crate::handler::Attempted::Retry) hands back (it is `Serialize`) and passes
/// it on with the next attempt keeps the attempts together: one `step_id`, one step among the task's `total_steps`, a link from
/// each attempt's span to the one before. That holds as long as the task is the same one in the same process; where a task
/// was resumed in another process, or only a number is known, an attempt is a step of its own with that number.
///
/// ```
/// use tasker_telemetry::handler::StepAttempt;
///
/// assert_eq!(StepAttempt::FIRST, StepAttempt::new(1));
/// assert_eq!(StepAttempt::new(3).attempt_number(), 3);
/// assert_eq!(StepAttempt::new(0), StepAttempt::FIRST); // attempts are counted from 1
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StepAttempt {
    attempt_number: NonZeroU32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<GivenStep>,
}

/// One step of one task of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct GivenStep {
    /// The task's.
    pub(super) nonce: u64,
    /// The step's number in the task.
    pub(super) number: u32,
}

impl StepAttempt {
    /// The first attempt of a step.
    pub const FIRST: Self = Self { attempt_number: NonZeroU32::MIN, step: None };

    /// The attempt of that number, from 1; of a number alone it is not known which step's it is.
    #[must_use]
    pub const fn new(attempt_number: u32) -> Self {
        Self::of(attempt_number, None)
    }

    pub(super) const fn of(attempt_number: u32, step: Option<GivenStep>) -> Self {
        let attempt_number = match NonZeroU32::new(attempt_number) {
            Some(number) => number,
            None => NonZeroU32::MIN,
        };
        Self { attempt_number, step }
    }

    /// From 1.
    #[must_use]
    pub const fn attempt_number(self) -> u32 {
        self.attempt_number.get()
    }

    pub(super) const fn step(self) -> Option<GivenStep> {
        self.step
    }
}
