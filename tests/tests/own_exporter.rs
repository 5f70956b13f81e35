//! Exporters and processors for the `opentelemetry_sdk` crate take our spans, and harm nobody.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry::trace::Status;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, InMemorySpanExporter, Span as SdkSpan, SpanData, SpanExporter, SpanProcessor,
};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::{ExporterHealth, InMemorySpans};
use tasker_telemetry::{Builder, Timestamp};
use trace_kit::grpc::GrpcSink;

#[step]
async fn charge(amount: u64) -> Result<u64, String> {
    if amount == 0 { Err("nothing to charge".into()) } else { Ok(amount) }
}

#[task]
async fn order(amount: u64) -> Result<u64, String> {
    charge(amount).await
}

fn builder() -> Builder {
    Telemetry::builder().auto_subscribers(false).service_name("shop").variables([("OTEL_BSP_EXPORT_TIMEOUT", "500")])
}

fn run(telemetry: &Telemetry, tasks: u64) {
    for amount in 0..tasks {
        let _ = block_on(telemetry.scope(order(amount)));
    }
}

fn health(telemetry: &Telemetry, exporter: usize) -> ExporterHealth {
    telemetry.health().spans.unwrap().exporters[exporter].clone()
}

/// What was called, in its order.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn read(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Debug, Default)]
struct Watched(Log);

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        // Ready at the second poll only.
        let mut polled = false;
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if std::mem::replace(&mut polled, true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        self.0.add(format!("export {}", batch.len()));
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.add("flush");
        Ok(())
    }

    fn shutdown_with_timeout(&self, time: Duration) -> OTelSdkResult {
        assert!(time <= Duration::from_millis(500));
        self.0.add("shutdown");
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.add(resource.get(&"service.name".into()).unwrap().to_string());
    }
}

impl SpanProcessor for Watched {
    fn on_start(&self, _: &mut SdkSpan, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.add(format!("end {}", span.name));
    }

    fn force_flush(&self) -> OTelSdkResult {
        SpanExporter::force_flush(self)
    }

    fn shutdown_with_timeout(&self, time: Duration) -> OTelSdkResult {
        SpanExporter::shutdown_with_timeout(self, time)
    }

    fn set_resource(&mut self, resource: &Resource) {
        SpanExporter::set_resource(self, resource);
    }
}

#[test]
fn an_exporter_is_told_everything_in_order_before_shutdown_returns() {
    let log = Log::default();
    let telemetry = builder().span_exporter(Watched(log.clone())).build().unwrap();
    run(&telemetry, 2);
    telemetry.flush_blocking().unwrap();
    assert_eq!(log.read(), ["shop", "export 4", "flush"]);
    run(&telemetry, 1);
    telemetry.shutdown_blocking().unwrap();
    assert_eq!(log.read()[3..], ["export 2", "flush", "shutdown"]);
    let health = health(&telemetry, 0);
    assert_eq!((health.name, health.produced, health.exported), ("own_exporter::Watched", 6, 6));
}

#[test]
fn a_processor_gets_each_span() {
    let log = Log::default();
    let telemetry = builder().span_processor(Watched(log.clone())).build().unwrap();
    run(&telemetry, 1);
    telemetry.shutdown_blocking().unwrap();
    let calls = ["shop", "end tasker.step.execution", "end tasker.task.execution", "flush", "shutdown"];
    assert_eq!(log.read(), calls);
}

#[test]
fn the_sdks_own_batch_processor_has_all_spans_after_a_flush() {
    let (exporter, ours) = (InMemorySpanExporter::default(), InMemorySpans::default());
    let telemetry = builder()
        .span_processor(BatchSpanProcessor::builder(exporter.clone()).build())
        .in_memory_spans(ours.clone())
        .build()
        .unwrap();
    run(&telemetry, 100);
    telemetry.flush_blocking().unwrap();
    let (spans, ours) = (exporter.get_finished_spans().unwrap(), ours.spans());
    assert_eq!((spans.len(), ours.len()), (200, 200));
    for (theirs, ours) in spans.iter().zip(&ours) {
        assert_eq!(theirs.span_context.span_id().to_string(), ours.span_id().to_string());
        assert_eq!(theirs.span_context.trace_id().to_string(), ours.trace_id().to_string());
        let at = |at: Timestamp| std::time::SystemTime::from(at);
        assert_eq!((theirs.start_time, theirs.end_time), (at(ours.start()), at(ours.end())));
        assert!(theirs.span_context.is_sampled() && theirs.instrumentation_scope.name() == "tasker-telemetry");
    }
    assert!(matches!(&spans[0].status, Status::Error { description } if description == "nothing to charge"));
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Fails,
    Panics,
    PanicsInFuture,
    NeverEnds,
    Blocks,
}

