//! Beside the exporters of anybody's spans.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use opentelemetry::trace::Status as OtelStatus;
use opentelemetry::{Context, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::{CANCELLED, ERROR, Finished, STEP, Status, TASK, record};
use crate::metrics::MetricsBackend;

/// Computes rate, errors and duration from finished spans: a span processor for the `opentelemetry_sdk` crate (0.33). See the
/// [module](super).
///
/// ```
/// use opentelemetry::trace::{Tracer as _, TracerProvider as _};
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use tasker_telemetry::Telemetry;
/// use tasker_telemetry::metrics::Format;
/// use tasker_telemetry::metrics::span_metrics::SpanMetrics;
///
/// let telemetry = Telemetry::builder().auto_subscribers(false).build()?; // holds and exports the figures
/// let provider = SdkTracerProvider::builder().with_span_processor(SpanMetrics::new(telemetry.metrics())).build();
/// provider.tracer("doc").in_span("GET /cart", |_| ());
/// assert!(telemetry.metrics().render(Format::Prometheus).contains(r#"span_calls_total{span_name="GET /cart",status="success",step_name="",task_name=""} 1"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SpanMetrics {
    metrics: MetricsBackend,
    refused: AtomicU64,
}

impl SpanMetrics {
    /// Adds the figures to these metrics.
    #[must_use]
    pub const fn new(metrics: MetricsBackend) -> Self {
        Self { metrics, refused: AtomicU64::new(0) }
    }
}

impl SpanProcessor for SpanMetrics {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let text = |name: &str| -> Cow<'_, str> {
            let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
            match found.map(|attribute| &attribute.value) {
                Some(Value::String(text)) => Cow::Borrowed(text.as_str()),
                Some(other) => Cow::Owned(other.to_string()),
                None => Cow::Borrowed(""),
            }
        };
        let (task, step, error_type) = (text(TASK), text(STEP), text(ERROR));
        let status = match span.status {
            OtelStatus::Error { .. } => Status::Failure,
            OtelStatus::Unset if !text(CANCELLED).is_empty() => Status::Cancelled,
            OtelStatus::Unset | OtelStatus::Ok => Status::Success,
        };
        let nanos = span.end_time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let finished = Finished {
            name: &span.name,
            task: &task,
            step: &step,
            status,
            error_type: &error_type,
            took: span.end_time.duration_since(span.start_time).unwrap_or_default(),
            end_unix_nanos: u64::try_from(nanos).unwrap_or(u64::MAX),
            trace: u128::from_be_bytes(span.span_context.trace_id().to_bytes()),
        };
        if let Err(error) = record(&self.metrics, &finished)
            && self.refused.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!(target: "tasker_telemetry", "the figures of a span are lost: {error}");
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
