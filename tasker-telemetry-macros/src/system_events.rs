//! The library's own events, as the macros know them: names to check against, and the type of each payload.
//!
//! A second list on purpose: a macro runs before there is any program that it could ask. The types are checked by every
//! program that subscribes, the names by the runtime crate's tests.

/// One of the library's own events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SystemEvent {
    /// `task.failed`
    pub(crate) name: &'static str,
    /// The module of its payload in `event`: the first segment of the name.
    pub(crate) module: &'static str,
    /// The type of its payload: the rest of the name in camel case.
    pub(crate) payload: &'static str,
}

/// The first segments that no user's event may have.
pub(crate) const RESERVED: [&str; 5] = ["task", "step", "workflow", "observability", "test"];

/// Every event of the library.
pub(crate) const SYSTEM_EVENTS: [SystemEvent; 24] = [
    event("task.initialize_requested", "task", "InitializeRequested"),
    event("task.start_requested", "task", "StartRequested"),
    event("task.completed", "task", "Completed"),
    event("task.failed", "task", "Failed"),
    event("task.retry_requested", "task", "RetryRequested"),
    event("task.cancelled", "task", "Cancelled"),
    event("task.resolved_manually", "task", "ResolvedManually"),
    event("step.execution_requested", "step", "ExecutionRequested"),
    event("step.started", "step", "Started"),
    event("step.completed", "step", "Completed"),
    event("step.failed", "step", "Failed"),
    event("step.retry_requested", "step", "RetryRequested"),
    event("step.max_retries_reached", "step", "MaxRetriesReached"),
    event("step.cancelled", "step", "Cancelled"),
    event("step.resolved_manually", "step", "ResolvedManually"),
    event("workflow.task_started", "workflow", "TaskStarted"),
    event("workflow.task_completed", "workflow", "TaskCompleted"),
    event("workflow.viable_steps_discovered", "workflow", "ViableStepsDiscovered"),
    event("workflow.no_viable_steps", "workflow", "NoViableSteps"),
    event("workflow.step_completed", "workflow", "StepCompleted"),
    event("observability.task.enqueue", "observability", "TaskEnqueue"),
    event("observability.task.start", "observability", "TaskStart"),
    event("observability.step.processing", "observability", "StepProcessing"),
    event("observability.step.backoff", "observability", "StepBackoff"),
];

const fn event(name: &'static str, module: &'static str, payload: &'static str) -> SystemEvent {
    SystemEvent { name, module, payload }
}

/// The library's event of that name.
pub(crate) fn find(name: &str) -> Option<&'static SystemEvent> {
    SYSTEM_EVENTS.iter().find(|event| event.name == name)
}

/// The names of the library's events that stand under `namespace`.
pub(crate) fn under(namespace: &str) -> impl Iterator<Item = &'static str> {
    let prefix = format!("{namespace}.");
    SYSTEM_EVENTS.iter().map(|event| event.name).filter(move |name| name.starts_with(&prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snake_case::snake_case;

    #[test]
    fn module_and_payload_follow_from_the_name() {
        for event in &SYSTEM_EVENTS {
            let payload = event.name[event.module.len() + 1..].replace('.', "_");
            assert_eq!(snake_case(event.payload), payload);
            assert!(event.name.starts_with(event.module));
            assert!(RESERVED.contains(&event.module));
        }
    }

    #[test]
    fn names_are_found() {
        assert_eq!(find("step.started").map(|event| event.payload), Some("Started"));
        assert_eq!(find("step.stopped"), None);
        assert_eq!(under("observability.task").count(), 2);
        assert_eq!(under("test").count(), 0);
    }
}