#[derive(Debug)]
struct Broken(Fault);

impl SpanExporter for Broken {
    fn export(&self, _: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let fault = self.0;
        match fault {
            Fault::Panics => panic!("the exporter panics"),
            Fault::Blocks => std::thread::sleep(Duration::from_secs(3600)),
            _ => {}
        }
        async move {
            match fault {
                Fault::PanicsInFuture => panic!("the exporter panics"),
                Fault::NeverEnds => std::future::pending().await,
                _ => Err(OTelSdkError::InternalFailure("no".into())),
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        panic!("so does its flush");
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        panic!("so does its shutdown");
    }

    fn set_resource(&mut self, _: &Resource) {
        if matches!(self.0, Fault::Panics) {
            panic!("so does this");
        }
    }
}

#[test]
fn a_broken_exporter_costs_its_own_spans_only() {
    for (fault, reason) in [
        (Fault::Fails, "export_failed"),
        (Fault::Panics, "panicked"),
        (Fault::PanicsInFuture, "panicked"),
        (Fault::NeverEnds, "export_failed"),
        (Fault::Blocks, "shutdown"),
    ] {
        let good = InMemorySpans::default();
        let telemetry = builder()
            .span_exporter(Broken(fault))
            .in_memory_spans(good.clone())
            .shutdown_timeout(Duration::from_secs(2))
            .build()
            .unwrap();
        let begun = Instant::now();
        run(&telemetry, 10);
        assert!(begun.elapsed() < Duration::from_secs(30), "{fault:?} holds up steps");
        let _ = telemetry.shutdown_blocking();
        assert!(begun.elapsed() < Duration::from_secs(60), "{fault:?} holds up the shutdown");
        assert_eq!(good.spans().len(), 20);
        let health = health(&telemetry, 0);
        assert_eq!(health.dropped.iter().collect::<Vec<_>>(), [(&reason, &20)], "{fault:?}: {health:?}");
        assert_eq!((health.produced, health.exported, health.backlog), (20, 0, 0));
    }
}

#[derive(Debug)]
struct Picky(AtomicUsize);

impl SpanProcessor for Picky {
    fn on_start(&self, _: &mut SdkSpan, _: &opentelemetry::Context) {}

    fn on_end(&self, _: SpanData) {
        assert!(!self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(5), "every fifth");
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[test]
fn a_span_on_which_a_processor_panics_is_not_the_others_end() {
    let telemetry = builder().span_processor(Picky(AtomicUsize::new(0))).build().unwrap();
    run(&telemetry, 10);
    telemetry.flush_blocking().unwrap();
    let health = health(&telemetry, 0);
    assert_eq!((health.exported, health.dropped_total()), (16, 4));
    assert_eq!(health.last_error.as_deref(), Some("panicked: every fifth"));
}

/// opentelemetry-otlp's exporter over gRPC works only inside a tokio runtime.
fn through_tonic(runtime: &tokio::runtime::Runtime) {
    let sink = GrpcSink::start();
    runtime.block_on(async {
        let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(sink.endpoint()).build();
        let telemetry = builder().span_exporter(exporter.unwrap()).variables([("A", "")]).build().unwrap();
        let _ = telemetry.scope(order(7)).await;
        telemetry.flush().await.unwrap();
        assert_eq!(health(&telemetry, 0).exported, 2);
        telemetry.shutdown().await.unwrap();
    });
    let spans = sink.wait_for_spans(2, Duration::from_secs(10));
    assert_eq!(spans[0].resource["service.name"], "shop".into());
}

/// Sleeps and spawns in `export`.
#[derive(Debug)]
struct OfTokio;

impl SpanExporter for OfTokio {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        tokio::time::sleep(Duration::from_millis(1)).await;
        tokio::spawn(async {}).await.map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
    }
}

#[test]
fn an_exporter_that_uses_tokio_itself_may() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let telemetry = builder().span_exporter(OfTokio).build().unwrap();
        let _ = telemetry.scope(order(7)).await;
        telemetry.shutdown().await.unwrap();
        let health = health(&telemetry, 0);
        assert_eq!((health.exported, health.last_error), (2, None));
    });
}

#[test]
fn an_exporter_that_needs_a_runtime_has_it() {
    through_tonic(&tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    through_tonic(&tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
}
