//! Records of what happens to tasks and steps: what is told at which level, in which order of fields, masked; slow steps; lines
//! that say of which step they are.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value as Json;
use tasker_telemetry::logs::{Lines, LogLevel};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::InMemorySpans;
use tasker_telemetry::{Builder, CorrelationId};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[step(retry_limit = 2, fields(token))]
async fn charge(token: &str) -> Result<(), String> {
    tracing::info!(amount = 5, password = "canary1", "charging with {token}");
    Err(format!("declined: {token}"))
}

#[step]
async fn pack() {}

#[task(id = order, correlation_id = request)]
async fn order_process(order: u64, request: &str) -> Result<(), String> {
    pack().await;
    charge("canary2").await
}

/// The lines of one run, and its telemetry.
fn logged(lines: Lines, set: impl FnOnce(Builder) -> Builder) -> (Vec<String>, Telemetry) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .event_format(lines)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(InMemorySpans::default());
        let telemetry = set(builder).build().unwrap();
        let _ = block_on(telemetry.scope(order_process(7, "req-1")));
        tracing::info!("outside");
        telemetry.flush_blocking().unwrap();
        (log.lines(), telemetry)
    })
}

fn parsed(lines: &[String]) -> Vec<Json> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// Of the life cycle alone.
fn told(lines: &[String]) -> Vec<(String, String)> {
    let text = |json: &Json, name: &str| json[name].as_str().unwrap().to_owned();
    let lines = parsed(lines).into_iter().filter(|json| text(json, "target").starts_with("tasker_telemetry::"));
    lines.map(|json| (text(&json, "level"), text(&json, "message"))).collect()
}

#[test]
fn failures_are_warnings_and_everything_else_is_for_debugging() {
    let warned = [
        ("WARN", "step.failed"),
        ("WARN", "step.failed"),
        ("WARN", "step.max_retries_reached"),
        ("WARN", "task.failed"),
    ];
    let all = [
        ("DEBUG", "task.initialize_requested"),
        ("DEBUG", "task.start_requested"),
        ("DEBUG", "step.execution_requested"),
        ("DEBUG", "step.started"),
        ("DEBUG", "step.completed"),
        ("DEBUG", "step.execution_requested"),
        ("DEBUG", "step.started"),
        ("WARN", "step.failed"),
        ("DEBUG", "step.retry_requested"),
        ("DEBUG", "step.execution_requested"),
        ("DEBUG", "step.started"),
        ("WARN", "step.failed"),
        ("WARN", "step.max_retries_reached"),
        ("WARN", "task.failed"),
    ];
    for (level, wanted) in [(LogLevel::Off, &[][..]), (LogLevel::Warn, &warned), (LogLevel::Debug, &all)] {
        let (lines, _) = logged(Lines::json(), |builder| builder.log_level(level));
        let told = told(&lines);
        let told: Vec<_> = told.iter().map(|(level, message)| (&**level, &**message)).collect();
        assert_eq!(told, wanted);
    }
}

/// Where each of these names stands in the line, all of which must be there.
fn positions(line: &str, names: &[&str]) -> Vec<usize> {
    let place = |name: &&str| line.find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("no {name} in {line}"));
    names.iter().map(place).collect()
}

#[test]
fn fields_stand_in_one_order_and_nothing_masked_is_shown() {
    let (lines, _) = logged(Lines::json(), |builder| builder.log_level(LogLevel::Warn));
    assert!(lines.iter().all(|line| !line.contains("canary")), "{lines:#?}");
    let failed = lines.iter().find(|line| line.contains("step.failed")).unwrap();
    let order = [
        "timestamp",
        "level",
        "target",
        "message",
        "correlation_id",
        "task_id",
        "step_id",
        "trace_id",
        "span_id",
        "task_name",
        "step_name",
        "attempt_number",
        "retry_limit",
        "execution_duration",
        "error_class",
        "error_type",
        "error_message",
        "at",
    ];
    assert!(positions(failed, &order).is_sorted(), "{failed}");
    let json: Json = serde_json::from_str(failed).unwrap();
    assert_eq!((&json["correlation_id"], &json["task_id"]), (&"req-1".into(), &"7".into()));
    assert_eq!((&json["attempt_number"], &json["retry_limit"]), (&1.into(), &2.into()));
    assert_eq!(json["error_message"], "declined: [FILTERED]");

    // What users log, wherever it is.
    let charging = lines.iter().find(|line| line.contains("charging")).unwrap();
    let order =
        ["message", "correlation_id", "task_id", "step_id", "trace_id", "span_id", "step_name", "amount", "password"];
    assert!(positions(charging, &order).is_sorted(), "{charging}");
    let own: Json = serde_json::from_str(charging).unwrap();
    for name in ["correlation_id", "task_id", "step_id", "trace_id", "span_id", "attempt_number"] {
        assert_eq!(own[name], json[name], "{name}: the line and the record are of one attempt");
    }
    assert_eq!((&own["message"], &own["password"]), (&"charging with [FILTERED]".into(), &"[FILTERED]".into()));
    let outside = lines.iter().find(|line| line.contains("outside")).unwrap();
    assert!(!outside.contains("task_id"), "{outside}");
}

