//! Options of metrics, and of the ways that they leave.

use super::super::spec::{Field, InBuilder, OptionSpec, Standard};
use super::super::value::Kind;
use super::field;

const OTLP: bool = cfg!(feature = "otlp");
const STATSD: bool = cfg!(feature = "statsd");
const SERVE: bool = cfg!(feature = "serve");

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new("metrics_enabled", Kind::Flag, "true", "false", "Whether the life cycle records metrics.")
        .field(field!(metrics_enabled)),
    OptionSpec::new(
        "metrics_format",
        Kind::Choice(&["prometheus", "openmetrics", "json", "csv"]),
        "\"prometheus\"",
        "\"openmetrics\"",
        "The format of `MetricsBackend::export`, and of `/metrics` where the client has no wish.",
    )
    .field(field!(metrics_format)),
    OptionSpec::new(
        "metrics_series_limit",
        Kind::Count(2),
        "2_000",
        "500",
        "How many series each metric may have; what is over is recorded in one that is labelled `otel_metric_overflow`.",
    )
    .unit("series")
    .field(field!(metrics_series_limit)),
    OptionSpec::new(
        "metrics_exporter",
        Kind::Choices(&["otlp", "none"]),
        "[\"none\"]",
        "[\"otlp\"]",
        "Whether metrics are pushed over OTLP. Other ways have sections of their own.",
    )
    .standard(Standard::List("OTEL_METRICS_EXPORTER")),
    OptionSpec::new("metrics_interval", Kind::Time, "\"1m\"", "\"10s\"", "How often metrics are pushed over OTLP.")
        .standard(Standard::Millis("OTEL_METRIC_EXPORT_INTERVAL"))
        .features(&["otlp"], OTLP),
    OptionSpec::new(
        "metrics_temporality",
        Kind::Choice(&["cumulative", "delta", "lowmemory"]),
        "\"cumulative\"",
        "\"delta\"",
        "Since when the sums are told that OTLP carries: since the start, or since the last push.",
    )
    .standard(Standard::Text("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"))
    .features(&["otlp"], OTLP),
    // Prometheus' Pushgateway.
    OptionSpec::new("pushgateway.url", Kind::Text, "\"\"", "\"http://localhost:9091\"", "The Pushgateway that metrics are pushed to; none when empty.")
        .field(field!(ways.pushgateway_url))
        .check(super::otlp::server)
        .features(&["otlp"], OTLP),
    OptionSpec::new("pushgateway.job", Kind::Text, "\"\"", "\"nightly\"", "The job whose metrics they are; the name of the service when empty.")
        .field(field!(ways.pushgateway_job))
        .features(&["otlp"], OTLP),
    OptionSpec::new("pushgateway.labels", Kind::Pairs, "{}", "{ \"instance\" = \"a\" }", "What tells this group from others of the job.")
        .field(field!(ways.pushgateway_labels))
        .features(&["otlp"], OTLP),
    OptionSpec::new("pushgateway.headers", Kind::Pairs, "{}", "{ \"x-tenant\" = \"7\" }", "Headers of every request.")
        .field(field!(ways.pushgateway_headers))
        .secret()
        .features(&["otlp"], OTLP),
    OptionSpec::new("pushgateway.interval", Kind::Time, "\"1m\"", "\"10s\"", "How often metrics are pushed there.")
        .field(field!(ways.pushgateway_interval))
        .features(&["otlp"], OTLP),
    // StatsD.
    OptionSpec::new("statsd.address", Kind::Text, "\"\"", "\"127.0.0.1:8125\"", "The StatsD server that metrics are sent to over UDP; none when empty.")
        .field(field!(ways.statsd_address))
        .features(&["statsd"], STATSD),
    OptionSpec::new("statsd.dialect", Kind::Choice(&["statsd", "dogstatsd"]), "\"statsd\"", "\"dogstatsd\"", "Whether labels become parts of the name, or tags.")
        .field(field!(ways.statsd_dialect))
        .features(&["statsd"], STATSD),
    OptionSpec::new("statsd.prefix", Kind::Text, "\"\"", "\"shop\"", "What all names begin with.")
        .field(field!(ways.statsd_prefix))
        .features(&["statsd"], STATSD),
    OptionSpec::new("statsd.tags", Kind::Pairs, "{}", "{ \"env\" = \"production\" }", "Tags that everything is given; DogStatsD only.")
        .field(field!(ways.statsd_tags))
        .features(&["statsd"], STATSD),
    OptionSpec::new("statsd.max_packet", Kind::Count(1), "1_432", "8_192", "How many bytes a datagram may have.")
        .unit("bytes")
        .field(field!(ways.statsd_max_packet))
        .features(&["statsd"], STATSD),
    OptionSpec::new("statsd.interval", Kind::Time, "\"10s\"", "\"1s\"", "How often metrics are sent there.")
        .field(field!(ways.statsd_interval))
        .features(&["statsd"], STATSD),
    // Pages over HTTP.
    OptionSpec::new("serve.address", Kind::Text, "\"\"", "\"127.0.0.1:0\"", "Where `/metrics` and `/health` are served; nowhere when empty.")
        .field(field!(ways.serve_address))
        .features(&["serve"], SERVE),
    OptionSpec::new("serve.bearer_token", Kind::Text, "\"\"", "\"a long secret\"", "What clients of these pages must send as `Authorization: Bearer ..`; nothing when empty.")
        .field(field!(ways.serve_token))
        .secret()
        .features(&["serve"], SERVE),
];
