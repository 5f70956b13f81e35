//! The settings of traces.

use std::time::Duration;

use super::memory::Discard;
use super::{Batching, InMemorySpans, Sampling, SinkPlan, TraceParenting};
use crate::metrics::span_metrics::{Slot, SpanMetricsSink};
use crate::telemetry::Builder;
use crate::variables::Variables;

impl Builder {
    /// Keeps every span in memory, for tests.
    pub fn in_memory_spans(self, spans: InMemorySpans) -> Self {
        let batching = Batching { queue: usize::MAX, delay: Duration::ZERO, ..Batching::default() };
        self.exporter(SinkPlan::Ready(Box::new(spans), batching))
    }

    /// Makes spans and throws them away: what making them costs can be measured so.
    #[doc(hidden)]
    pub fn __discard_spans(self) -> Self {
        self.exporter(SinkPlan::Ready(Box::new(Discard), Batching::default()))
    }

    /// Computes rate, errors and duration from this telemetry's spans, as metrics `span_..` of its own. For whoever has reason to; the
    /// life cycle's metrics say the same, exactly, without spans. See [`metrics::span_metrics`](crate::metrics::span_metrics).
    pub fn span_metrics(mut self) -> Self {
        if self.span_metrics.is_some() {
            return self;
        }
        self.traces.span_metrics = Some(true);
        let slot = Slot::default();
        self.span_metrics = Some(Slot::clone(&slot));
        self.exporter(SinkPlan::Ready(Box::new(SpanMetricsSink::new(slot)), Batching::default()))
    }

    pub(crate) fn exporter(mut self, exporter: SinkPlan) -> Self {
        self.span_sinks.push(exporter);
        self
    }

    /// Exports spans over OTLP, as the standard variables say: by default with HTTP and protobuf to `http://localhost:4318`.
    /// [`otlp_with`](Self::otlp_with) says it in code.
    ///
    /// ```no_run
    /// use tasker_telemetry::Telemetry;
    /// let telemetry = Telemetry::builder().service_name("shop").otlp().install()?;
    /// # Ok::<(), tasker_telemetry::BuildError>(())
    /// ```
    #[cfg(feature = "otlp")]
    pub fn otlp(self) -> Self {
        self.otlp_with(super::Otlp::new())
    }

    /// The same with settings of your own.
    #[cfg(feature = "otlp")]
    pub fn otlp_with(self, otlp: super::Otlp) -> Self {
        self.exporter(SinkPlan::Otlp(otlp))
    }

    /// Prints every task that ends as a waterfall of its steps to standard error ([`Waterfall`](super::Waterfall)): in colour
    /// where that is a terminal, unless `NO_COLOR` is set. What `OTEL_TRACES_EXPORTER=console` asks for.
    ///
    /// A task's spans wait until it ends, at most 100,000 of at most 10,000 tasks; over that, those of the oldest tasks are
    /// dropped, and counted. At shutdown what is left is shown as it stands.
    ///
    /// ```no_run
    /// use tasker_telemetry::Telemetry;
    /// let telemetry = Telemetry::builder().console().install()?;
    /// # Ok::<(), tasker_telemetry::BuildError>(())
    /// ```
    #[cfg(feature = "console")]
    pub fn console(self) -> Self {
        let console = super::Console::new(std::io::stderr(), super::console::wants_color());
        self.exporter(SinkPlan::Batched(Box::new(console)))
    }

    /// The same, without colour, to a file or whatever else takes text. Where that fails, spans are counted as dropped
    /// (`write_failed`), and nothing else happens.
    ///
    /// ```no_run
    /// use tasker_telemetry::Telemetry;
    /// let file = std::fs::File::create("tasks.txt")?;
    /// let telemetry = Telemetry::builder().console_to(file).install()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "console")]
    pub fn console_to(self, writer: impl std::io::Write + Send + 'static) -> Self {
        self.exporter(SinkPlan::Batched(Box::new(super::Console::new(writer, false))))
    }

