//! Rate, errors and duration, computed from finished spans.
//!
//! | metric | dotted | type | labels |
//! | --- | --- | --- | --- |
//! | `span_calls_total` | `span.calls` | counter | `span_name`, `task_name`, `step_name`, `status` = success / failure / cancelled |
//! | `span_errors_total` | `span.errors` | counter | `span_name`, `task_name`, `step_name`, `error_type` |
//! | `span_duration_seconds` | `span.duration` | histogram | `span_name`, `task_name`, `step_name` |
//!
//! Of a telemetry's own spans, with [`Builder::span_metrics`](crate::Builder::span_metrics):
//!
//! ```
//! use tasker_telemetry::prelude::*;
//! use tasker_telemetry::metrics::Format;
//!
//! #[step]
//! fn charge() {}
//!
//! let telemetry = Telemetry::builder().auto_subscribers(false).span_metrics().build()?;
//! telemetry.in_scope(charge);
//! telemetry.flush_blocking()?;
//! let page = telemetry.metrics().render(Format::Prometheus);
//! let attempts = r#"span_calls_total{span_name="tasker.step.execution",status="success",step_name="charge",task_name="charge"} 1"#;
//! assert!(page.contains(attempts), "{page}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Of the spans of any tracer, with [`SpanMetrics`] as a processor of the `opentelemetry_sdk` crate (feature `otel-sdk`), beside whatever
//! exports them. Spans that are not ours have no task and no step; their status is `failure` when it is an error.
//!
//! **When to use which.** The life cycle's own metrics (`tasker_step_executions_total` and its kin) are exact, whatever is sampled or
//! dropped, and cost less: prefer them. Figures from spans are for whoever has spans alone: of other libraries, or of services
//! whose metrics are off. They know only spans that were sampled, so use them with all spans, or take them as shares; and they come
//! when a span has ended, so nothing in them is ever in progress.

#[cfg(feature = "otel-sdk")]
mod processor;
mod sink;

use std::time::Duration;

#[cfg(feature = "otel-sdk")]
pub use self::processor::SpanMetrics;
pub(crate) use self::sink::{Slot, SpanMetricsSink};
use super::cell::CounterSeries;
use super::histogram::{Buckets, HistogramSeries};
use super::{DEFAULT_BUCKETS, MetricError, MetricsBackend};

/// What the figures need to know of a finished span.
#[derive(Debug, Default)]
struct Finished<'a> {
    name: &'a str,
    task: &'a str,
    step: &'a str,
    status: Status,
    error_type: &'a str,
    took: Duration,
    end_unix_nanos: u64,
    trace: u128,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Status {
    #[default]
    Success,
    Failure,
    Cancelled,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The attributes that say more than the span itself.
const TASK: &str = "tasker.task_name";
const STEP: &str = "tasker.step_name";
const ERROR: &str = "error.type";
const CANCELLED: &str = "tasker.cancel_reason";

const CALLS: (&str, &str) = ("span.calls", "Finished spans, by status: success, failure or cancelled.");
const ERRORS: (&str, &str) = ("span.errors", "Failed spans, by category of error.");
const DURATION: (&str, &str) = ("span_duration_seconds", "How long spans took that were not cancelled.");

/// Adds a span to the figures.
fn record(metrics: &MetricsBackend, span: &Finished<'_>) -> Result<(), MetricError> {
    let names = [("span_name", span.name), ("task_name", span.task), ("step_name", span.step)];
    let with = |name, value| [names[0], names[1], names[2], (name, value)];
    // All three exist from the first span on: a rate over a counter that only appears with its first failure would miss it.
    for status in [Status::Success, Status::Failure, Status::Cancelled] {
        let calls = metrics.described_series::<CounterSeries>(CALLS, &with("status", status.name()), ())?;
        if status == span.status {
            calls.inc();
        }
    }
    if span.status == Status::Failure {
        let error_type = if span.error_type.is_empty() { "other" } else { span.error_type };
        metrics.described_series::<CounterSeries>(ERRORS, &with("error_type", error_type), ())?.inc();
    }
    if span.status != Status::Cancelled {
        let shape = Buckets::new(DEFAULT_BUCKETS, true);
        let duration = metrics.described_series::<HistogramSeries>(DURATION, &names, shape)?;
        let nanos = u64::try_from(span.took.as_nanos()).unwrap_or(u64::MAX);
        duration.record_traced(nanos, span.end_unix_nanos, || Some(span.trace));
    }
    Ok(())
}
