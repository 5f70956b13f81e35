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
use trace_kit::grpc::GrpcSink;
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
    check(&records, &spans);
    let health = telemetry.health().logs.unwrap();
    assert_eq!((health.produced, health.exported, health.backlog), (2, 2, 0));
}

/// What must have come of [`order_process`].
fn check(records: &[LogRecord], spans: &InMemorySpans) {
    let bodies: Vec<_> = records.iter().map(|record| text(record.body.clone().unwrap().value)).collect();
    assert_eq!(bodies, ["charging", "step.failed"]);
    let step = &spans.named("tasker.step.execution")[0];
    for record in records {
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
}

#[test]
fn over_grpc_they_arrive_as_well() {
    // By the variable for all signals, by the one of logs while spans go elsewhere, and by code.
    for how in ["all", "logs", "code"] {
        let (grpc, http, spans) = (GrpcSink::start(), Posted::start(), InMemorySpans::default());
        let variables = match how {
            "all" => vec![
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", grpc.endpoint()),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()),
            ],
            "logs" => vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", http.url()),
                ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc".to_owned()),
                ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", grpc.endpoint()),
            ],
            _ => vec![("OTEL_TRACES_EXPORTER", "none".to_owned())],
        };
        let always =
            [("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "X-Tenant=6".to_owned()), ("OTEL_LOGS_EXPORTER", "otlp".to_owned())];
        let from = match how {
            "code" => Telemetry::builder()
                .variables([("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "X-Tenant=6")])
                .otlp_logs()
                .option("otlp.logs.protocol", "grpc")
                .option("otlp.logs.endpoint", grpc.endpoint()),
            _ => Telemetry::from_variables(variables.into_iter().chain(always)).unwrap(),
        };
        let builder = from.auto_subscribers(false).service_name("shop").log_level(LogLevel::Warn);
        let telemetry = builder.in_memory_spans(spans.clone()).build().unwrap();
        let subscriber = tracing_subscriber::registry().with(OtlpLayer::new());
        tracing::subscriber::with_default(subscriber, || telemetry.in_scope(|| order_process(7)));
        telemetry.flush_blocking().unwrap();

        check(&grpc.logs(), &spans);
        let calls = grpc.log_calls();
        let has = |name: &str, value: &str| calls[0].metadata.iter().any(|pair| pair.0 == name && pair.1 == value);
        assert!(has("x-tenant", "6"), "{how}: {calls:?}");
        assert_eq!(has("grpc-encoding", "gzip"), how == "all", "{calls:?}");
        let paths: Vec<_> = http.take().into_iter().map(|request| request.path).collect();
        assert!(
            paths.iter().all(|path| path == "/v1/traces") && paths.is_empty() == (how != "logs"),
            "{how}: {paths:?}"
        );
        let (health, protocol) = (telemetry.health().logs.unwrap(), telemetry.settings());
        assert_eq!((health.produced, health.exported, health.backlog), (2, 2, 0), "{how}");
        let protocol = protocol.get(if how == "all" { "otlp.protocol" } else { "otlp.logs.protocol" }).unwrap();
        assert_eq!(protocol.value, "\"grpc\"", "{how}");
    }
}

/// A telemetry whose logs go over gRPC, and nothing else.
fn over_grpc(grpc: &GrpcSink) -> Telemetry {
    let builder = Telemetry::builder().auto_subscribers(false).variables([("", "")]).otlp_logs();
    let builder = builder.option("otlp.logs.protocol", "grpc").option("otlp.logs.endpoint", grpc.endpoint());
    builder.log_level(LogLevel::Warn).build().unwrap()
}

#[test]
fn over_grpc_codes_are_tried_again_as_the_specification_says() {
    for (codes, exported, calls) in [(&[14, 4][..], 1, 3), (&[13], 0, 1), (&[16], 0, 1)] {
        let grpc = GrpcSink::start();
        grpc.refuse_logs(codes);
        let telemetry = over_grpc(&grpc);
        telemetry.in_scope(|| order_process(7));
        telemetry.flush_blocking().unwrap();
        let health = telemetry.health().logs.unwrap();
        let lost: u64 = health.dropped.values().sum();
        assert_eq!(
            (health.exported, lost, grpc.log_calls().len()),
            (exported, 1 - exported, calls),
            "{codes:?}: {health:?}"
        );
    }
}

#[test]
fn a_batch_that_no_server_would_take_goes_in_parts() {
    // gRPC's default limit of a message, which this server keeps, is 4 MiB.
    let grpc = GrpcSink::start();
    let telemetry = over_grpc(&grpc);
    let subscriber = tracing_subscriber::registry().with(OtlpLayer::new());
    let long = "x".repeat(16_000);
    tracing::subscriber::with_default(subscriber, || {
        telemetry.in_scope(|| (0..1_000).for_each(|number| tracing::info!(number, long)));
    });
    telemetry.flush_blocking().unwrap();
    let health = telemetry.health().logs.unwrap();
    assert_eq!((health.exported, grpc.logs().len()), (1_000, 1_000), "{health:?}");
    assert!(grpc.log_calls().len() > 3);
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