#[test]
fn text_is_one_line_each() {
    let (lines, _) = logged(Lines::text(), |builder| builder.log_level(LogLevel::Warn));
    let failed = lines.iter().find(|line| line.contains("step.failed")).unwrap();
    assert!(
        failed.contains("WARN tasker_telemetry::step: step.failed correlation_id=req-1 task_id=7 step_id="),
        "{failed}"
    );
    assert!(failed.contains(r#"error_message="declined: [FILTERED]""#), "{failed}");
    assert!(lines.iter().all(|line| line.starts_with("20")), "{lines:#?}");
}

#[test]
fn slow_steps_are_warned_of() {
    let slow = |set: fn(Builder) -> Builder| {
        let (lines, _) = logged(Lines::json(), set);
        let slow = told(&lines).into_iter().filter(|(level, text)| level == "WARN" && text.starts_with("slow step"));
        slow.count()
    };
    assert_eq!(slow(|builder| builder.slow_step_threshold(Duration::from_nanos(1))), 3, "every attempt");
    assert_eq!(slow(|builder| builder.slow_step_threshold(Duration::from_secs(3_600))), 0);
    assert_eq!(slow(|builder| builder.log_level(LogLevel::Debug)), 0);
}

#[test]
fn the_level_changes_while_tasks_run() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .event_format(Lines::json())
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let from = Telemetry::from_variables([("TASKER_TELEMETRY__TRACES_EXPORTER", "none")]).unwrap();
        let telemetry = from.auto_subscribers(false).metrics_enabled(false).build().unwrap();
        let run = || {
            let before = log.lines().len();
            let _ = block_on(telemetry.scope(order_process(7, "req-1")));
            telemetry.flush_blocking().unwrap();
            told(&log.lines()[before..]).len()
        };
        assert_eq!(run(), 0);
        telemetry.change("log_level", "debug").unwrap();
        assert_eq!(run(), 14);
        telemetry.change("log_level", "warn").unwrap();
        assert_eq!(run(), 4);
        telemetry.change("slow_step_threshold", "0.000000001").unwrap();
        assert_eq!(run(), 4 + 3);
        telemetry.change("slow_step_threshold", "0s").unwrap();
        telemetry.change("log_level", "off").unwrap();
        assert_eq!(run(), 0);
    });
    // Where nothing was set up for it, it says so.
    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    let error = telemetry.change("log_level", "debug").unwrap_err().to_string();
    assert!(error.contains("nothing was set up for logs"), "{error}");
}

#[test]
fn a_correlation_id_is_on_everything() {
    use tasker_telemetry::trace::Span;

    #[task]
    async fn inner() -> Vec<String> {
        pack().await;
        vec![TaskScope::current().unwrap().correlation_id()]
    }
    #[task(correlation_id = own)]
    async fn outer(own: &str) -> Vec<String> {
        let explicit: CorrelationId = "third".parse().unwrap();
        [inner().await, explicit.scope(inner()).await, vec![TaskScope::current().unwrap().correlation_id()]].concat()
    }
    let spans = InMemorySpans::default();
    let recording = tasker_telemetry::testing::Recording::with(
        Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone()),
    )
    .unwrap();
    let given: CorrelationId = "first".parse().unwrap();
    let seen = block_on(recording.scope(given.clone().scope(outer("second"))));
    assert_eq!(seen, ["second", "third", "second"], "a task inside takes over that of the task around it");
    // What can be none is counted, and what is around stands.
    assert_eq!(block_on(recording.scope(given.clone().scope(outer("not, this")))), ["first", "third", "first"]);
    assert_eq!(recording.telemetry().health().invalid_correlation_ids, 1);
    assert_eq!(given.in_scope(|| recording.in_scope(|| block_on(inner()))), ["first"]);
    let traced = block_on(recording.scope(inner()));
    assert_eq!(traced[0].len(), 32, "else it is the trace id");
    recording.telemetry().flush_blocking().unwrap();

    let in_events: Vec<_> = recording.events().iter().map(|event| event.payload()["correlation_id"].clone()).collect();
    assert!(
        in_events.contains(&"second".into())
            && in_events.contains(&"third".into())
            && in_events.contains(&"first".into())
    );
    let of = |span: &Span| span.attributes().into_iter().find(|(key, _)| key == "tasker.correlation_id");
    let on_spans: Vec<_> = spans.spans().iter().filter_map(of).map(|(_, value)| value).collect();
    assert_eq!(on_spans.iter().filter(|id| **id == "third".into()).count(), 2 * 2, "{on_spans:?}");
    assert_eq!(spans.spans().len() - on_spans.len(), 2, "where it is the trace id there is none");
}

#[test]
fn a_correlation_id_travels() {
    #[task(id = 7, correlation_id = "req-9")]
    fn begins() -> tasker_telemetry::trace::Carrier {
        TaskScope::current().unwrap().hand_over()
    }
    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    let carrier = telemetry.in_scope(begins);
    assert_eq!(carrier.correlation_id(), Some("req-9"));
    let headers = carrier.to_headers();
    let json = serde_json::to_value(&carrier).unwrap();
    let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
    let from_headers = tasker_telemetry::trace::Carrier::from_headers(headers).unwrap();
    for carrier in [serde_json::from_value(json.clone()).unwrap(), from_headers] {
        let task = telemetry.in_scope(|| TaskScope::resume(carrier));
        let seen = task.in_scope(|| TaskScope::current().unwrap().correlation_id());
        assert_eq!(seen, "req-9");
        task.complete();
    }
    // It comes from outside: what can be none is not taken over.
    let mut forged = json;
    forged["correlation_id"] = "a\nb".into();
    let task = telemetry.in_scope(|| TaskScope::resume(serde_json::from_value(forged).unwrap()));
    assert_eq!(task.in_scope(|| TaskScope::current().unwrap().correlation_id()).len(), 32);
    task.complete();
}
