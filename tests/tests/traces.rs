//! Spans: one task is one trace, one attempt one span, with true times, parents, links, statuses and attributes.

use std::time::Duration;

use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{self, block_on};
use tasker_telemetry::trace::{InMemorySpans, Sampling, Span, SpanKind, SpanStatus, TraceParenting};
use tasker_telemetry::{Builder, Value};

const TASK: &str = "tasker.task.execution";
const STEP: &str = "tasker.step.execution";

fn traced(set: impl FnOnce(Builder) -> Builder) -> (Telemetry, InMemorySpans) {
    let spans = InMemorySpans::default();
    let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone());
    (set(builder).build().expect("the settings are right"), spans)
}

fn named(spans: &[Span], name: &str, step: &str) -> Vec<Span> {
    let found = spans.iter().filter(|span| span.name() == name);
    found
        .filter(|span| step.is_empty() || span.attribute("tasker.step_name") == Some(step.to_owned().into()))
        .cloned()
        .collect()
}

#[derive(Debug)]
struct Timeout;

impl std::fmt::Display for Timeout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the gateway timed out")
    }
}

impl std::error::Error for Timeout {}

/// Something to say.
#[derive(Serialize, Event)]
#[event("trace.said")]
struct Said {
    words: u32,
    #[event(sensitive)]
    card: String,
}

#[step(retry_limit = 3, fields(amount))]
async fn charge(amount: u64) -> Result<u64, Timeout> {
    publish(Said { words: 2, card: "4111".into() });
    std::thread::sleep(Duration::from_millis(2));
    if StepScope::current().is_some_and(|step| step.attempt_number() < 3) { Err(Timeout) } else { Ok(amount) }
}

#[step]
async fn inner() {}

#[step]
async fn outer() {
    inner().await;
}

#[task(id = id, fields(customer = "c-1"))]
async fn order(id: &str) -> Result<u64, Timeout> {
    outer().await;
    charge(7).await
}

#[test]
fn a_task_is_one_trace() {
    let (telemetry, spans) = traced(|builder| builder);
    let id = "0190a5b6-7c8d-7e9f-8a0b-1c2d3e4f5061";
    block_on(telemetry.scope(order(id))).unwrap();
    telemetry.flush_blocking().unwrap();
    let spans = spans.spans();
    assert_eq!(spans.len(), 6, "{spans:#?}");
    assert!(spans.iter().all(|span| span.trace_id().to_string() == id.replace('-', "")));

    let root = &named(&spans, TASK, "")[0];
    assert_eq!((root.parent_span_id(), root.kind(), root.status()), (None, SpanKind::Internal, SpanStatus::Ok));
    assert_eq!(root.attribute("tasker.task_id"), Some(id.to_owned().into()));
    assert_eq!(root.attribute("tasker.task_name"), Some("order".into()));
    let counts =
        ["tasker.total_steps", "tasker.completed_steps", "tasker.failed_steps"].map(|name| root.attribute(name));
    assert_eq!(counts, [3_i64, 3, 0].map(|count| Some(Value::I64(count))));
    assert_eq!(root.attribute("customer"), Some("c-1".into()));
    let events: Vec<_> = root.events().iter().map(|event| event.name.clone()).collect();
    assert_eq!(events, ["task.started", "task.completed"]);

    let (outer, inner) = (&named(&spans, STEP, "outer")[0], &named(&spans, STEP, "inner")[0]);
    assert_eq!(outer.parent_span_id(), Some(root.span_id()));
    assert_eq!(inner.parent_span_id(), Some(outer.span_id()), "a step inside a step");

    let attempts = named(&spans, STEP, "charge");
    assert_eq!(attempts.len(), 3);
    for (attempt, number) in attempts.iter().zip(1_i64..) {
        assert_eq!(attempt.attribute("tasker.attempt_number"), Some(Value::I64(number)));
        assert_eq!(attempt.attribute("tasker.retry_limit"), Some(Value::I64(3)));
        assert_eq!(attempt.attribute("amount"), Some(Value::I64(7)));
        assert_eq!(attempt.parent_span_id(), Some(root.span_id()));
        let Some(Value::F64(took)) = attempt.attribute("tasker.execution_duration") else { panic!("{attempt:?}") };
        let wide = attempt.end().saturating_duration_since(attempt.start()).as_secs_f64();
        assert!(took >= 0.002 && (wide - took).abs() < 1e-9, "{took} and {wide}");
        assert!(root.start() <= attempt.start() && attempt.end() <= root.end());
    }
    assert_eq!(attempts[0].links(), []);
    assert_eq!(attempts[2].links()[0].span_id(), attempts[1].span_id());
    assert_eq!(attempts[0].status(), SpanStatus::Error("the gateway timed out".into()));
    assert_eq!(attempts[0].attribute("error.type"), Some("timeout".into()));
    assert_eq!(attempts[0].attribute("tasker.error"), Some("the gateway timed out".into()));
    assert_eq!((attempts[2].status(), attempts[2].attribute("error.type")), (SpanStatus::Ok, None));
    let events = |span: &Span| span.events().iter().map(|event| event.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        events(&attempts[0]),
        ["step.started", "trace.said", "exception", "step.failed", "step.retry_requested"]
    );
    assert_eq!(events(&attempts[2]), ["step.started", "trace.said", "step.completed"]);
    let said = &attempts[0].events()[1];
    assert_eq!(said.attributes, [("card".into(), "[FILTERED]".into()), ("words".into(), Value::I64(2))]);
    let place = ["code.function.name", "code.file.path"].map(|name| attempts[0].attribute(name));
    assert_eq!(place, ["traces::charge", file!()].map(|text| Some(text.into())));
}

