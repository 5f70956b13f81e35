//! Spans kept in memory, for tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::TraceId;
use super::export::{SendError, Sent, SpanSink};
use super::span::Span;

/// Keeps every finished span; for tests. A copy shares what it keeps. It is not bounded: do not keep it in production.
///
/// Flush before you look: spans are made behind the queue.
///
/// ```
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::trace::InMemorySpans;
///
/// #[step]
/// async fn fetch_cart(id: u64) -> u64 { id }
/// #[task(id = order)]
/// async fn order_process(order: u64) -> u64 { fetch_cart(order).await }
///
/// # tasker_telemetry::testing::block_on(async {
/// let spans = InMemorySpans::default();
/// let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone()).build()?;
/// telemetry.scope(order_process(7)).await;
/// telemetry.flush().await?;
/// let (task, step) = (&spans.named("tasker.task.execution")[0], &spans.named("tasker.step.execution")[0]);
/// assert_eq!(step.trace_id(), task.trace_id());
/// assert_eq!(step.parent_span_id(), Some(task.span_id()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct InMemorySpans {
    spans: Arc<Mutex<Vec<Span>>>,
}

impl InMemorySpans {
    fn lock(&self) -> MutexGuard<'_, Vec<Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All spans, in the order in which they ended.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.lock().clone()
    }

    /// The spans of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Vec<Span> {
        self.lock().iter().filter(|span| span.name() == name).cloned().collect()
    }

    /// The spans of that trace.
    #[must_use]
    pub fn of_trace(&self, trace: TraceId) -> Vec<Span> {
        self.lock().iter().filter(|span| span.trace_id() == trace).cloned().collect()
    }

    /// Forgets all spans.
    pub fn clear(&self) {
        self.lock().clear();
    }
}

impl SpanSink for InMemorySpans {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn export(&mut self, spans: &[Span], _: Instant) -> Result<Sent, SendError> {
        self.lock().extend_from_slice(spans);
        Ok(Sent::default())
    }
}

/// Keeps nothing.
pub(super) struct Discard;

impl SpanSink for Discard {
    fn name(&self) -> &'static str {
        "discard"
    }

    fn export(&mut self, _: &[Span], _: Instant) -> Result<Sent, SendError> {
        Ok(Sent::default())
    }
}
