//! Logs over OTLP: what arrives at the server, decoded by OpenTelemetry's own types; what is lost is counted.

use integration_tests::posted::{Posted, Request};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;
use tasker_telemetry::logs::{LogLevel, OtlpLayer};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::InMemorySpans;
use tracing_subscriber::layer::SubscriberExt as _;

#[step]
fn charge(token: &str) -> Result<(), String> {
    tracing::info!(amount = 5, exact = 0.5, paid = true, token, "charging");
    Err("declined".to_owned())
}

#[task(id = order, correlation_id = "req-1")]
fn order_process(order: u64) {
    let _ = charge("canary");
}

fn text(value: Option<Any>) -> String {
    match value {
        Some(Any::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

fn attribute(record: &LogRecord, key: &str) -> Option<String> {
    let found = record.attributes.iter().find(|attribute| attribute.key == key)?;
    Some(text(found.value.clone()?.value))
}

/// All records of the requests to that path, and the headers of the last.
fn received(server: &Posted, path: &str) -> (Vec<LogRecord>, Vec<String>) {
    let (mut records, mut headers) = (Vec::new(), Vec::new());
    for Request { path: sent, body, headers: these, .. } in server.take() {
        if sent == path {
            let request = ExportLogsServiceRequest::decode(&*body).unwrap();
            let resources = request.resource_logs.into_iter();
            records.extend(resources.flat_map(|of| of.scope_logs).flat_map(|scope| scope.log_records));
            headers = these;
        }
    }
    (records, headers)
}

#[test]
fn records_and_what_users_log_arrive_with_their_trace() {
    let (server, spans) = (Posted::start(), InMemorySpans::default());
    let from = Telemetry::from_variables([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", server.url().as_str()),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-tenant=6"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ]);
    let builder = from.unwrap().auto_subscribers(false).service_name("shop").log_level(LogLevel::Warn);
    let telemetry = builder.in_memory_spans(spans.clone()).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(OtlpLayer::new());
    tracing::subscriber::with_default(subscriber, || telemetry.in_scope(|| order_process(7)));
    telemetry.flush_blocking().unwrap();

    let (records, headers) = received(&server, "/v1/logs");
    assert!(headers.iter().any(|header| header == "x-tenant: 6"), "{headers:?}");
    let bodies: Vec<_> = records.iter().map(|record| text(record.body.clone().unwrap().value)).collect();
    assert_eq!(bodies, ["charging", "step.failed"]);
    let step = &spans.named("tasker.step.execution")[0];
    for record in &records {
        assert_eq!(record.trace_id, step.trace_id().to_bytes());
        assert_eq!(record.span_id, step.span_id().to_bytes());
        assert_eq!(attribute(record, "correlation_id").as_deref(), Some("req-1"));
        assert_eq!(attribute(record, "task_id").as_deref(), Some("7"));
        assert!(record.time_unix_nano > 1_700_000_000_000_000_000 && record.observed_time_unix_nano > 0);
    }
    let (charging, failed) = (&records[0], &records[1]);
    assert_eq!((charging.severity_number, charging.severity_text.as_str()), (9, "INFO"));
    assert_eq!((failed.severity_number, failed.severity_text.as_str()), (13, "WARN"));
    assert_eq!(attribute(charging, "token").as_deref(), Some("[FILTERED]"));
    assert_eq!(attribute(charging, "amount"), Some(format!("{:?}", Some(Any::IntValue(5)))));
    assert_eq!(attribute(charging, "exact"), Some(format!("{:?}", Some(Any::DoubleValue(0.5)))));
    assert_eq!(attribute(charging, "paid"), Some(format!("{:?}", Some(Any::BoolValue(true)))));
    assert_eq!(attribute(failed, "error_message").as_deref(), Some("declined"));
    assert_eq!(attribute(failed, "log.target").as_deref(), Some("tasker_telemetry::step"));
    let health = telemetry.health().logs.unwrap();
    assert_eq!((health.produced, health.exported, health.backlog), (2, 2, 0));
}

#[test]
fn nothing_is_sent_that_nobody_asked_for() {
    let server = Posted::start();
    let telemetry = Telemetry::from_variables([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", server.url().as_str()),
        ("OTEL_TRACES_EXPORTER", "none"),
    ]);
    let telemetry = telemetry.unwrap().auto_subscribers(false).log_level(LogLevel::Debug).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(OtlpLayer::new());
    tracing::subscriber::with_default(subscriber, || telemetry.in_scope(|| order_process(7)));
    telemetry.flush_blocking().unwrap();
    assert!(server.take().is_empty() && telemetry.health().logs.is_none());
}

#[test]
fn what_is_lost_is_counted_and_delays_nobody() {
    let server = Posted::start();
    server.status(400); // for good
    let endpoint = server.url();
    let from = Telemetry::from_variables([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("TASKER_TELEMETRY__LOGS_EXPORTER", "otlp"),
        ("TASKER_TELEMETRY__LOG_LEVEL", "debug"),
    ]);
    let telemetry = from.unwrap().auto_subscribers(false).build().unwrap();
    block_on(telemetry.scope(async { order_process(7) }));
    block_on(telemetry.shutdown()).unwrap();
    let health = telemetry.health().logs.unwrap();
    assert!(health.produced > 4 && health.exported == 0, "{health:?}");
    assert_eq!(health.dropped.get("rejected"), Some(&health.produced), "{health:?}");
    assert!(health.failed_requests > 0 && health.last_error.is_some());
}