#[test]
fn a_task_run_again_keeps_its_trace_and_gets_another_root() {
    let (telemetry, spans) = traced(|builder| builder);
    for _ in 0..2 {
        block_on(telemetry.scope(order("order 7"))).unwrap();
    }
    telemetry.flush_blocking().unwrap();
    let roots = spans.named(TASK);
    assert_eq!(roots[0].trace_id(), roots[1].trace_id());
    assert_ne!(roots[0].span_id(), roots[1].span_id());
    for root in &roots {
        let children = spans.spans().into_iter().filter(|span| span.parent_span_id() == Some(root.span_id())).count();
        assert_eq!(children, 4);
    }
}

#[test]
fn events_carry_the_ids_of_their_span() {
    let spans = InMemorySpans::default();
    let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone());
    let recording = testing::Recording::with(builder).unwrap();
    block_on(recording.scope(order("order 8"))).unwrap();
    recording.telemetry().flush_blocking().unwrap();
    let text = |event: &EventRecord, name: &str| event.payload()[name].as_str().unwrap_or_default().to_owned();
    for span in spans.spans() {
        let of_span = |event: &&EventRecord| text(event, "span_id") == span.span_id().to_string();
        let ends = ["step.completed", "step.failed", "task.completed"];
        let events = recording.events();
        let ended: Vec<_> = events.iter().filter(of_span).filter(|event| ends.contains(&event.name())).collect();
        assert_eq!(ended.len(), 1, "one attempt, one span: {span:?}");
        assert_eq!(text(ended[0], "trace_id"), span.trace_id().to_string());
    }
    let untraced = testing::record_sync(|| block_on(order("order 9")));
    assert!(untraced.iter().all(|event| event.payload().get("trace_id").is_none()));
}

#[test]
fn sampled_out_there_is_nothing_and_failures_are_kept_whole() {
    #[task(id = number, fields(number))]
    async fn maybe(number: u64) -> Result<(), Timeout> {
        outer().await;
        publish(Said { words: 1, card: String::new() });
        if number.is_multiple_of(3) { Err(Timeout) } else { Ok(()) }
    }
    let run = |sampling| {
        let (telemetry, spans) = traced(|builder| builder.sampling(sampling));
        for number in 0..300 {
            let _ = block_on(telemetry.scope(maybe(number)));
        }
        telemetry.flush_blocking().unwrap();
        (telemetry, spans)
    };
    let (telemetry, spans) = run(Sampling::none());
    assert_eq!((spans.spans().len(), telemetry.health().published.len()), (0, 0));

    let (telemetry, spans) = run(Sampling::none().keep_failures());
    assert_eq!((spans.named(TASK).len(), spans.named(STEP).len()), (100, 200));
    assert!(spans.named(TASK).iter().all(|root| root.events().iter().any(|event| event.name == "trace.said")));
    let health = telemetry.health().spans.unwrap();
    assert_eq!((health.produced, health.undecided, health.undecided_evicted), (300, 0, 0));

    let (_, spans) = run(Sampling::ratio(0.5));
    let roots = spans.named(TASK);
    assert!((100..200).contains(&roots.len()), "{}", roots.len());
    assert_eq!(spans.named(STEP).len(), 2 * roots.len(), "whole or absent");
}

#[test]
fn a_sampled_task_has_its_fields_inside_one_that_is_not() {
    #[task(id = id, fields(depth))]
    async fn nested(id: &str, depth: u32) {
        if depth > 0 {
            Box::pin(nested(IDS[1], depth - 1)).await;
        }
    }
    const IDS: [&str; 2] = ["0190a5b6-7c8d-7e9f-8000-000000000001", "0190a5b6-7c8d-7e9f-80ff-ffffffffffff"];
    let (telemetry, spans) = traced(|builder| builder.sampling(Sampling::ratio(0.5)));
    block_on(telemetry.scope(nested(IDS[0], 1)));
    telemetry.flush_blocking().unwrap();
    let roots = spans.named(TASK);
    assert_eq!(roots.len(), 1);
    assert_eq!(roots[0].attribute("depth"), Some(Value::I64(0)));
}

