//! Options of traces.

use super::super::spec::{Field, InBuilder, OptionSpec, Standard};
use super::super::standard;
use super::super::value::{Kind, Value};
use super::field;
use crate::telemetry::Core;

const PARENTINGS: Kind = Kind::Choice(&["link", "child", "none"]);

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "traces_exporter",
        Kind::Choices(&["otlp", "console", "none"]),
        "[\"otlp\"]",
        "[\"console\"]",
        "Where spans go. The default holds for `Telemetry::from_env` and `from_file` where the code names no OTLP exporter; otherwise none.",
    )
    .standard(Standard::List("OTEL_TRACES_EXPORTER")),
    OptionSpec::new(
        "sampling.ratio",
        Kind::Share,
        "1.0",
        "0.1",
        "The share of tasks that is traced, decided by trace id. Events and metrics are not sampled.",
    )
    .standard(Standard::Read(&["OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"], standard::sampling_ratio))
    .field(field!(traces.ratio))
    .live(change_sampling),
    OptionSpec::new(
        "sampling.keep_failures",
        Kind::Flag,
        "false",
        "true",
        "Also exports the tasks that fail, whole, whatever the ratio.",
    )
    .field(field!(traces.keep_failures))
    .live(change_keep_failures),
    OptionSpec::new(
        "sampling.parent_based",
        Kind::Flag,
        "true",
        "false",
        "Whether a task that goes on in its caller's trace takes over the caller's decision.",
    )
    .standard(Standard::Read(&["OTEL_TRACES_SAMPLER"], standard::sampling_parent_based))
    .field(field!(traces.parent_based))
    .live(change_parent_based),
    OptionSpec::new(
        "trace_parenting",
        PARENTINGS,
        "\"link\"",
        "\"child\"",
        "Where a task stands to the trace that is active where it begins: linked from its own, a child in it, or nothing.",
    )
    .field(field!(traces.parenting)),
    OptionSpec::new(
        "success_status",
        Kind::Choice(&["ok", "unset"]),
        "\"ok\"",
        "\"unset\"",
        "The status of the span of what ended well; `unset` is the specification's advice for libraries.",
    )
    .field(Field {
        get: |builder| builder.traces.success_is_ok.map(|ok| Value::Text(if ok { "ok" } else { "unset" }.to_owned())),
        set: |builder, value| builder.traces.success_is_ok = Some(*value == Value::Text("ok".to_owned())),
    }),
    OptionSpec::new(
        "exception_signal",
        Kind::Choice(&["span", "logs", "logs/dup"]),
        "\"span\"",
        "\"logs/dup\"",
        "Where exceptions go: on their span as events, as log records, or both.",
    )
    .standard(Standard::Read(&["OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"], standard::exception_signal)),
    OptionSpec::new(
        "undecided_spans",
        Kind::Count(0),
        "100_000",
        "20_000",
        "How many finished spans may wait until it is known whether their tasks fail; over that the oldest task's go first, and are counted.",
    )
    .unit("spans")
    .field(field!(traces.undecided_spans)),
    OptionSpec::new(
        "open_task_limit",
        Kind::Count(1),
        "100_000",
        "20_000",
        "How many open tasks are looked after at most.",
    )
    .unit("tasks")
    .field(field!(traces.open_task_limit)),
    OptionSpec::new("open_task_ttl", Kind::Time, "\"24h\"", "\"72h\"", "How long an open task is looked after.")
        .field(field!(traces.open_task_ttl)),
    OptionSpec::new(
        "log_spans",
        Kind::Flag,
        "true",
        "false",
        "Whether bodies run inside a span of the `tracing` crate, so that what is logged inside says of which step, task and trace.",
    )
    .field(field!(traces.log_spans)),
    OptionSpec::new(
        "baggage_keys",
        Kind::List,
        "[]",
        "[\"tenant\"]",
        "Which entries of the current OpenTelemetry baggage travel with a task to other processes.",
    )
    .field(field!(traces.baggage_keys)),
    OptionSpec::new(
        "span_metrics",
        Kind::Flag,
        "false",
        "true",
        "Whether rate, errors and duration are also computed from finished spans, as metrics `span_..`.",
    )
    .field(field!(traces.span_metrics)),
    OptionSpec::new(
        "spans.queue",
        Kind::Count(1),
        "131_072",
        "65_536",
        "How many spans may wait for an exporter; what is over is dropped and counted.",
    )
    .unit("spans")
    .standard(Standard::Count("OTEL_BSP_MAX_QUEUE_SIZE")),
    OptionSpec::new("spans.batch", Kind::Count(1), "4_096", "512", "How many spans one request has at most.")
        .unit("spans")
        .standard(Standard::Count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")),
    OptionSpec::new("spans.delay", Kind::Time, "\"1s\"", "\"250ms\"", "How long a span waits for others before it is sent.")
        .standard(Standard::Millis("OTEL_BSP_SCHEDULE_DELAY")),
    OptionSpec::new("spans.timeout", Kind::Time, "\"10s\"", "\"3s\"", "How long one export may take.")
        .standard(Standard::Millis("OTEL_BSP_EXPORT_TIMEOUT")),
];

fn change_sampling(core: &Core, value: &Value) -> Result<(), String> {
    core.change_sampling(|sampling| match value {
        Value::Share(share) => sampling.with_share(*share),
        _ => sampling,
    })
}

fn change_keep_failures(core: &Core, value: &Value) -> Result<(), String> {
    core.change_sampling(|sampling| sampling.keep_failures_if(*value == Value::Flag(true)))
}

fn change_parent_based(core: &Core, value: &Value) -> Result<(), String> {
    core.change_sampling(|sampling| sampling.parent_based(*value == Value::Flag(true)))
}
