//! Options of logs.

use std::time::Duration;

use super::super::spec::{Field, InBuilder, OptionSpec, Standard};
use super::super::value::Kind;
use super::field;
use crate::logs::LogLevel;

const OTLP: bool = cfg!(feature = "otlp");

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "log_level",
        Kind::Choice(&["off", "warn", "debug"]),
        "\"off\"",
        "\"warn\"",
        "Which records of the `tracing` crate are made of what happens to tasks and steps: none, failures, everything.",
    )
    .field(field!(log.level))
    .live(|core, value| {
        let level = LogLevel::from_value(value).unwrap_or_default();
        core.change_log(|log| log.set_level(level))
    }),
    OptionSpec::new(
        "slow_step_threshold",
        Kind::Time,
        "\"0s\"",
        "\"500ms\"",
        "From how long on an attempt of a step is slow, and warned of; never when zero.",
    )
    .field(field!(log.slow_step_threshold))
    .live(|core, value| {
        let threshold = Duration::from_value(value).unwrap_or_default();
        core.change_log(|log| log.set_slow(threshold))
    }),
    OptionSpec::new(
        "logs_exporter",
        Kind::Choices(&["otlp", "none"]),
        "[\"none\"]",
        "[\"otlp\"]",
        "Whether logs are sent over OTLP: the records that `log_level` asks for, and what `logs::OtlpLayer` sees.",
    )
    .standard(Standard::List("OTEL_LOGS_EXPORTER")),
    OptionSpec::new(
        "logs.queue",
        Kind::Count(1),
        "131_072",
        "16_384",
        "How many lines of logs may wait to be sent over OTLP; what is over is dropped and counted.",
    )
    .unit("lines")
    .standard(Standard::Count("OTEL_BLRP_MAX_QUEUE_SIZE"))
    .features(&["otlp"], OTLP),
    OptionSpec::new("logs.batch", Kind::Count(1), "4_096", "512", "How many lines of logs one request has at most.")
        .unit("lines")
        .standard(Standard::Count("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"))
        .features(&["otlp"], OTLP),
    OptionSpec::new(
        "logs.delay",
        Kind::Time,
        "\"1s\"",
        "\"250ms\"",
        "How long a line waits for others before it is sent.",
    )
    .standard(Standard::Millis("OTEL_BLRP_SCHEDULE_DELAY"))
    .features(&["otlp"], OTLP),
    OptionSpec::new("logs.timeout", Kind::Time, "\"10s\"", "\"3s\"", "How long one request with lines may take.")
        .standard(Standard::Millis("OTEL_BLRP_EXPORT_TIMEOUT"))
        .features(&["otlp"], OTLP),
];