#[test]
fn undecided_spans_are_bounded_and_evictions_counted() {
    let (telemetry, spans) =
        traced(|builder| builder.sampling(Sampling::none().keep_failures()).undecided_spans(10_000));
    #[task]
    async fn waits(fail: bool) -> Result<(), Timeout> {
        outer().await;
        std::future::poll_fn(|_| std::task::Poll::<()>::Pending).await;
        if fail { Err(Timeout) } else { Ok(()) }
    }
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut tasks: Vec<_> = (0..100_000).map(|_| Box::pin(telemetry.scope(waits(true)))).collect();
    for task in &mut tasks {
        assert!(task.as_mut().poll(&mut cx).is_pending());
    }
    let health = telemetry.health().spans.unwrap();
    assert!(health.undecided <= 10_000, "{health:?}");
    assert!(health.undecided as u64 + health.undecided_evicted >= 200_000, "{health:?}");
    drop(tasks);
    telemetry.flush_blocking().unwrap();
    assert_eq!((telemetry.health().spans.unwrap().undecided, spans.spans().len()), (0, 0));
}

#[test]
fn cancelled_spans_say_when_they_began_and_that_they_were_cancelled() {
    #[step(retry_limit = 2, backoff = Backoff::fixed().base(Duration::from_secs(60)))]
    async fn fails() -> Result<(), Timeout> {
        Err(Timeout)
    }
    #[step]
    async fn hangs() {
        std::future::pending::<()>().await;
    }
    #[task]
    async fn cancelled(backoff: bool) {
        if backoff {
            let _ = fails().await;
        } else {
            hangs().await;
        }
    }
    let (telemetry, spans) = traced(|builder| builder);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    for backoff in [true, false] {
        let mut task = Box::pin(telemetry.scope(cancelled(backoff)));
        assert!(task.as_mut().poll(&mut cx).is_pending());
        std::thread::sleep(Duration::from_millis(5));
    }
    telemetry.flush_blocking().unwrap();
    let roots = spans.named(TASK);
    assert_eq!(roots.iter().map(Span::status).collect::<Vec<_>>(), [SpanStatus::Unset, SpanStatus::Unset]);
    let steps = spans.named(STEP);
    let cancelled: Vec<_> = steps.iter().filter(|span| span.status() == SpanStatus::Unset).collect();
    assert_eq!(cancelled.len(), 2);
    for span in cancelled {
        assert!(span.end().saturating_duration_since(span.start()) >= Duration::from_millis(5), "{span:?}");
        assert_eq!(span.attribute("tasker.cancel_reason"), Some("dropped before it finished".into()));
    }
    let waited = &steps[1];
    assert_eq!(
        waited.attribute("tasker.attempt_number"),
        Some(Value::I64(2)),
        "cut in the wait for the second attempt"
    );
    assert_eq!(waited.attribute("tasker.execution_duration"), Some(Value::F64(0.0)));
}

#[test]
fn a_task_inside_a_step_links_to_it_or_goes_on_in_its_trace() {
    #[task]
    async fn child() {
        inner().await;
    }
    #[step]
    async fn calls() {
        child().await;
    }
    #[task]
    async fn caller() {
        calls().await;
    }
    for parenting in [TraceParenting::Link, TraceParenting::Child, TraceParenting::None] {
        let (telemetry, spans) = traced(|builder| builder.trace_parenting(parenting));
        block_on(telemetry.scope(caller()));
        telemetry.flush_blocking().unwrap();
        let roots = spans.named(TASK);
        let (child, caller) = (&roots[0], &roots[1]);
        let calling = &named(&spans.spans(), STEP, "calls")[0];
        assert_eq!(caller.links(), []);
        let link = child.links().first().map(|link| (link.trace_id(), link.span_id()));
        let (linked, same_trace) = match parenting {
            TraceParenting::Link => (Some((calling.trace_id(), calling.span_id())), false),
            TraceParenting::Child => (None, true),
            _ => (None, false),
        };
        assert_eq!((link, child.trace_id() == caller.trace_id()), (linked, same_trace), "{parenting:?}");
        assert_eq!(child.parent_span_id(), same_trace.then(|| calling.span_id()));
        let inner = &named(&spans.spans(), STEP, "inner")[0];
        assert_eq!((inner.trace_id(), inner.parent_span_id()), (child.trace_id(), Some(child.span_id())));
    }
}

#[test]
fn a_lone_step_is_a_task_with_a_root() {
    let (telemetry, spans) = traced(|builder| builder.success_status(false));
    block_on(telemetry.scope(outer()));
    telemetry.flush_blocking().unwrap();
    let root = &spans.named(TASK)[0];
    assert_eq!((root.attribute("tasker.task_name"), root.status()), (Some("outer".into()), SpanStatus::Unset));
    assert_eq!(named(&spans.spans(), STEP, "outer")[0].parent_span_id(), Some(root.span_id()));
}

#[test]
fn open_tasks_are_seen_until_they_end() {
    let (telemetry, _spans) = traced(|builder| builder);
    #[task]
    async fn hangs() {
        std::future::pending::<()>().await;
    }
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut task = Box::pin(telemetry.scope(hangs()));
    assert!(task.as_mut().poll(&mut cx).is_pending());
    telemetry.flush_blocking().unwrap();
    let health = telemetry.health().spans.unwrap();
    assert!(health.open_tasks == 1 && health.oldest_open_seconds.is_some(), "{health:?}");
    drop(task);
    telemetry.flush_blocking().unwrap();
    assert_eq!(telemetry.health().spans.unwrap().open_tasks, 0);
}
