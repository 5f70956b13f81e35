//! The settings of traces.

use std::time::Duration;

use super::{Batching, InMemorySpans, Sampling, SpanSink, TraceParenting};
use crate::telemetry::Builder;

impl Builder {
    /// Keeps every span in memory, for tests.
    pub fn in_memory_spans(self, spans: InMemorySpans) -> Self {
        let batching = Batching { queue: usize::MAX, delay: Duration::ZERO, ..Batching::default() };
        self.span_sink(Box::new(spans), batching)
    }

    /// Adds an exporter of this crate's own.
    pub(crate) fn span_sink(mut self, sink: Box<dyn SpanSink>, batching: Batching) -> Self {
        self.span_sinks.push((sink, batching));
        self
    }

    /// Which tasks are traced. Default: all.
    pub const fn sampling(mut self, sampling: Sampling) -> Self {
        self.traces.sampling = sampling;
        self
    }

    /// Where a task stands to the trace that is active where it begins. Default: [`TraceParenting::Link`].
    pub const fn trace_parenting(mut self, parenting: TraceParenting) -> Self {
        self.traces.parenting = parenting;
        self
    }

    /// Whether the span of what ended well has the status `Ok`; otherwise `Unset`, as the specification advises libraries.
    /// Default: yes.
    pub const fn success_status(mut self, ok: bool) -> Self {
        self.traces.rules.success_is_ok = ok;
        self
    }

    /// How many finished spans, and events of such, may wait until it is known whether their tasks fail
    /// ([`Sampling::keep_failures`]); over that the oldest task's go first, and are counted. Default: 100,000.
    pub const fn undecided_spans(mut self, spans: usize) -> Self {
        self.traces.undecided_spans = spans;
        self
    }

    /// How many open tasks are looked after at most. Default: 100,000.
    pub const fn open_task_limit(mut self, tasks: usize) -> Self {
        self.traces.open_task_limit = tasks;
        self
    }

    /// How long an open task is looked after. Its spans are exported after that, too. Default: 24 hours.
    pub const fn open_task_ttl(mut self, ttl: Duration) -> Self {
        self.traces.open_task_ttl = ttl;
        self
    }

    /// Which entries of the current OpenTelemetry baggage travel with a task to other processes. Default: none, since
    /// baggage may hold anything.
    pub fn baggage_keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.traces.baggage_keys = keys.into_iter().map(Into::into).collect();
        self
    }
}
