//! What may go wrong, and what follows.

use std::time::Duration;

use apalis_core::error::BoxDynError;

/// How an attempt of a node failed, and what its steps said about another one. The engine shows the error it was made of.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct AttemptError {
    #[source]
    pub(crate) source: BoxDynError,
    pub(crate) then: Then,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Another attempt, after that wait: a step said so.
    Again(Duration),
    /// The engine failed, not a step: it is asked again a few times.
    Engine,
    /// Nothing: the task has ended, or will never.
    End,
}

impl AttemptError {
    /// How long the step that failed wants to wait for its next attempt; `None` if that was the last one, or no step failed.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.then {
            Then::Again(wait) => Some(wait),
            Then::Engine | Then::End => None,
        }
    }
}

/// Why a task was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The arguments could not be written down.
    #[error("the arguments of the task cannot be encoded: {0}")]
    Arguments(#[source] BoxDynError),
    /// The backend did not take the task.
    #[error("the task could not be enqueued: {0}")]
    Backend(#[source] BoxDynError),
}
