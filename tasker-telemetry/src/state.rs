//! The state machine of tasks and steps: which transitions are legal, and the one event that each of them is.
//!
//! Every driver goes through [`transition`]: it is the only place that decides "this happened". It holds no state itself
//! and publishes nothing; `lifecycle` does that with its answer.

use std::fmt;

use crate::event::EventKind;

/// The state of a task or of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Created, or waiting to run again.
    Pending,
    /// Its body runs.
    InProgress,
    /// Ended well.
    Complete,
    /// Ended with an error or a panic.
    Error,
    /// Dropped or cancelled.
    Cancelled,
    /// Closed by an operator.
    ResolvedManually,
}

impl State {
    /// All states, in the order of the contract.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::InProgress, Self::Complete, Self::Error, Self::Cancelled, Self::ResolvedManually];

    /// The state's name as it stands in events and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Complete => "complete",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::ResolvedManually => "resolved_manually",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What goes through the states: a task or a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entity {
    /// One run of a workflow.
    Task,
    /// One unit of work in a task.
    Step,
}

/// A transition that the state machine does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {} cannot go from {from} to {to}", match entity { Entity::Task => "task", Entity::Step => "step" })]
pub struct IllegalTransition {
    /// What was asked to change.
    pub entity: Entity,
    /// The state it was in.
    pub from: State,
    /// The state it was asked to take.
    pub to: State,
}

/// The event that the transition is.
///
/// # Errors
/// [`IllegalTransition`] for every pair that is not in the table, a state to itself included: nothing happened then, and
/// there is no event.
///
/// ```
/// use tasker_telemetry::state::{transition, Entity, State};
/// let event = transition(Entity::Task, State::InProgress, State::Complete).unwrap();
/// assert_eq!(event.name(), "task.completed");
/// assert!(transition(Entity::Task, State::Complete, State::InProgress).is_err());
/// ```
pub const fn transition(entity: Entity, from: State, to: State) -> Result<EventKind, IllegalTransition> {
    use State::{Cancelled, Complete, Error, InProgress, Pending, ResolvedManually};
    let event = match (entity, from, to) {
        (Entity::Task, Pending, InProgress) => EventKind::TaskStartRequested,
        (Entity::Task, InProgress, Complete) => EventKind::TaskCompleted,
        (Entity::Task, Pending | InProgress, Error) => EventKind::TaskFailed,
        (Entity::Task, Error | InProgress, Pending) => EventKind::TaskRetryRequested,
        // An operator may undo a finished task; the system that ours succeeds allowed it, and so do we.
        (Entity::Task, Pending | InProgress | Complete | ResolvedManually, Cancelled) => EventKind::TaskCancelled,
        (Entity::Task, Error, ResolvedManually) => EventKind::TaskResolvedManually,

        (Entity::Step, Pending, InProgress) => EventKind::StepStarted,
        (Entity::Step, InProgress, Complete) => EventKind::StepCompleted,
        (Entity::Step, Pending | InProgress, Error) => EventKind::StepFailed,
        (Entity::Step, Error, Pending) => EventKind::StepRetryRequested,
        (Entity::Step, Pending | InProgress, Cancelled) => EventKind::StepCancelled,
        (Entity::Step, Pending | Error, ResolvedManually) => EventKind::StepResolvedManually,
        _ => return Err(IllegalTransition { entity, from, to }),
    };
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entity: Entity) -> String {
        let mut rows = Vec::new();
        for from in State::ALL {
            for to in State::ALL {
                if let Ok(event) = transition(entity, from, to) {
                    rows.push(format!("{from} -> {to}: {}\n", event.name()));
                }
            }
        }
        rows.concat()
    }

    #[test]
    fn the_legal_transitions_of_a_task() {
        assert_eq!(
            table(Entity::Task),
            "pending -> in_progress: task.start_requested\n\
             pending -> error: task.failed\n\
             pending -> cancelled: task.cancelled\n\
             in_progress -> pending: task.retry_requested\n\
             in_progress -> complete: task.completed\n\
             in_progress -> error: task.failed\n\
             in_progress -> cancelled: task.cancelled\n\
             complete -> cancelled: task.cancelled\n\
             error -> pending: task.retry_requested\n\
             error -> resolved_manually: task.resolved_manually\n\
             resolved_manually -> cancelled: task.cancelled\n"
        );
    }

    #[test]
    fn the_legal_transitions_of_a_step() {
        assert_eq!(
            table(Entity::Step),
            "pending -> in_progress: step.started\n\
             pending -> error: step.failed\n\
             pending -> cancelled: step.cancelled\n\
             pending -> resolved_manually: step.resolved_manually\n\
             in_progress -> complete: step.completed\n\
             in_progress -> error: step.failed\n\
             in_progress -> cancelled: step.cancelled\n\
             error -> pending: step.retry_requested\n\
             error -> resolved_manually: step.resolved_manually\n"
        );
    }

    #[test]
    fn an_illegal_transition_names_itself() {
        let error = transition(Entity::Step, State::Complete, State::Cancelled).unwrap_err();
        assert_eq!(error.to_string(), "a step cannot go from complete to cancelled");
    }
}
