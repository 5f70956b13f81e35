//! Events of a step's life: one set for each attempt.

#[allow(clippy::wildcard_imports, reason = "what the macro needs")]
use super::*;

system_event! {
    /// An attempt asks to run; it may wait for a permit before it starts.
    ExecutionRequested, StepExecutionRequested, step {
        /// The values of the step's `fields(..)`.
        step_inputs: Map,
    }
}
system_event! {
    /// A step's body is about to run.
    Started, StepStarted, step {
        /// When it starts.
        started_at: Timestamp,
        /// How long the attempt waited for a permit, in seconds.
        queue_time: f64,
    }
}
system_event! {
    /// A step ended well.
    Completed, StepCompleted, step {
        /// When the attempt's body started.
        started_at: Timestamp,
        /// When it ended.
        completed_at: Timestamp,
        /// The time between, in seconds.
        execution_duration: f64,
    }
}
system_event! {
    /// An attempt of a step ended with an error or a panic.
    Failed, StepFailed, step {
        /// When the attempt's body started.
        started_at: Timestamp,
        /// When it ended.
        completed_at: Timestamp,
        /// The time between, in seconds.
        execution_duration: f64,
        /// What the error says.
        error_message: String,
        /// The error's type path, for enums with the variant; `panic` for a panic.
        error_class: String,
        /// The error's category: by its own word (`ErrorKind`), else by its class.
        error_type: String,
        /// What the causes of the error say, the nearest first.
        error_chain: Vec<String>,
        /// The innermost frames, ten at most; empty unless `RUST_BACKTRACE` asks for them.
        backtrace: Vec<String>,
        /// Whether another attempt makes sense, by the error's own word, `retry_if`, or the step's retries.
        retryable: bool,
    }
}
system_event! {
    /// Another attempt of a step follows.
    RetryRequested, StepRetryRequested, step {
        /// What the error of the failed attempt says.
        retry_reason: String,
        /// How long the step waits before the next attempt.
        backoff_seconds: f64,
        /// `none`, `fixed`, `exponential`, `custom`, or `server_requested` when the error named the delay.
        backoff_strategy: String,
    }
}
system_event! {
    /// A step failed for good though its error was worth a retry: its attempts are used up.
    MaxRetriesReached, StepMaxRetriesReached, step {
        /// What the last error says.
        error_message: String,
    }
}
system_event! {
    /// A step was dropped or cancelled before it ended.
    Cancelled, StepCancelled, step {
        /// Why.
        reason: String,
    }
}
system_event! {
    /// An operator closed a step.
    ResolvedManually, StepResolvedManually, step {
        /// Why.
        reason: String,
    }
}
