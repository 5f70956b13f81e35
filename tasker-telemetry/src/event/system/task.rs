//! Events of a task's life.

#[allow(clippy::wildcard_imports, reason = "what the macro needs")]
use super::*;

system_event! {
    /// A task is created.
    InitializeRequested, TaskInitializeRequested, task {
        /// The values of the task's `fields(..)`.
        context: Map,
    }
}
system_event! {
    /// A task's body is about to run.
    StartRequested, TaskStartRequested, task {
        /// When it starts.
        started_at: Timestamp,
    }
}
system_event! {
    /// A task ended well.
    Completed, TaskCompleted, task {
        /// When its body started.
        started_at: Timestamp,
        /// When its body ended.
        completed_at: Timestamp,
        /// The time between, in seconds.
        execution_duration: f64,
        /// How many steps began.
        total_steps: u64,
        /// How many of them ended well.
        completed_steps: u64,
        /// How many of them ended in failure, their retries included.
        failed_steps: u64,
    }
}
system_event! {
    /// A task ended with an error or a panic.
    Failed, TaskFailed, task {
        /// When its body started.
        started_at: Timestamp,
        /// When its body ended.
        completed_at: Timestamp,
        /// The time between, in seconds.
        execution_duration: f64,
        /// How many steps began.
        total_steps: u64,
        /// How many of them ended well.
        completed_steps: u64,
        /// How many of them ended in failure, their retries included.
        failed_steps: u64,
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
    }
}
system_event! {
    /// A task will run again.
    RetryRequested, TaskRetryRequested, task {
        /// Which attempt follows, from 1.
        attempt_number: u32,
        /// Why.
        retry_reason: String,
    }
}
system_event! {
    /// A task was dropped or cancelled before it ended.
    Cancelled, TaskCancelled, task {
        /// Why.
        reason: String,
    }
}
system_event! {
    /// An operator closed a task.
    ResolvedManually, TaskResolvedManually, task {
        /// Who.
        resolved_by: String,
        /// Why.
        reason: String,
    }
}
