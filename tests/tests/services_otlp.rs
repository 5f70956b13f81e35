//! Spans of a run come whole to servers of other projects, over gRPC and HTTP: read back, and held against the events of the run.
//! Run by `scripts/test-services`.
#![cfg(feature = "services")]

use std::time::{Duration, Instant};

use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Recording, block_on};
use tasker_telemetry::trace::{InMemorySpans, Otlp};
use trace_kit::Checker;
use trace_kit::receivers::{Autotel, Rotel};
use trace_kit::span::{Fidelity, ReceivedSpan};

const SOON: Duration = Duration::from_secs(30);

/// A payment was looked at.
#[derive(Serialize, Event)]
#[event("services.payment_checked")]
struct Checked {
    score: f64,
    #[event(sensitive)]
    card_number: String,
}

#[step(retry_limit = 3, fields(amount, customer = "Zoë 日本語", share = 0.5, vip = true))]
async fn charge(amount: u64) -> Result<u64, String> {
    publish(Checked { score: 0.25, card_number: "the-card".into() });
    let attempt = StepScope::current().map_or(1, |step| u64::from(step.attempt_number()));
    if amount.is_multiple_of(7) || attempt < amount % 3 { Err(format!("no money for {amount}")) } else { Ok(amount) }
}

#[step]
async fn inner() {}

#[step]
async fn outer() {
    inner().await;
}

#[task(fields(amount))]
async fn order(amount: u64) -> Result<u64, String> {
    outer().await;
    charge(amount).await
}

/// Runs thirty orders, and compares what is read back with what ran.
fn arrives(otlp: Otlp, fidelity: Fidelity, read: impl FnOnce(usize) -> Vec<ReceivedSpan>) {
    let builder = Telemetry::builder().auto_subscribers(false).service_name("shop");
    let recording = Recording::with(builder.otlp_with(otlp).shutdown_timeout(SOON)).unwrap();
    for amount in 0..30 {
        let _ = block_on(recording.scope(order(amount)));
    }
    recording.telemetry().flush_blocking().unwrap();
    let spans = recording.telemetry().health().spans.unwrap();
    assert_eq!((spans.exporters[0].exported, spans.dropped()), (spans.produced, 0), "{spans:?}");
    let received = read(usize::try_from(spans.produced).unwrap());
    let events: Vec<_> = recording.events().iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    let checker = Checker::new().service("shop").fidelity(fidelity).nested("inner", "outer");
    checker.check(&received, &events).unwrap_or_else(|mismatches| panic!("{mismatches}"));
    assert!(!format!("{received:?}").contains("the-card"), "a secret left the process");
}

#[test]
fn over_grpc_to_rotel() {
    for gzip in [false, true] {
        let rotel = Rotel::start();
        let otlp = Otlp::grpc().endpoint(rotel.grpc_endpoint()).gzip(gzip);
        arrives(otlp, Rotel::FIDELITY, |count| rotel.wait_for_spans(count, SOON));
    }
}

#[test]
fn over_http_to_rotel() {
    for gzip in [false, true] {
        let rotel = Rotel::start();
        let otlp = Otlp::http().endpoint(rotel.http_endpoint()).gzip(gzip);
        arrives(otlp, Rotel::FIDELITY, |count| rotel.wait_for_spans(count, SOON));
    }
}

#[test]
fn logs_to_rotel_over_both() {
    for (protocol, gzip) in [("grpc", "none"), ("grpc", "gzip"), ("http/protobuf", "gzip")] {
        let rotel = Rotel::start_for_logs();
        let endpoint = if protocol == "grpc" { rotel.grpc_endpoint() } else { rotel.http_endpoint() };
        let from = Telemetry::from_variables([
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", gzip),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("TASKER_TELEMETRY__LOG_LEVEL", "debug"),
        ]);
        let builder = from.unwrap().auto_subscribers(false).in_memory_spans(InMemorySpans::default());
        let recording = Recording::with(builder.shutdown_timeout(SOON)).unwrap();
        for amount in 0..30 {
            let _ = block_on(recording.scope(order(amount)));
        }
        recording.telemetry().flush_blocking().unwrap();
        let health = recording.telemetry().health().logs.unwrap();
        assert_eq!((health.exported, health.failed_requests), (health.produced, 0), "{protocol}: {health:?}");

        let begun = Instant::now();
        while (rotel.logs().len() as u64) < health.produced {
            assert!(begun.elapsed() < SOON, "{} of {} came", rotel.logs().len(), health.produced);
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut came = rotel.logs();
        let mut ran: Vec<_> = recording
            .events()
            .iter()
            .filter(|event| !event.name().starts_with("services."))
            .map(|event| {
                let text = |field: &str| event.payload()[field].as_str().unwrap().to_owned();
                let warns = ["step.failed", "step.max_retries_reached", "task.failed"].contains(&event.name());
                let level = if warns { "WARN" } else { "DEBUG" };
                [format!("Str({})", event.name()), level.to_owned(), text("trace_id"), text("span_id")]
            })
            .collect();
        came.sort();
        ran.sort();
        assert_eq!(came, ran, "{protocol} {gzip}");
    }
}

#[test]
fn over_grpc_to_autotel() {
    let autotel = Autotel::start();
    let otlp = Otlp::grpc().endpoint(autotel.grpc_endpoint());
    arrives(otlp, Autotel::FIDELITY, |count| autotel.wait_for_spans(count, SOON));
}

#[test]
fn over_http_to_autotel() {
    let autotel = Autotel::start();
    let otlp = Otlp::http().endpoint(autotel.http_endpoint());
    arrives(otlp, Autotel::FIDELITY, |count| autotel.wait_for_spans(count, SOON));
}
