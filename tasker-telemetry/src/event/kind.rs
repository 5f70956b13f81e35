//! The system events by number: what the hot path compares and what an interest mask has a bit for.

use std::fmt;

use serde::{Serialize, Serializer};

/// The kinds of event that the library itself knows; every event of a user is [`Custom`](Self::Custom).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the name of each variant is the name of the event, explained where its payload is")]
pub enum EventKind {
    TaskInitializeRequested,
    TaskStartRequested,
    TaskCompleted,
    TaskFailed,
    TaskRetryRequested,
    TaskCancelled,
    TaskResolvedManually,
    StepExecutionRequested,
    StepStarted,
    StepCompleted,
    StepFailed,
    StepRetryRequested,
    StepMaxRetriesReached,
    StepCancelled,
    StepResolvedManually,
    WorkflowTaskStarted,
    WorkflowTaskCompleted,
    WorkflowViableStepsDiscovered,
    WorkflowNoViableSteps,
    WorkflowStepCompleted,
    ObservabilityTaskEnqueue,
    ObservabilityTaskStart,
    ObservabilityStepProcessing,
    ObservabilityStepBackoff,
    Custom,
}

impl EventKind {
    /// Every kind, `Custom` last.
    pub const ALL: [Self; 25] = [
        Self::TaskInitializeRequested,
        Self::TaskStartRequested,
        Self::TaskCompleted,
        Self::TaskFailed,
        Self::TaskRetryRequested,
        Self::TaskCancelled,
        Self::TaskResolvedManually,
        Self::StepExecutionRequested,
        Self::StepStarted,
        Self::StepCompleted,
        Self::StepFailed,
        Self::StepRetryRequested,
        Self::StepMaxRetriesReached,
        Self::StepCancelled,
        Self::StepResolvedManually,
        Self::WorkflowTaskStarted,
        Self::WorkflowTaskCompleted,
        Self::WorkflowViableStepsDiscovered,
        Self::WorkflowNoViableSteps,
        Self::WorkflowStepCompleted,
        Self::ObservabilityTaskEnqueue,
        Self::ObservabilityTaskStart,
        Self::ObservabilityStepProcessing,
        Self::ObservabilityStepBackoff,
        Self::Custom,
    ];

    /// The event's name; `custom` for [`Custom`](Self::Custom).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TaskInitializeRequested => "task.initialize_requested",
            Self::TaskStartRequested => "task.start_requested",
            Self::TaskCompleted => "task.completed",
            Self::TaskFailed => "task.failed",
            Self::TaskRetryRequested => "task.retry_requested",
            Self::TaskCancelled => "task.cancelled",
            Self::TaskResolvedManually => "task.resolved_manually",
            Self::StepExecutionRequested => "step.execution_requested",
            Self::StepStarted => "step.started",
            Self::StepCompleted => "step.completed",
            Self::StepFailed => "step.failed",
            Self::StepRetryRequested => "step.retry_requested",
            Self::StepMaxRetriesReached => "step.max_retries_reached",
            Self::StepCancelled => "step.cancelled",
            Self::StepResolvedManually => "step.resolved_manually",
            Self::WorkflowTaskStarted => "workflow.task_started",
            Self::WorkflowTaskCompleted => "workflow.task_completed",
            Self::WorkflowViableStepsDiscovered => "workflow.viable_steps_discovered",
            Self::WorkflowNoViableSteps => "workflow.no_viable_steps",
            Self::WorkflowStepCompleted => "workflow.step_completed",
            Self::ObservabilityTaskEnqueue => "observability.task.enqueue",
            Self::ObservabilityTaskStart => "observability.task.start",
            Self::ObservabilityStepProcessing => "observability.step.processing",
            Self::ObservabilityStepBackoff => "observability.step.backoff",
            Self::Custom => "custom",
        }
    }

    /// The kind of the system event of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name && *kind != Self::Custom)
    }

    /// This kind's bit in an interest mask.
    pub(crate) const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// What an event is about: the first segment of its name, or `custom` for every event of the user's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// `task.*`
    Task,
    /// `step.*`
    Step,
    /// `workflow.*`
    Workflow,
    /// `observability.*`
    Observability,
    /// Any other namespace.
    Custom,
}

impl Category {
    /// All categories, in the order in which they are listed.
    pub const ALL: [Self; 5] = [Self::Task, Self::Step, Self::Workflow, Self::Observability, Self::Custom];

    /// The category of the event of that name.
    #[must_use]
    pub fn of(event: &str) -> Self {
        match event.split('.').next() {
            Some("task") => Self::Task,
            Some("step") => Self::Step,
            Some("workflow") => Self::Workflow,
            Some("observability") => Self::Observability,
            _ => Self::Custom,
        }
    }

    /// The category's name: `task`, `step`, `workflow`, `observability` or `custom`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Step => "step",
            Self::Workflow => "workflow",
            Self::Observability => "observability",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Category {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl PartialEq<&str> for Category {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<str> for Category {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_number() {
        for (number, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
            if kind != EventKind::Custom {
                assert_eq!(EventKind::of_name(kind.name()), Some(kind));
            }
        }
        assert_eq!(EventKind::of_name("custom"), None);
    }
}
