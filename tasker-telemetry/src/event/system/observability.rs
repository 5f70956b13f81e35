//! Measurements along the way; published by who writes a driver, `step.backoff` also by the embedded one.

#[allow(clippy::wildcard_imports, reason = "what the macro needs")]
use super::*;

system_event! {
    /// A task was put into a queue.
    TaskEnqueue, ObservabilityTaskEnqueue, task, by_hand {
        /// The queue.
        queue_name: String,
        /// When.
        enqueued_at: Timestamp,
    }
}
system_event! {
    /// A worker picked a task up.
    TaskStart, ObservabilityTaskStart, task, by_hand {
        /// The worker.
        worker_id: String,
    }
}
system_event! {
    /// The resources that an attempt of a step used.
    StepProcessing, ObservabilityStepProcessing, step, by_hand {
        /// How long the body ran, in seconds.
        processing_time: f64,
        /// How long it waited before, in seconds.
        queue_time: f64,
        /// The processor time used, in seconds.
        cpu_time: Option<f64>,
        /// The memory used, in bytes.
        memory_usage: Option<u64>,
    }
}
system_event! {
    /// A step begins to wait for its next attempt.
    StepBackoff, ObservabilityStepBackoff, step, by_hand {
        /// How long, in seconds.
        backoff_seconds: f64,
        /// `fixed`, `exponential`, `custom`, or `server_requested` when the error named the delay.
        backoff_type: String,
    }
}
