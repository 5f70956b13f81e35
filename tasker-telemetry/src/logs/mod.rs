//! What goes to logs: records of the `tracing` crate for what happens to tasks and steps, and lines that say of which task and
//! step they are.
//!
//! | record | level | target |
//! | --- | --- | --- |
//! | `step.failed`, `step.max_retries_reached`, `task.failed` | `WARN` | `tasker_telemetry::step`, `tasker_telemetry::task` |
//! | `slow step`: an attempt took at least `slow_step_threshold` | `WARN` | `tasker_telemetry::step` |
//! | every other event of a task, a step or a driver | `DEBUG` | `tasker_telemetry::task`, `::step`, `::workflow`, `::observability` |
//!
//! Their fields stand in one order: `correlation_id`; `task_id`, `step_id`, `trace_id`, `span_id`; `task_name`, `step_name`; attempt
//! and measurements (seconds); `error_class`, `error_type`, `error_message`; last the moment that it happened, `at`. What the
//! filter masks is masked here, too.
//!
//! The default is off: [`Builder::log_level`](crate::Builder::log_level) switches them on. They are made on a thread of their own,
//! behind the queue that all subscribers are behind: a terminal that takes no more text holds up no step. They go to the
//! `tracing` subscriber that was current where the telemetry was built, else to that of the process.
//!
//! ```
//! use tasker_telemetry::Telemetry;
//! use tasker_telemetry::logs::LogLevel;
//!
//! let builder = Telemetry::builder().auto_subscribers(false).log_level(LogLevel::Warn);
//! let telemetry = builder.slow_step_threshold(std::time::Duration::from_millis(500)).build()?;
//! telemetry.change("log_level", "debug")?; // for a while
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What users log inside a step says of which step it is by [`Builder::log_spans`](crate::Builder::log_spans), in whatever format;
//! with the feature `logs`, [`Lines`] writes it as fields of the line, as JSON or text.
//!
//! | file | subject |
//! | --- | --- |
//! | `level.rs` | what is told, now |
//! | `subscriber.rs` | the records |
//! | `line.rs`, `lines.rs`, `layer.rs` | lines, their format, and their way over OTLP |

#[cfg(all(feature = "logs", feature = "otlp"))]
mod layer;
mod level;
#[cfg(any(feature = "logs", feature = "otlp"))]
mod line;
#[cfg(feature = "logs")]
mod lines;
mod subscriber;

#[cfg(all(feature = "logs", feature = "otlp"))]
pub use self::layer::OtlpLayer;
pub use self::level::LogLevel;
pub(crate) use self::level::{LogControl, LogOptions};
#[cfg(feature = "otlp")]
pub(crate) use self::line::LogLine;
#[cfg(feature = "logs")]
pub use self::lines::{LineFormat, Lines};
pub(crate) use self::subscriber::{SPEC, registration};

#[cfg(feature = "otlp")]
thread_local! {
    /// Whether this thread sends logs: what is logged by that is not sent.
    static QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// As long as this lives, nothing that is logged on this thread is sent.
#[cfg(feature = "otlp")]
pub(crate) struct Quiet;

/// See [`Quiet`].
#[cfg(feature = "otlp")]
pub(crate) fn quietly() -> Quiet {
    QUIET.with(|quiet| quiet.set(true));
    Quiet
}

#[cfg(feature = "otlp")]
impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = QUIET.try_with(|quiet| quiet.set(false));
    }
}

#[cfg(all(feature = "logs", feature = "otlp"))]
fn is_quiet() -> bool {
    QUIET.try_with(std::cell::Cell::get).unwrap_or(true)
}
