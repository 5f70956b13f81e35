//! Beside the exporters of our own spans.

use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::{CANCELLED, ERROR, Finished, STEP, Status, TASK, record};
use crate::metrics::MetricsBackend;
use crate::telemetry::Core;
use crate::trace::{AttributeValue, SendError, Sent, Span, SpanSink};

/// Where the telemetry will be whose metrics it feeds, once it is built. It never keeps one alive.
pub(crate) type Slot = Arc<OnceLock<Weak<Core>>>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SpanMetricsSink {
    to: Slot,
}

impl SpanMetricsSink {
    pub(crate) fn new(to: Slot) -> Self {
        Self { to }
    }
}

impl SpanSink for SpanMetricsSink {
    fn name(&self) -> &'static str {
        "span-metrics"
    }

    fn export(&mut self, spans: &[Span], _: Instant) -> Result<Sent, SendError> {
        let Some(core) = self.to.get().and_then(Weak::upgrade) else {
            return Ok(Sent { rejected: spans.len(), ..Sent::default() });
        };
        let metrics = MetricsBackend::new(core);
        let mut sent = Sent::default();
        for span in spans {
            if let Err(error) = of_span(&metrics, span) {
                sent.rejected += 1;
                sent.message = Some(error.to_string());
            }
        }
        Ok(sent)
    }
}

fn of_span(metrics: &MetricsBackend, span: &Span) -> Result<(), crate::metrics::MetricError> {
    let (mut task, mut step, mut error_type) = (String::new(), String::new(), String::new());
    let mut is_cancelled = false;
    span.visit_attributes(&mut |key, value| {
        let AttributeValue::Str(text) = value else { return };
        match key {
            TASK => text.clone_into(&mut task),
            STEP => text.clone_into(&mut step),
            ERROR => text.clone_into(&mut error_type),
            CANCELLED => is_cancelled = true,
            _ => {}
        }
    });
    let status = match span.status_parts().0 {
        2 => Status::Failure,
        _ if is_cancelled => Status::Cancelled,
        _ => Status::Success,
    };
    let (start, end) = (span.start().as_unix_nanos(), span.end().as_unix_nanos());
    let finished = Finished {
        name: span.name(),
        task: &task,
        step: &step,
        status,
        error_type: &error_type,
        took: Duration::from_nanos(end.saturating_sub(start)),
        end_unix_nanos: end,
        trace: u128::from_be_bytes(span.trace_id().to_bytes()),
    };
    record(metrics, &finished)
}
