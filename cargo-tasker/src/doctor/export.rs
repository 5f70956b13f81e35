//! Whether a span arrives: a test span is sent by the library itself, with the settings that a program here would have, and what the
//! backend answers is read.

use std::time::Duration;

use tasker_telemetry::trace::{ExporterHealth, Otlp};
use tasker_telemetry::{Builder, Telemetry, task};

use super::finding::Finding;
use super::network::{authority, connect};
use super::settings;

/// How long the export of one span may take.
const EXPORT: Duration = Duration::from_secs(4);

/// An OTLP server.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) grpc: bool,
    /// Where the address was found.
    pub(super) source: String,
    /// Whether it was named on the command line: else the settings have it.
    pub(super) named: bool,
}

#[task(name = "cargo_tasker_doctor")]
fn test_task() {}

pub(super) fn check(target: &Target) -> Vec<Finding> {
    let protocol = if target.grpc { "grpc" } else { "http" };
    let area = format!("otlp {protocol}");
    let Some((host, port)) = authority(&target.url, if target.grpc { 4317 } else { 4318 }) else {
        return vec![Finding::broken(
            &area,
            format!("`{}` ({}) is no address", target.url, target.source),
            "write one such as `http://localhost:4318`",
        )];
    };
    if let Err(problem) = connect(&host, port) {
        return vec![Finding::broken(
            &area,
            format!("{problem} ({})", target.source),
            "start a Collector or Jaeger there, or say where it is: OTEL_EXPORTER_OTLP_ENDPOINT=http://host:4318; OTEL_TRACES_EXPORTER=none asks for none",
        )];
    }
    let builder = if target.named {
        let otlp = if target.grpc { Otlp::grpc() } else { Otlp::http() };
        Telemetry::builder().otlp_with(otlp.endpoint(&target.url))
    } else {
        match settings::exporting() {
            Ok(builder) => builder,
            Err(error) => return vec![Finding::broken(&area, error, "correct the setting")],
        }
    };
    vec![match export(builder) {
        Ok(exporter) => verdict(&area, target, &exporter),
        Err(problem) => Finding::broken(&area, problem, "correct the setting"),
    }]
}

/// Sends one span and answers with what became of it.
fn export(builder: Builder) -> Result<ExporterHealth, String> {
    // Not dropped: that would wait once more, and the process ends soon.
    let telemetry =
        builder.auto_subscribers(false).shutdown_timeout(EXPORT).build().map_err(|error| error.to_string())?;
    let telemetry = std::mem::ManuallyDrop::new(telemetry);
    telemetry.in_scope(test_task);
    // That it did not get through in time stands in the books, too.
    let _ = telemetry.flush_blocking();
    let spans = telemetry.health().spans.ok_or("the settings ask for no export of spans")?;
    spans.exporters.into_iter().find(|exporter| exporter.name == "otlp").ok_or_else(|| "no OTLP exporter".to_owned())
}

fn verdict(area: &str, target: &Target, exporter: &ExporterHealth) -> Finding {
    let url = &target.url;
    if exporter.exported > 0 {
        return Finding::good(area, format!("{url} took a test span ({})", target.source));
    }
    let Some(error) = &exporter.last_error else {
        return Finding::broken(
            area,
            format!("{url} takes connections and does not answer within {} s ({})", EXPORT.as_secs(), target.source),
            "is it the right port? OTLP speaks gRPC at 4317 and HTTP at 4318; something else may hang there",
        );
    };
    Finding::broken(area, format!("{url} refused a test span: {error} ({})", target.source), advice(error, target.grpc))
}

/// What usually is the matter.
fn advice(error: &str, grpc: bool) -> &'static str {
    let error = error.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if has(&["401", "403", "unauthenticated", "permission"]) {
        "the credentials are wrong or missing: OTEL_EXPORTER_OTLP_HEADERS=\"authorization=Bearer ..\", as the backend wants them"
    } else if has(&["404", "405", "unimplemented"]) {
        "the path or the protocol is not the server's: OTEL_EXPORTER_OTLP_ENDPOINT is the base (`/v1/traces` is added), OTEL_EXPORTER_OTLP_PROTOCOL is `http/protobuf` or `grpc`"
    } else if has(&["429", "503", "unavailable", "exhausted"]) {
        "the backend has too much to do, or is not ready: look at its own log"
    } else if has(&["timeout", "timed out", "deadline", "no time"]) {
        "it does not answer in time: is it the right port? OTLP speaks gRPC at 4317 and HTTP at 4318"
    } else if grpc {
        "is it a gRPC port? 4317 usually is; for HTTP say OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
    } else {
        "is it an HTTP port? 4318 usually is; for gRPC say OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
    }
}