    /// One more attribute of the resource: what tells this service, host or deployment from others. It beats one of that name
    /// in `OTEL_RESOURCE_ATTRIBUTES`. Name and version of the service have settings of their own.
    pub fn resource_attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.resource.push((key.into(), value.into()));
        self
    }

    /// The variables to obey instead of the process's environment.
    ///
    /// ```
    /// use tasker_telemetry::Telemetry;
    /// let telemetry = Telemetry::builder()
    ///     .auto_subscribers(false)
    ///     .variables([("OTEL_SERVICE_NAME", "shop"), ("OTEL_TRACES_SAMPLER", "always_off")])
    ///     .build()?;
    /// assert_eq!(telemetry.service_name(), "shop");
    /// # Ok::<(), tasker_telemetry::BuildError>(())
    /// ```
    pub fn variables<N: Into<String>, V: Into<String>>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let given = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        self.variables = Variables::Given(given.collect());
        self.obeys_variables = true;
        self
    }

    /// Which tasks are traced. Default: all.
    pub const fn sampling(mut self, sampling: Sampling) -> Self {
        self.traces.ratio = Some(sampling.share());
        self.traces.keep_failures = Some(sampling.keeps_failures());
        self.traces.parent_based = Some(sampling.is_parent_based());
        self
    }

    /// Where a task stands to the trace that is active where it begins. Default: [`TraceParenting::Link`].
    pub const fn trace_parenting(mut self, parenting: TraceParenting) -> Self {
        self.traces.parenting = Some(parenting);
        self
    }

    /// Whether the span of what ended well has the status `Ok`; otherwise `Unset`, as the specification advises libraries.
    /// Default: yes.
    pub const fn success_status(mut self, ok: bool) -> Self {
        self.traces.success_is_ok = Some(ok);
        self
    }

    /// How many finished spans, and events of such, may wait until it is known whether their tasks fail
    /// ([`Sampling::keep_failures`]); over that the oldest task's go first, and are counted. Default: 100,000.
    pub const fn undecided_spans(mut self, spans: usize) -> Self {
        self.traces.undecided_spans = Some(spans);
        self
    }

    /// How many open tasks are looked after at most. Default: 100,000.
    pub const fn open_task_limit(mut self, tasks: usize) -> Self {
        self.traces.open_task_limit = Some(tasks);
        self
    }

    /// How long an open task is looked after. Its spans are exported after that, too. Default: 24 hours.
    pub const fn open_task_ttl(mut self, ttl: Duration) -> Self {
        self.traces.open_task_ttl = Some(ttl);
        self
    }

    /// Whether bodies run inside a span of the `tracing` crate (target `tasker_telemetry::span`, level `INFO`), so that what
    /// is logged inside a step says of which step, task and trace. It costs nothing where no `tracing` subscriber wants it.
    /// Who turns `tracing` spans into OpenTelemetry's switches it off, or filters the target out of that layer. Default: on.
    pub const fn log_spans(mut self, make: bool) -> Self {
        self.traces.log_spans = Some(make);
        self
    }

    /// Which entries of the current OpenTelemetry baggage travel with a task to other processes. Default: none, since
    /// baggage may hold anything.
    pub fn baggage_keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.traces.baggage_keys = Some(keys.into_iter().map(Into::into).collect());
        self
    }
}

#[cfg(all(test, feature = "console"))]
mod tests {
    use super::*;
    use crate::filter::Filter;
    use crate::telemetry::Telemetry;
    use crate::trace::resolve;

    #[test]
    fn the_console_is_had_by_a_variable_and_is_quick_unless_told_otherwise() {
        for (more, delay) in [(("", ""), 100), (("OTEL_BSP_SCHEDULE_DELAY", "7000"), 7_000)] {
            let builder = Telemetry::from_variables([("OTEL_TRACES_EXPORTER", "console"), more]).unwrap();
            let (mut builder, ..) = builder.settle().unwrap();
            let sinks = resolve(&mut builder, &Filter::none()).unwrap().sinks;
            let seen: Vec<_> = sinks.iter().map(|(sink, batching)| (sink.name(), batching.delay)).collect();
            assert_eq!(seen, [("console", Duration::from_millis(delay))]);
        }
        let (mut none, ..) = Telemetry::from_variables([("OTEL_TRACES_EXPORTER", "none")]).unwrap().settle().unwrap();
        assert!(resolve(&mut none, &Filter::none()).unwrap().sinks.is_empty());
    }
}
