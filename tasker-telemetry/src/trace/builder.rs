//! The settings of traces.

use std::time::Duration;

use super::memory::Discard;
use super::{Batching, InMemorySpans, Sampling, SinkPlan, TraceParenting, exporters, metric_exporters};
use crate::metrics::span_metrics::{Slot, SpanMetricsSink};
use crate::telemetry::{Builder, Telemetry};
use crate::variables::{InvalidVariable, Variables};

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
        self.traces.sampling = Some(sampling);
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

    /// Whether bodies run inside a span of the `tracing` crate (target `tasker_telemetry::span`, level `INFO`), so that what
    /// is logged inside a step says of which step, task and trace. It costs nothing where no `tracing` subscriber wants it.
    /// Who turns `tracing` spans into OpenTelemetry's switches it off, or filters the target out of that layer. Default: on.
    pub const fn log_spans(mut self, make: bool) -> Self {
        self.traces.log_spans = make;
        self
    }

    /// Which entries of the current OpenTelemetry baggage travel with a task to other processes. Default: none, since
    /// baggage may hold anything.
    pub fn baggage_keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.traces.baggage_keys = keys.into_iter().map(Into::into).collect();
        self
    }
}

impl Telemetry {
    /// A builder that obeys the standard variables of OpenTelemetry: service name and resource (`OTEL_SERVICE_NAME`,
    /// `OTEL_RESOURCE_ATTRIBUTES`), exporters (`OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`, `OTEL_EXPORTER_OTLP_*`, `OTEL_BSP_*`), sampling
    /// (`OTEL_TRACES_SAMPLER`), `OTEL_SDK_DISABLED`. What is said in code is stronger.
    ///
    /// # Errors
    /// [`InvalidVariable`], which names it; mistakes in the others come from [`Builder::build`].
    ///
    /// ```no_run
    /// use tasker_telemetry::Telemetry;
    /// let telemetry = Telemetry::from_env()?.install()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_env() -> Result<Builder, InvalidVariable> {
        Self::from_variables(Variables::Process)
    }

    fn from_variables(variables: Variables) -> Result<Builder, InvalidVariable> {
        let mut builder = Self::builder();
        for exporter in exporters(&variables)? {
            builder = match exporter {
                #[cfg(feature = "otlp")]
                "otlp" => builder.otlp(),
                #[cfg(feature = "console")]
                "console" => builder.console(),
                _ => builder,
            };
        }
        for exporter in metric_exporters(&variables)? {
            builder = match exporter {
                #[cfg(feature = "otlp")]
                "otlp" => builder.otlp_metrics(),
                _ => builder,
            };
        }
        builder.variables = variables;
        builder.obeys_variables = true;
        Ok(builder)
    }
}

#[cfg(all(test, feature = "console"))]
mod tests {
    use super::*;
    use crate::filter::Filter;
    use crate::trace::resolve;

    fn given(pairs: &[(&str, &str)]) -> Variables {
        Variables::Given(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn the_console_is_had_by_a_variable_and_is_quick_unless_told_otherwise() {
        for (more, delay) in [(("", ""), 100), (("OTEL_BSP_SCHEDULE_DELAY", "7000"), 7_000)] {
            let variables = given(&[("OTEL_TRACES_EXPORTER", "console"), more]);
            let mut builder = Telemetry::from_variables(variables).unwrap();
            let sinks = resolve(&mut builder, &Filter::none()).unwrap().sinks;
            let seen: Vec<_> = sinks.iter().map(|(sink, batching)| (sink.name(), batching.delay)).collect();
            assert_eq!(seen, [("console", Duration::from_millis(delay))]);
        }
        let mut none = Telemetry::from_variables(given(&[("OTEL_TRACES_EXPORTER", "none")])).unwrap();
        assert!(resolve(&mut none, &Filter::none()).unwrap().sinks.is_empty());
    }
}
