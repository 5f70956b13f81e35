//! Events of an engine that orchestrates steps; published by who writes a driver.

#[allow(clippy::wildcard_imports, reason = "what the macro needs")]
use super::*;

system_event! {
    /// An engine began to orchestrate a task.
    TaskStarted, WorkflowTaskStarted, task, by_hand {
        /// How many steps it will run.
        total_steps: u64,
    }
}
system_event! {
    /// An engine ended a task.
    TaskCompleted, WorkflowTaskCompleted, task, by_hand {
        /// How long it took, in seconds.
        total_duration: f64,
        /// Completed steps over all steps, from 0 to 1.
        success_rate: f64,
    }
}
system_event! {
    /// An engine found steps that can run.
    ViableStepsDiscovered, WorkflowViableStepsDiscovered, task, by_hand {
        /// Their ids.
        step_ids: Vec<String>,
        /// How many they are.
        step_count: u64,
        /// `concurrent` or `sequential`.
        processing_mode: String,
    }
}
system_event! {
    /// An engine found no step that can run.
    NoViableSteps, WorkflowNoViableSteps, task, by_hand {
        /// Why.
        reason: String,
    }
}
system_event! {
    /// An engine saw a step end.
    StepCompleted, WorkflowStepCompleted, task, by_hand {
        /// The step's identity.
        step_id: String,
        /// How many steps are left.
        remaining_steps: u64,
    }
}
