//! Options of OTLP, for all signals and for one.

use super::super::spec::{OptionSpec, Standard};
use super::super::value::{Kind, Value};

const OTLP: bool = cfg!(feature = "otlp");
const COMPRESSIONS: Kind = Kind::Choice(&["none", "gzip"]);
const PROTOCOLS: Kind = Kind::Choice(&["http/protobuf", "grpc"]);

pub(super) const OPTIONS: &[OptionSpec] = &[
    // OTLP, for all signals.
    OptionSpec::new(
        "otlp.endpoint",
        Kind::Text,
        "\"http://localhost:4318\"",
        "\"http://collector:4318\"",
        "The address of the OTLP server, to which the path of the signal is added. For gRPC the default has port 4317.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_ENDPOINT"))
    .check(server)
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.protocol",
        PROTOCOLS,
        "\"http/protobuf\"",
        "\"grpc\"",
        "How spans and logs travel over OTLP; metrics go over HTTP only, and are an error with `grpc` here: say it of the others.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_PROTOCOL"))
    .check(protocol)
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.headers",
        Kind::Pairs,
        "{}",
        "{ \"x-tenant\" = \"7\" }",
        "Headers of every request: keys, tenants.",
    )
    .standard(Standard::Pairs("OTEL_EXPORTER_OTLP_HEADERS"))
    .secret()
    .features(&["otlp"], OTLP),
    OptionSpec::new("otlp.compression", COMPRESSIONS, "\"none\"", "\"gzip\"", "Whether requests are compressed.")
        .standard(Standard::Text("OTEL_EXPORTER_OTLP_COMPRESSION"))
        .features(&["otlp"], OTLP),
    OptionSpec::new("otlp.timeout", Kind::Time, "\"10s\"", "\"3s\"", "How long one request may take.")
        .standard(Standard::Millis("OTEL_EXPORTER_OTLP_TIMEOUT"))
        .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.certificate",
        Kind::Text,
        "\"\"",
        "\"ca.pem\"",
        "A PEM file with the certificates to trust; those of the web's authorities when empty.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_CERTIFICATE"))
    .features(&["otlp"], OTLP),
    // OTLP, for one signal.
    OptionSpec::new(
        "otlp.traces.endpoint",
        Kind::Text,
        "\"\"",
        "\"http://collector:4318/v1/traces\"",
        "The whole address for spans; `otlp.endpoint` when empty.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
    .check(server)
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.traces.protocol",
        PROTOCOLS,
        "\"http/protobuf\"",
        "\"grpc\"",
        "How spans travel; as `otlp.protocol` says unless set.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"))
    .check(protocol)
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.traces.headers",
        Kind::Pairs,
        "{}",
        "{ \"x-tenant\" = \"8\" }",
        "Headers of requests with spans, beside `otlp.headers`.",
    )
    .standard(Standard::Pairs("OTEL_EXPORTER_OTLP_TRACES_HEADERS"))
    .secret()
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.traces.compression",
        COMPRESSIONS,
        "\"none\"",
        "\"gzip\"",
        "The same for spans; as `otlp.compression` says unless set.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"))
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.traces.timeout",
        Kind::Time,
        "\"10s\"",
        "\"4s\"",
        "The same for spans; as `otlp.timeout` says unless set.",
    )
    .standard(Standard::Millis("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"))
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.traces.certificate",
        Kind::Text,
        "\"\"",
        "\"ca-traces.pem\"",
        "The same for spans; as `otlp.certificate` says when empty.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"))
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.logs.endpoint",
        Kind::Text,
        "\"\"",
        "\"http://collector:4318/v1/logs\"",
        "The whole address for log records; `otlp.endpoint` when empty.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"))
    .check(server)
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.logs.protocol",
        PROTOCOLS,
        "\"http/protobuf\"",
        "\"grpc\"",
        "How log records travel; as `otlp.protocol` says unless set.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"))
    .check(protocol)
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.logs.headers",
        Kind::Pairs,
        "{}",
        "{ \"x-tenant\" = \"6\" }",
        "Headers of requests with lines of logs, beside `otlp.headers`.",
    )
    .standard(Standard::Pairs("OTEL_EXPORTER_OTLP_LOGS_HEADERS"))
    .secret()
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.logs.compression",
        COMPRESSIONS,
        "\"none\"",
        "\"gzip\"",
        "The same for lines; as `otlp.compression` says unless set.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION"))
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.logs.timeout",
        Kind::Time,
        "\"10s\"",
        "\"6s\"",
        "The same for lines; as `otlp.timeout` says unless set.",
    )
    .standard(Standard::Millis("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT"))
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.logs.certificate",
        Kind::Text,
        "\"\"",
        "\"ca-logs.pem\"",
        "The same for lines; as `otlp.certificate` says when empty.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE"))
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.metrics.endpoint",
        Kind::Text,
        "\"\"",
        "\"http://collector:4318/v1/metrics\"",
        "The whole address for metrics; `otlp.endpoint` when empty.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"))
    .check(server)
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.metrics.headers",
        Kind::Pairs,
        "{}",
        "{ \"x-tenant\" = \"9\" }",
        "Headers of requests with metrics, beside `otlp.headers`.",
    )
    .standard(Standard::Pairs("OTEL_EXPORTER_OTLP_METRICS_HEADERS"))
    .secret()
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.metrics.compression",
        COMPRESSIONS,
        "\"none\"",
        "\"gzip\"",
        "The same for metrics; as `otlp.compression` says unless set.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION"))
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.metrics.timeout",
        Kind::Time,
        "\"10s\"",
        "\"5s\"",
        "The same for metrics; as `otlp.timeout` says unless set.",
    )
    .standard(Standard::Millis("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT"))
    .features(&["otlp"], OTLP),
    OptionSpec::new(
        "otlp.metrics.certificate",
        Kind::Text,
        "\"\"",
        "\"ca-metrics.pem\"",
        "The same for metrics; as `otlp.certificate` says when empty.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE"))
    .features(&["otlp"], OTLP),
];

fn protocol(value: &Value) -> Result<(), String> {
    match value {
        Value::Text(name) if name == "grpc" && !cfg!(feature = "grpc") => {
            Err("`grpc` needs the feature `grpc` of tasker-telemetry".to_owned())
        }
        _ => Ok(()),
    }
}

/// An address of a server, with `http://` or without; never shown, since it may hold a password.
#[cfg(feature = "otlp")]
pub(super) fn server(value: &Value) -> Result<(), String> {
    let Value::Text(url) = value else { return Ok(()) };
    let is_encrypted = url.starts_with("https://");
    let url = if url.contains("://") { url.clone() } else { format!("http://{url}") };
    match crate::otlp::check_url(&url) {
        Err(_) if is_encrypted && !cfg!(feature = "tls") => {
            Err("begins with `https`, which needs the feature `tls` of tasker-telemetry".to_owned())
        }
        Err(_) if value != &Value::Text(String::new()) => {
            Err("must be an address of a server, such as `http://host:4318`".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(not(feature = "otlp"))]
#[allow(clippy::unnecessary_wraps, reason = "the form of a check")]
pub(super) fn server(_: &Value) -> Result<(), String> {
    Ok(())
}
