//! What a publishing thread hands over: the bare facts of one event, small and cheap to copy.
//!
//! Texts, ids and typed structs are made of it on the subscribers' side (`build.rs`), by whoever needs them.

use std::sync::Arc;

use crate::catalog::{EventSpec, StepSpec};
use crate::event::{EventKind, Payload};
use crate::failure::Failure;
use crate::lifecycle::TaskCore;
use crate::time::Timestamp;
use crate::value::Value;

/// One event, not yet written out.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) kind: EventKind,
    /// The event's number in its task: its identity is made of it.
    pub(crate) sequence: u32,
    pub(crate) at: Timestamp,
    /// `None` for an event published outside any task; its identity then is `sequence` under `stray`.
    pub(crate) task: Option<Arc<TaskCore>>,
    pub(crate) step: Option<StepPlace>,
    pub(crate) fact: Fact,
}

/// Which attempt of which step.
#[derive(Clone, Copy)]
pub(crate) struct StepPlace {
    pub(crate) spec: &'static StepSpec,
    /// The step's number in its task, from 0.
    pub(crate) number: u32,
    /// From 1.
    pub(crate) attempt: u32,
}

/// What an event says beyond who and when.
#[derive(Clone)]
pub(crate) enum Fact {
    /// Nothing more, or what the task itself holds.
    Bare,
    /// `step.execution_requested`
    Inputs(Arc<[Value]>),
    /// `step.started`
    Started { queue_nanos: u64 },
    /// `step.completed`
    Completed { started_at: Timestamp, nanos: u64 },
    /// `step.failed`
    Failed { started_at: Timestamp, nanos: u64, failure: Arc<Failure> },
    /// `step.retry_requested` and `observability.step.backoff`
    Wait { wait_nanos: u64, strategy: &'static str, failure: Arc<Failure> },
    /// `observability.step.processing`
    Processing { nanos: u64, queue_nanos: u64 },
    /// `step.max_retries_reached`
    Exhausted(Arc<Failure>),
    /// `*.cancelled`
    Reason(&'static str),
    /// `task.completed` and `task.failed`
    TaskEnded(Arc<TaskEnd>),
    /// Every event that user code published.
    Published(Arc<Published>),
}

/// How a task ended.
pub(crate) struct TaskEnd {
    pub(crate) started_at: Timestamp,
    pub(crate) nanos: u64,
    pub(crate) total_steps: u64,
    pub(crate) completed_steps: u64,
    pub(crate) failed_steps: u64,
    pub(crate) failure: Option<Arc<Failure>>,
}

/// An event of user code. For a system event of a driver the payload is stamped when the event is built.
pub(crate) struct Published {
    pub(crate) spec: &'static EventSpec,
    pub(crate) payload: Payload,
}

impl Record {
    /// The event's name.
    pub(crate) fn name(&self) -> &'static str {
        match &self.fact {
            Fact::Published(published) => published.spec.name,
            _ => self.kind.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_stays_small() {
        assert!(size_of::<Record>() <= 80, "{} bytes", size_of::<Record>());
    }
}
