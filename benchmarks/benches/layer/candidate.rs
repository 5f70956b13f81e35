//! Each stack of layers, with what it reports to.

use std::time::{Duration, Instant};

use apalis::layers::opentelemetry::OpenTelemetryMetricsLayer;
use apalis::layers::prometheus::PrometheusLayer;
use apalis::layers::tracing::{ContextualTaskSpan, TraceLayer};
use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use apalis_workflow::graph::response::GraphNodeResponse;
use benchmarks::spans::exporter::{CountingExporter, batched, exported};
use benchmarks::work::{run, work};
use cpu_time::{ProcessTime, ThreadTime};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tasker_telemetry::Telemetry;
use tasker_telemetry::prelude::*;
use tasker_telemetry_apalis::AttemptLayer;
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::jobs::Jobs;

/// What stands around a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// Nothing.
    Bare,
    /// Our layer around a node that has no step.
    Layer,
    /// Our layer, the node a `#[step]`: what gives a span and metrics, as the peers do.
    Step,
    /// The same, with a subscriber to every event.
    StepHeard,
    /// Our layer and a `#[step]`, telemetry off.
    StepOff,
    /// apalis's tracing layer, a registry behind it.
    Tracing,
    /// The same, its spans exported by tracing-opentelemetry and in the trace that the job brought.
    TracingOtel,
    /// apalis's OpenTelemetry metrics.
    OtelMetrics,
    /// apalis's Prometheus metrics.
    Prometheus,
    /// All three, the spans exported.
    Together,
}

/// Nanoseconds a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) own: f64,
    pub(crate) all: f64,
    pub(crate) dropped: u64,
}

impl Candidate {
    /// All, in the order of the table.
    pub(crate) const ALL: [Self; 10] = [
        Self::Bare,
        Self::Layer,
        Self::Step,
        Self::StepHeard,
        Self::StepOff,
        Self::Tracing,
        Self::TracingOtel,
        Self::OtelMetrics,
        Self::Prometheus,
        Self::Together,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Layer => "layer",
            Self::Step => "step",
            Self::StepHeard => "step-heard",
            Self::StepOff => "step-off",
            Self::Tracing => "tracing",
            Self::TracingOtel => "tracing-otel",
            Self::OtelMetrics => "otel-metrics",
            Self::Prometheus => "prometheus",
            Self::Together => "together",
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Bare => "no layer",
            Self::Layer => "our layer, a node without a step",
            Self::Step => "our layer, a `#[step]`: span, context, metrics",
            Self::StepHeard => "the same, with a subscriber to every event",
            Self::StepOff => "our layer, a `#[step]`, telemetry off",
            Self::Tracing => "apalis `TraceLayer`, registry",
            Self::TracingOtel => "apalis `TraceLayer`, the job's trace, tracing-opentelemetry",
            Self::OtelMetrics => "apalis `OpenTelemetryMetricsLayer`",
            Self::Prometheus => "apalis `PrometheusLayer`",
            Self::Together => "apalis: the last three together",
        }
    }

    /// Sets up what it reports to, and runs so many nodes under it.
    pub(crate) fn run(self, nodes: u32) -> Result<Cost, String> {
        let telemetry = match self {
            Self::Layer | Self::Step => telemetry(Telemetry::builder())?,
            Self::StepHeard => telemetry(Telemetry::builder().subscriber(Every))?,
            // Jobs of a task are begun by whatever is there: a telemetry that is off, here and for the peers.
            _ => telemetry(Telemetry::builder().enabled(false))?,
        };
        // Before anything listens: the engine traces, too, while it shows what jobs look like.
        let jobs = Jobs::seen()?;
        let mut sinks = Sinks::default();
        match self {
            Self::Tracing => subscribe(tracing_subscriber::registry())?,
            Self::TracingOtel => sinks.spans()?,
            Self::OtelMetrics => sinks.metrics(),
            Self::Prometheus => prometheus()?,
            Self::Together => {
                sinks.spans()?;
                sinks.metrics();
                prometheus()?;
            }
            _ => {}
        }
        let flush = || -> Result<(), String> {
            telemetry.flush_blocking().map_err(|error| error.to_string())?;
            sinks.flush()
        };
        let contextual = || TraceLayer::new().make_span_with(ContextualTaskSpan::new());
        let attempts = AttemptLayer::new(&jobs.orchestration);
        let cost = match self {
            Self::Bare => timed(service_fn(node), &jobs, nodes, flush),
            Self::Layer => timed(attempts.layer(service_fn(node)), &jobs, nodes, flush),
            Self::Step | Self::StepHeard | Self::StepOff => {
                timed(attempts.layer(service_fn(node_of_step)), &jobs, nodes, flush)
            }
            Self::Tracing => timed(TraceLayer::new().layer(service_fn(node)), &jobs, nodes, flush),
            Self::TracingOtel => timed(contextual().layer(service_fn(node)), &jobs, nodes, flush),
            Self::OtelMetrics => {
                timed(OpenTelemetryMetricsLayer::default().layer(service_fn(node)), &jobs, nodes, flush)
            }
            Self::Prometheus => timed(PrometheusLayer::default().layer(service_fn(node)), &jobs, nodes, flush),
            Self::Together => {
                let layers = ServiceBuilder::new()
                    .layer(contextual())
                    .layer(OpenTelemetryMetricsLayer::default())
                    .layer(PrometheusLayer::default());
                timed(layers.service(service_fn(node)), &jobs, nodes, flush)
            }
        }?;
        let health = telemetry.health();
        let ours = health.dropped() + health.spans.map_or(0, |spans| spans.dropped());
        Ok(Cost { dropped: ours + sinks.dropped(cost.nodes), ..cost.cost })
    }
}

