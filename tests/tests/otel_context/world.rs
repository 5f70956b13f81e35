//! One telemetry and one SDK of OpenTelemetry, and bodies that say where they find themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span as _, TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider, SpanData};
use tasker_telemetry::Builder;
use tasker_telemetry::prelude::*;
use tasker_telemetry::trace::{InMemorySpans, Span};
use tracing::instrument::Instrument;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// One telemetry, and one SDK with its tracer: nothing global.
pub(crate) struct World {
    pub(crate) telemetry: Telemetry,
    pub(crate) ours: InMemorySpans,
    pub(crate) foreign: InMemorySpanExporter,
    _provider: SdkTracerProvider,
    pub(crate) tools: Tools,
}

/// What bodies open spans with.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) tracer: SdkTracer,
    /// Through `tracing`, too.
    pub(crate) tracing: bool,
    /// What a propagator injected, by step.
    pub(crate) injected: Arc<Mutex<Vec<(String, String)>>>,
}

pub(crate) fn world(tracing: bool, set: impl FnOnce(Builder) -> Builder) -> World {
    let (ours, foreign) = (InMemorySpans::default(), InMemorySpanExporter::default());
    let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(ours.clone());
    let provider = SdkTracerProvider::builder().with_simple_exporter(foreign.clone()).build();
    let tools = Tools { tracer: provider.tracer("foreign"), tracing, injected: Arc::default() };
    World { telemetry: set(builder).build().unwrap(), ours, foreign, _provider: provider, tools }
}

impl World {
    pub(crate) fn spans(&self) -> (Vec<Span>, Vec<SpanData>) {
        self.telemetry.flush_blocking().unwrap();
        (self.ours.spans(), self.foreign.get_finished_spans().unwrap())
    }

    /// A subscriber of `tracing` as users of tracing-opentelemetry have it.
    pub(crate) fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + 'static {
        let ours = filter_fn(|metadata| metadata.target() != "tasker_telemetry::span");
        let layer = tracing_opentelemetry::layer().with_tracer(self.tools.tracer.clone());
        tracing_subscriber::registry().with(layer.with_filter(ours))
    }
}

/// `task/step`, as the scopes say.
pub(crate) fn place() -> String {
    let task = TaskScope::current().map(|task| task.task_id().to_owned()).unwrap_or_default();
    let step = StepScope::current().map(|step| step.step_name().to_owned()).unwrap_or_default();
    format!("{task}/{step}")
}

impl Tools {
    /// Opens a span that says where it should be.
    pub(crate) fn open(&self, how: &str) {
        let name = format!("{}/{how}", place());
        self.tracer.start(name.clone()).end();
        let mut headers = HashMap::new();
        TraceContextPropagator::new().inject_context(&Context::current(), &mut headers);
        self.injected.lock().unwrap().push((place(), headers.remove("traceparent").unwrap_or_default()));
        if self.tracing {
            let _span = tracing::info_span!("of tracing", otel.name = format!("{name} by tracing")).entered();
            self.tracer.start(format!("{name} by tracing|inside")).end();
        }
    }

    /// The same by an instrumented future.
    pub(crate) async fn open_around(&self, how: &str) {
        if self.tracing {
            let span = tracing::info_span!("of tracing", otel.name = format!("{}/{how} instrumented", place()));
            async {
                pause().await;
                self.tracer.start(format!("{}/{how} instrumented|inside", place())).end();
                pause().await;
            }
            .instrument(span)
            .await;
        }
    }
}

/// Lets others run.
pub(crate) async fn pause() {
    let mut polled = false;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut polled, true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// Where each of our spans is: `task/step`.
pub(crate) fn our_places(ours: &[Span]) -> HashMap<String, &Span> {
    let text = |span: &Span, name: &str| match span.attribute(name) {
        Some(tasker_telemetry::Value::Str(text)) => text.into_owned(),
        _ => String::new(),
    };
    // Of attempts and repeated steps the last: what opens spans in them is told apart below.
    ours.iter()
        .map(|span| (format!("{}/{}", text(span, "tasker.task_id"), text(span, "tasker.step_name")), span))
        .collect()
}

/// Most steps go a way of their own if no log wants a span of them; and one does as soon as another test has a subscriber.
pub(crate) const WAYS: [fn(Builder) -> Builder; 2] = [|builder| builder, |builder| builder.log_spans(false)];

/// In which span, and with which baggage, code finds itself.
pub(crate) fn seen() -> (String, Option<String>) {
    Context::map_current(|context| {
        let span = context.span().span_context().span_id().to_string();
        (span, context.baggage().get("tenant").map(ToString::to_string))
    })
}
