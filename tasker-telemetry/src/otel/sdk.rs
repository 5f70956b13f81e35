//! Exporters and processors of spans that others wrote for the `opentelemetry_sdk` crate.
//!
//! Each has a thread and a queue of its own, as every exporter has: one that panics, hangs or is slow costs its own spans only,
//! and those are counted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanExporter, SpanProcessor};

use super::span_data;
use crate::drive::{Runtime, block_on};
use crate::resource::Resource;
use crate::telemetry::Builder;
use crate::trace::{Again, SendError, Sent, SinkPlan, Span, SpanSink};

impl Builder {
    /// Exports spans with an exporter for the `opentelemetry_sdk` crate (0.33), in batches as `OTEL_BSP_*` says.
    ///
    /// It runs on a thread of its own; where the telemetry is built inside a tokio runtime, it may use that runtime. It is told
    /// the resource, `force_flush` and `shutdown` with ours. A batch that it fails to export, or does not export in time
    /// (`OTEL_BSP_EXPORT_TIMEOUT`), is lost and counted: such exporters try again themselves.
    ///
    /// For OTLP, [`otlp`](Self::otlp) does it at a tenth of the cost.
    ///
    /// ```
    /// use opentelemetry_sdk::error::OTelSdkResult;
    /// use opentelemetry_sdk::trace::{SpanData, SpanExporter};
    /// use tasker_telemetry::prelude::*;
    ///
    /// #[derive(Debug)]
    /// struct Printing;
    /// impl SpanExporter for Printing {
    ///     async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
    ///         batch.iter().for_each(|span| println!("{}", span.name));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let telemetry = Telemetry::builder().service_name("shop").span_exporter(Printing).build()?;
    /// # Ok::<(), tasker_telemetry::BuildError>(())
    /// ```
    pub fn span_exporter(self, exporter: impl SpanExporter + 'static) -> Self {
        self.exporter(SinkPlan::Batched(Box::new(Exporting { exporter, common: Common::new() })))
    }

    /// Hands every span to a processor for the `opentelemetry_sdk` crate (0.33), when it has ended: `on_end`. There is no
    /// `on_start`, since no span is held open.
    ///
    /// It runs on a thread of its own, is told the resource, `force_flush` and `shutdown` with ours, and shares nothing with a
    /// tracer provider: give it one of its own.
    ///
    /// ```
    /// use opentelemetry_sdk::error::OTelSdkResult;
    /// use opentelemetry_sdk::trace::{SimpleSpanProcessor, SpanData, SpanExporter};
    /// use tasker_telemetry::prelude::*;
    /// # #[derive(Debug)]
    /// # struct Printing;
    /// # impl SpanExporter for Printing {
    /// #     async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult { Ok(()) }
    /// # }
    ///
    /// #[step]
    /// fn charge() {}
    ///
    /// let processor = SimpleSpanProcessor::new(Printing);
    /// let telemetry = Telemetry::builder().auto_subscribers(false).span_processor(processor).build()?;
    /// telemetry.in_scope(charge);
    /// telemetry.flush_blocking()?;
    /// let spans = telemetry.health().spans.expect("spans are made");
    /// assert_eq!(spans.exporters[0].exported, 2, "the step and the task around it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn span_processor(self, processor: impl SpanProcessor + 'static) -> Self {
        self.exporter(SinkPlan::Batched(Box::new(Processing { processor, common: Common::new() })))
    }
}

/// What both need.
struct Common {
    runtime: Runtime,
    scope: InstrumentationScope,
    /// Until the thread has told it: what the program's own code does with it is not the builder's risk.
    resource: Option<Resource>,
}

impl Common {
    fn new() -> Self {
        Self { runtime: Runtime::current(), scope: span_data::scope(), resource: None }
    }

    /// Called on the thread that builds the telemetry.
    fn set_resource(&mut self, resource: &Resource) {
        self.runtime = Runtime::current();
        self.resource = Some(resource.clone());
    }

    fn resource(&mut self) -> Option<opentelemetry_sdk::Resource> {
        self.resource.take().map(|resource| span_data::resource(&resource))
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

fn told(what: &str, result: OTelSdkResult) -> Result<(), String> {
    match result {
        Ok(()) | Err(OTelSdkError::AlreadyShutdown) => Ok(()),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

struct Exporting<E> {
    exporter: E,
    common: Common,
}

impl<E: SpanExporter> Exporting<E> {
    fn prepare(&mut self) {
        if let Some(resource) = self.common.resource() {
            let _inside = self.common.runtime.enter();
            self.exporter.set_resource(&resource);
        }
    }
}

impl<E: SpanExporter> SpanSink for Exporting<E> {
    fn name(&self) -> &'static str {
        std::any::type_name::<E>()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.common.set_resource(resource);
    }

    fn export(&mut self, spans: &[Span], until: Instant) -> Result<Sent, SendError> {
        self.prepare();
        let Common { runtime, scope, .. } = &self.common;
        let batch = spans.iter().map(|span| span_data::span_data(span, scope)).collect();
        let _inside = runtime.enter();
        let failed = |message| SendError { message, again: Again::Enough };
        match block_on(self.exporter.export(batch), left(until)) {
            Some(Ok(())) => Ok(Sent::default()),
            Some(Err(error)) => Err(failed(error.to_string())),
            None => Err(failed("it did not end in time".to_owned())),
        }
    }

    fn flush(&mut self, _: Instant) -> Result<(), String> {
        self.prepare();
        let _inside = self.common.runtime.enter();
        told("force_flush", self.exporter.force_flush())
    }

    fn shutdown(&mut self, until: Instant) -> Result<(), String> {
        let _inside = self.common.runtime.enter();
        told("shutdown", self.exporter.shutdown_with_timeout(left(until)))
    }
}

struct Processing<P> {
    processor: P,
    common: Common,
}

impl<P: SpanProcessor> Processing<P> {
    fn prepare(&mut self) {
        if let Some(resource) = self.common.resource() {
            let _inside = self.common.runtime.enter();
            self.processor.set_resource(&resource);
        }
    }
}

impl<P: SpanProcessor> SpanSink for Processing<P> {
    fn name(&self) -> &'static str {
        std::any::type_name::<P>()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.common.set_resource(resource);
    }

    fn export(&mut self, spans: &[Span], _: Instant) -> Result<Sent, SendError> {
        self.prepare();
        let Common { runtime, scope, .. } = &self.common;
        let _inside = runtime.enter();
        let mut sent = Sent::default();
        for span in spans {
            let data = span_data::span_data(span, scope);
            // One span that it cannot take is not the others' end.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.processor.on_end(data))) {
                sent.rejected += 1;
                sent.message = Some(format!("panicked: {}", crate::failure::Failure::of_panic(&*panic).message));
            }
        }
        Ok(sent)
    }

    fn flush(&mut self, _: Instant) -> Result<(), String> {
        self.prepare();
        let _inside = self.common.runtime.enter();
        told("force_flush", self.processor.force_flush())
    }

    fn shutdown(&mut self, until: Instant) -> Result<(), String> {
        let _inside = self.common.runtime.enter();
        told("shutdown", self.processor.shutdown_with_timeout(left(until)))
    }
}