/// The node, as the engine calls it.
async fn node(job: Task<u64>) -> Result<GraphNodeResponse, BoxDynError> {
    let result = work(job.args, "ORD").await?;
    Ok(GraphNodeResponse::EnqueuedNext { result: result.into() })
}

/// The same as a step.
async fn node_of_step(job: Task<u64>) -> Result<GraphNodeResponse, BoxDynError> {
    let result = charge(job.args).await?;
    Ok(GraphNodeResponse::EnqueuedNext { result: result.into() })
}

#[step]
async fn charge(id: u64) -> Result<u64, benchmarks::work::Refused> {
    work(id, "ORD").await
}

/// Takes every event.
#[derive(Debug, Subscriber)]
#[subscribe("*")]
#[subscriber(manual)]
struct Every;

#[allow(clippy::unused_self, reason = "the form of a handler")]
impl Every {
    fn handle_event(&self, _: &EventRecord) {}
}

struct Timed {
    cost: Cost,
    /// All that were run, those before the clock included.
    nodes: u64,
}

fn timed<S>(mut service: S, jobs: &Jobs, nodes: u32, flush: impl Fn() -> Result<(), String>) -> Result<Timed, String>
where
    S: Service<Task<u64>>,
    S::Error: std::fmt::Display,
{
    let mut call = |jobs: Vec<Task<u64>>| {
        jobs.into_iter().try_for_each(|job| run(service.call(job)).map(drop).map_err(|error| error.to_string()))
    };
    let (before, counted) = (nodes / 4, nodes);
    call(jobs.make(before)?)?; // caches, branch predictors, the clock's calibration
    let jobs = jobs.make(counted)?;
    flush()?;
    let (wall, own, all) = (Instant::now(), ThreadTime::now(), ProcessTime::now());
    call(jobs)?;
    let (wall, own) = (wall.elapsed(), own.elapsed());
    flush()?;
    let all = all.elapsed();
    let per_node = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(counted);
    let cost = Cost { wall: per_node(wall), own: per_node(own), all: per_node(all), dropped: 0 };
    Ok(Timed { cost, nodes: u64::from(before + counted) })
}

/// Installed, as a worker has it; its exporter throws the spans away.
fn telemetry(builder: tasker_telemetry::Builder) -> Result<Telemetry, String> {
    builder.auto_subscribers(false).__discard_spans().install().map_err(|error| error.to_string())
}

/// What OpenTelemetry keeps of the peers.
#[derive(Debug, Default)]
struct Sinks {
    spans: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

impl Sinks {
    fn spans(&mut self) -> Result<(), String> {
        let provider = batched(CountingExporter, Sampler::AlwaysOn);
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("bench"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        self.spans = Some(provider);
        subscribe(tracing_subscriber::registry().with(layer))
    }

    fn metrics(&mut self) {
        let reader = PeriodicReader::builder(InMemoryMetricExporter::default()).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        opentelemetry::global::set_meter_provider(provider.clone());
        self.metrics = Some(provider);
    }

    fn flush(&self) -> Result<(), String> {
        if let Some(spans) = &self.spans {
            spans.force_flush().map_err(|error| error.to_string())?;
        }
        if let Some(metrics) = &self.metrics {
            metrics.force_flush().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn dropped(&self, nodes: u64) -> u64 {
        if self.spans.is_some() { nodes.saturating_sub(exported()) } else { 0 }
    }
}

fn subscribe(subscriber: impl tracing::Subscriber + Send + Sync + 'static) -> Result<(), String> {
    tracing::subscriber::set_global_default(subscriber).map_err(|error| error.to_string())
}

fn prometheus() -> Result<(), String> {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    metrics::set_global_recorder(recorder).map_err(|error| error.to_string())
}
