//! The checker agrees with spans that are right, and names each thing that is wrong with others.

use serde_json::{Value as Json, json};
use trace_kit::checker::{Caller, Checker, FieldNames, Mismatches, Report};
use trace_kit::span::{Attributes, Fidelity, Kind, Link, ReceivedSpan, SpanEvent, StatusCode, Value};

/// 2026-11-25T15:00:00Z
const BEGIN: u64 = 1_795_618_800_000_000_000;
const MS: u64 = 1_000_000;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const ROOT: &str = "00000000000000a1";
const FETCH: &str = "00000000000000b1";
const CHARGE_1: &str = "00000000000000c1";
const CHARGE_2: &str = "00000000000000c2";
const AUTHORIZE: &str = "00000000000000d1";

/// So many milliseconds after the begin, as events tell it: without the nanoseconds.
fn at(ms: u64) -> String {
    format!("2026-11-25T15:00:00.{ms:03}000Z")
}

fn event(name: &str, ms: u64, more: Json) -> Json {
    let mut event = json!({
        "event": name, "event_id": "x", "event_type": "x", "timestamp": at(ms), "task_id": "ORD-1",
        "task_name": "order", "correlation_id": TRACE, "trace_id": TRACE,
    });
    let Json::Object(more) = more else { panic!("{more}") };
    event.as_object_mut().unwrap().extend(more);
    event
}

fn step(name: &str, step: &str, attempt: u64, ms: u64, more: Json) -> Json {
    let of_step =
        json!({"step_id": format!("id of {step}"), "step_name": step, "attempt_number": attempt, "retry_limit": 3});
    let mut event = event(name, ms, of_step);
    let Json::Object(more) = more else { panic!("{more}") };
    event.as_object_mut().unwrap().extend(more);
    event
}

/// An order: fetch; charge, which fails once and publishes an event the second time, with authorize in it.
fn events() -> Vec<Json> {
    let begun = |name: &str, attempt, ms| {
        [
            step("step.execution_requested", name, attempt, ms, json!({"step_inputs": {"cart_id": 7}})),
            step("step.started", name, attempt, ms, json!({"started_at": at(ms), "queue_time": 0.25})),
        ]
    };
    let completed = |name: &str, attempt, from, to: u64| {
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let took = (to - from) as f64 / 1e3;
        let more = json!({"started_at": at(from), "completed_at": at(to), "execution_duration": took});
        step("step.completed", name, attempt, to, more)
    };
    let mut events = vec![
        event("task.initialize_requested", 0, json!({"context": {"customer": "Zoë"}})),
        event("task.start_requested", 0, json!({"started_at": at(0)})),
    ];
    events.extend(begun("fetch", 1, 10));
    events.push(completed("fetch", 1, 10, 20));
    events.extend(begun("charge", 1, 30));
    events.push(step(
        "step.failed",
        "charge",
        1,
        40,
        json!({
            "started_at": at(30), "completed_at": at(40), "execution_duration": 0.01, "error_message": "no answer",
            "error_class": "shop::Timeout", "error_type": "timeout", "retryable": true
        }),
    ));
    events.push(step("step.retry_requested", "charge", 1, 40, json!({"retry_reason": "no answer"})));
    events.push(step("observability.step.backoff", "charge", 1, 40, json!({})));
    events.extend(begun("charge", 2, 50));
    events.extend(begun("authorize", 1, 55));
    events.push(completed("authorize", 1, 55, 57));
    let mut flagged =
        step("payment.risk_flagged", "charge", 2, 60, json!({"risk_score": 0.5, "card_number": "[FILTERED]"}));
    flagged.as_object_mut().unwrap().remove("retry_limit"); // no custom event has it
    events.push(flagged);
    events.push(completed("charge", 2, 50, 70));
    let counts = json!({
        "started_at": at(0), "completed_at": at(80), "execution_duration": 0.08, "total_steps": 3, "completed_steps": 3,
        "failed_steps": 0
    });
    events.push(event("task.completed", 80, counts));
    events
}

fn attributes<const N: usize>(list: [(&str, Value); N]) -> Attributes {
    list.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn span_event(name: &str, ms: u64) -> SpanEvent {
    SpanEvent { name: name.to_owned(), time: BEGIN + ms * MS, ..SpanEvent::default() }
}

fn span(name: &str, id: &str, parent: &str, from: u64, to: u64) -> ReceivedSpan {
    let common = attributes([
        ("tasker.task_id", "ORD-1".into()),
        ("tasker.task_name", "order".into()),
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        ("tasker.execution_duration", Value::Double((to - from) as f64 / 1e3)),
        ("code.function.name", "shop::order".into()),
        ("code.file.path", "shop.rs".into()),
        ("code.line.number", Value::Int(7)),
    ]);
    ReceivedSpan {
        trace_id: TRACE.to_owned(),
        span_id: id.to_owned(),
        parent_span_id: parent.to_owned(),
        name: name.to_owned(),
        kind: Kind::Internal,
        status: StatusCode::Ok,
        start: BEGIN + from * MS + 123,
        end: BEGIN + to * MS + 456,
        attributes: common,
        resource: attributes([("service.name", "shop".into()), ("service.framework", "tasker".into())]),
        ..ReceivedSpan::default()
    }
}

fn attempt(step: &str, number: i64, id: &str, parent: &str, from: u64, to: u64) -> ReceivedSpan {
    let mut span = span("tasker.step.execution", id, parent, from, to);
    span.attributes.extend(attributes([
        ("tasker.step_id", Value::Str(format!("id of {step}"))),
        ("tasker.step_name", step.into()),
        ("tasker.attempt_number", number.into()),
        ("tasker.retry_limit", Value::Int(3)),
        ("tasker.queue_time", 0.25.into()),
        ("cart_id", 7.into()),
    ]));
    span.events = vec![span_event("step.started", from), span_event("step.completed", to)];
    span
}

/// What must have been received of [`events`]: the root is the last one.
fn spans() -> Vec<ReceivedSpan> {
    let fetch = attempt("fetch", 1, FETCH, ROOT, 10, 20);
    let mut failed = attempt("charge", 1, CHARGE_1, ROOT, 30, 40);
    failed.status = StatusCode::Error;
    "no answer".clone_into(&mut failed.status_message);
    failed.attributes.extend(attributes([("tasker.error", "no answer".into()), ("error.type", "timeout".into())]));
    let exception = attributes([("exception.type", "shop::Timeout".into()), ("exception.message", "no answer".into())]);
    failed.events = vec![
        span_event("step.started", 30),
        SpanEvent { attributes: exception, ..span_event("exception", 40) },
        span_event("step.failed", 40),
        span_event("step.retry_requested", 40),
    ];
    let mut charged = attempt("charge", 2, CHARGE_2, ROOT, 50, 70);
    charged.links = vec![Link { trace_id: TRACE.to_owned(), span_id: CHARGE_1.to_owned(), ..Link::default() }];
    let flagged = attributes([("risk_score", 0.5.into()), ("card_number", "[FILTERED]".into())]);
    charged.events.insert(1, SpanEvent { attributes: flagged, ..span_event("payment.risk_flagged", 60) });
    let authorized = attempt("authorize", 1, AUTHORIZE, CHARGE_2, 55, 57);
    let mut root = span("tasker.task.execution", ROOT, "", 0, 80);
    root.attributes.extend(attributes([
        ("tasker.total_steps", 3.into()),
        ("tasker.completed_steps", 3.into()),
        ("tasker.failed_steps", 0.into()),
        ("customer", "Zoë".into()),
    ]));
    root.events = vec![span_event("task.started", 0), span_event("task.completed", 80)];
    vec![fetch, failed, authorized, charged, root]
}

fn checker() -> Checker {
    Checker::new().service("shop").nested("authorize", "charge")
}

fn wrong(checker: &Checker, spans: &[ReceivedSpan], events: &[Json]) -> Mismatches {
    checker.check(spans, events).expect_err("something is wrong")
}

#[test]
fn what_is_right_is_accepted() {
    let report = checker().check(&spans(), &events()).unwrap();
    assert_eq!(report, Report { tasks: 1, attempts: 4, foreign: 0, absent: 0 });
    assert_eq!(Checker::new().check(&[], &[]).unwrap(), Report::default());
}

#[test]
fn the_order_of_spans_does_not_matter() {
    let mut spans = spans();
    spans.reverse();
    checker().check(&spans, &events()).unwrap();
}

/// Breaks the spans, and what the checker must say then: of which span, and what.
type Broken = (fn(&mut Vec<ReceivedSpan>), &'static str, &'static str);

const FETCHED: usize = 0;
const FAILED: usize = 1;
const AUTHORIZED: usize = 2;
const CHARGED: usize = 3;
const TASK: usize = 4;

#[test]
#[allow(clippy::too_many_lines, reason = "a list")]
fn each_thing_that_is_wrong_is_named() {
    let broken: &[Broken] = &[
        // Missing, twice, too many.
        (|s| drop(s.remove(TASK)), "task order ORD-1", "seen none"),
        (
            |s| drop(s.remove(FETCHED)),
            "step fetch id of fetch attempt 1",
            "expected one span tasker.step.execution, seen none",
        ),
        (|s| drop(s.remove(FAILED)), "step charge id of charge attempt 1", "seen none"),
        (|s| s.push(s[FETCHED].clone()), "step fetch", "seen 2"),
        (|s| s.push(s[FETCHED].clone()), FETCH, "came twice"),
        (|s| s.push(s[TASK].clone()), "task order ORD-1", "seen 2"),
        (|s| s.push(ReceivedSpan { span_id: "0f".repeat(8), ..s[CHARGED].clone() }), "step charge", "seen 2"),
        (
            |s| s.push(attempt("never", 1, "00000000000000e1", ROOT, 1, 2)),
            "00000000000000e1",
            "nothing that ran is of task Str(\"ORD-1\") step Str(\"id of never\") attempt Int(1)",
        ),
        (
            |s| s.push(span("GET /", "00000000000000e2", ROOT, 1, 2)),
            "00000000000000e2",
            "expected no span of that name",
        ),
        // Who it is.
        (|s| s[CHARGED].trace_id = "1".repeat(32), CHARGE_2, "trace id"),
        (|s| s[TASK].trace_id = "1".repeat(32), ROOT, "trace_id of the event"),
        (|s| s[FETCHED].name = "step".to_owned(), "step fetch", "seen none"),
        (|s| s[FETCHED].name = "step".to_owned(), FETCH, "expected no span of that name"),
        (|s| s[TASK].kind = Kind::Consumer, ROOT, "kind: expected Internal, seen Consumer"),
        (|s| s[FETCHED].kind = Kind::Server, FETCH, "kind: expected Internal, seen Server"),
        // Parents and links.
        (|s| s[TASK].parent_span_id = FETCH.to_owned(), ROOT, "parent: expected \"\""),
        (|s| s[FETCHED].parent_span_id.clear(), FETCH, "parent: expected the task's root 00000000000000a1, seen \"\""),
        (|s| s[FETCHED].parent_span_id = "0e".repeat(8), FETCH, "parent: expected the task's root"),
        (
            |s| s[FETCHED].parent_span_id = CHARGE_2.to_owned(),
            FETCH,
            "parent: expected the task's root, seen step charge",
        ),
        (|s| s[AUTHORIZED].parent_span_id = ROOT.to_owned(), AUTHORIZE, "parent: expected charge"),
        (|s| s[AUTHORIZED].parent_span_id = FETCH.to_owned(), AUTHORIZE, "parent: expected charge, seen step fetch"),
        (|s| s[AUTHORIZED].parent_span_id = CHARGE_1.to_owned(), AUTHORIZE, "was not running when it started"),
        (|s| s[CHARGED].links.clear(), CHARGE_2, "links: expected"),
        (|s| s[CHARGED].links[0].span_id = FETCH.to_owned(), CHARGE_2, "links: expected"),
        (|s| s[CHARGED].links[0].trace_id = "1".repeat(32), CHARGE_2, "links: expected"),
        (|s| s[CHARGED].links.extend_from_within(..), CHARGE_2, "links: expected"),
        (|s| s[FETCHED].links = s[CHARGED].links.clone(), FETCH, "links: expected []"),
        (|s| s[TASK].links = s[CHARGED].links.clone(), ROOT, "links: expected []"),
        // Times.
        (|s| s[TASK].start += 3_000, ROOT, "start: expected"),
        (|s| s[FETCHED].start -= 3_000, FETCH, "(-2877 ns)"),
        (|s| s[FETCHED].end += 3_000, FETCH, "end: expected"),
        (|s| s[FETCHED].end = s[FETCHED].start, FETCH, "duration: expected 10000000 ns, seen 0 ns"),
        (|s| s[FETCHED].end = s[FETCHED].start - 1, FETCH, "before it starts"),
        // Status.
        (|s| s[TASK].status = StatusCode::Unset, ROOT, "status: expected Ok, seen Unset"),
        (|s| s[FAILED].status = StatusCode::Ok, CHARGE_1, "status: expected Error, seen Ok"),
        (|s| s[FAILED].status_message.clear(), CHARGE_1, "status message: expected \"no answer\", seen \"\""),
        (|s| s[FETCHED].status_message.push('x'), FETCH, "status message"),
        // Attributes.
        (|s| set(s, TASK, "tasker.total_steps", 4), ROOT, "tasker.total_steps: expected 3, seen Int(4)"),
        (|s| set(s, TASK, "tasker.total_steps", 3.0), ROOT, "expected 3, seen Double(3.0)"),
        (|s| unset(s, TASK, "tasker.failed_steps"), ROOT, "tasker.failed_steps: expected 0, seen nothing"),
        (|s| set(s, TASK, "tasker.execution_duration", 0.081), ROOT, "expected 0.08, seen Double(0.081)"),
        (|s| set(s, TASK, "tasker.task_name", "x"), ROOT, "tasker.task_name"),
        (|s| set(s, TASK, "customer", "Zoe"), ROOT, "customer: expected \"Zoë\""),
        (|s| unset(s, TASK, "tasker.task_id"), "task order ORD-1", "seen none"),
        (|s| set(s, FETCHED, "tasker.attempt_number", "1"), "step fetch", "seen none"),
        (|s| set(s, FETCHED, "tasker.retry_limit", 2), FETCH, "tasker.retry_limit: expected 3, seen Int(2)"),
        (|s| set(s, FETCHED, "tasker.queue_time", 0), FETCH, "tasker.queue_time: expected 0.25, seen Int(0)"),
        (|s| set(s, FETCHED, "tasker.execution_duration", 0), FETCH, "tasker.execution_duration"),
        (|s| set(s, FETCHED, "tasker.step_name", "x"), FETCH, "tasker.step_name: expected \"fetch\""),
        (|s| unset(s, FETCHED, "cart_id"), FETCH, "cart_id: expected 7, seen nothing"),
        (|s| unset(s, FAILED, "tasker.error"), CHARGE_1, "tasker.error: expected \"no answer\""),
        (|s| set(s, FAILED, "error.type", "other"), CHARGE_1, "error.type: expected \"timeout\", seen Str(\"other\")"),
        (|s| set(s, CHARGED, "error.type", ""), CHARGE_2, "error.type: expected nothing on success"),
        (|s| unset(s, FETCHED, "code.function.name"), FETCH, "code.function.name: expected the place in the code"),
        (|s| set(s, FETCHED, "code.line.number", "7"), FETCH, "code.line.number"),
        (|s| s[FETCHED].problems.push("attribute x is given twice".to_owned()), FETCH, "given twice"),
        (|s| s[FETCHED].dropped = 1, FETCH, "left out"),
        (
            |s| drop(s[FETCHED].resource.remove("service.framework")),
            FETCH,
            "resource service.framework: expected \"tasker\"",
        ),
        (|s| drop(s[FETCHED].resource.insert("service.name".to_owned(), "x".into())), FETCH, "resource service.name"),
        // Events on spans.
        (|s| drop(s[TASK].events.remove(0)), ROOT, "span event task.started: expected 1, seen 0"),
        (|s| s[TASK].events[1].name = "task.failed".to_owned(), ROOT, "span event task.failed: expected none"),
        (|s| s[TASK].events[1].time += 3_000, ROOT, "span event task.completed: expected"),
        (
            |s| s[FETCHED].events.push(span_event("step.completed", 20)),
            FETCH,
            "span event step.completed: expected 1, seen 2",
        ),
        (|s| s[FETCHED].events.push(span_event("surprise", 20)), FETCH, "span event surprise: expected none"),
        (|s| drop(s[FAILED].events.remove(1)), CHARGE_1, "span event exception: expected 1, seen 0"),
        (|s| s[FAILED].events[1].time += 20 * MS, CHARGE_1, "outside its span"),
        (|s| drop(s[FAILED].events[1].attributes.remove("exception.type")), CHARGE_1, "exception.type: expected"),
        (|s| drop(s[FAILED].events.remove(3)), CHARGE_1, "span event step.retry_requested: expected 1, seen 0"),
        (|s| drop(s[CHARGED].events.remove(1)), CHARGE_2, "span event payment.risk_flagged: expected 1, seen 0"),
        (
            |s| drop(s[CHARGED].events[1].attributes.remove("risk_score")),
            CHARGE_2,
            "risk_score: expected 0.5, seen nothing",
        ),
        (
            |s| {
                let flagged = s[CHARGED].events.remove(1);
                s[FETCHED].events.push(flagged);
            },
            FETCH,
            "span event payment.risk_flagged: expected none",
        ),
    ];
    for (number, (breaks, subject, problem)) in broken.iter().enumerate() {
        let mut spans = spans();
        breaks(&mut spans);
        let said = wrong(&checker(), &spans, &events());
        assert!(said.has(subject, problem), "{number}: `{subject}`, `{problem}` is not in: {said}");
    }
}

fn set(spans: &mut [ReceivedSpan], span: usize, name: &str, value: impl Into<Value>) {
    spans[span].attributes.insert(name.to_owned(), value.into());
}

fn unset(spans: &mut [ReceivedSpan], span: usize, name: &str) {
    spans[span].attributes.remove(name).expect("it was there");
}

#[test]
fn a_task_that_failed_has_a_root_that_says_so() {
    let mut events = events();
    let last = events.last_mut().unwrap().as_object_mut().unwrap();
    last.insert("event".to_owned(), "task.failed".into());
    last.insert("error_message".to_owned(), "payment failed".into());
    let mut spans = spans();
    let said = wrong(&checker(), &spans, &events);
    assert!(said.has(ROOT, "status: expected Error, seen Ok") && said.has(ROOT, "span event task.failed"), "{said}");
    spans[TASK].status = StatusCode::Error;
    spans[TASK].status_message = "payment failed".to_owned();
    spans[TASK].events[1].name = "task.failed".to_owned();
    checker().check(&spans, &events).unwrap();
    spans[TASK].events.push(span_event("exception", 80));
    checker().check(&spans, &events).unwrap();
}

#[test]
fn what_was_cancelled_is_not_ok() {
    let mut events: Vec<Json> = events().into_iter().filter(|event| event["event"] != "task.completed").collect();
    events.push(event("task.cancelled", 80, json!({"reason": "dropped"})));
    let mut spans = spans();
    let said = wrong(&checker(), &spans, &events);
    assert!(said.has(ROOT, "status: expected another than Ok"), "{said}");
    spans[TASK].status = StatusCode::Error;
    spans[TASK].events.pop();
    checker().check(&spans, &events).unwrap();
}

#[test]
fn what_never_ended_has_no_span_and_the_steps_of_an_open_task_one_parent() {
    // Killed while charge was at its second attempt.
    let is_before = |event: &Json| event["timestamp"].as_str().unwrap() < at(60).as_str();
    let events: Vec<Json> = events().into_iter().filter(is_before).collect();
    let mut spans: Vec<_> =
        spans().into_iter().filter(|span| span.span_id == FETCH || span.span_id == CHARGE_1).collect();
    let events_of_charge: Vec<Json> =
        events.iter().filter(|event| event["step_name"] != "authorize").cloned().collect();
    let report = checker().check(&spans, &events_of_charge).unwrap();
    assert_eq!((report.tasks, report.attempts), (0, 2));
    // Authorize had ended, but its parent never did: known by its id only.
    assert!(wrong(&checker(), &spans, &events).has("step authorize", "seen none"));
    spans[1].parent_span_id = "0e".repeat(8);
    let said = wrong(&checker(), &spans, &events_of_charge);
    assert!(said.has("span", "the root that is not there yet"), "{said}");
    spans[1].parent_span_id = ROOT.to_owned();
    spans.push(attempt("charge", 2, CHARGE_2, ROOT, 50, 60));
    assert!(wrong(&checker(), &spans, &events_of_charge).has("step charge", "never ended: expected no span"));
}

#[test]
fn a_task_that_ran_again_has_a_second_root_in_the_same_trace() {
    let mut events = events();
    let again = json!({
        "started_at": at(100), "completed_at": at(120), "execution_duration": 0.02, "total_steps": 0, "completed_steps": 0,
        "failed_steps": 0
    });
    events.push(event("task.start_requested", 100, json!({"started_at": at(100)})));
    events.push(event("task.completed", 120, again));
    let mut all = spans();
    assert!(wrong(&checker(), &all, &events).has("task order ORD-1", "expected 2 spans"));
    let mut second = span("tasker.task.execution", "00000000000000a2", "", 100, 120);
    second.attributes.extend(attributes([
        ("tasker.total_steps", 0.into()),
        ("tasker.completed_steps", 0.into()),
        ("tasker.failed_steps", 0.into()),
    ]));
    second.events = vec![span_event("task.started", 100), span_event("task.completed", 120)];
    all.push(second);
    assert_eq!(checker().check(&all, &events).unwrap().tasks, 2);
    all[FETCHED].parent_span_id = "00000000000000a2".to_owned();
    assert!(wrong(&checker(), &all, &events).has(FETCH, "the root of another run"));
}

#[test]
fn the_caller_is_linked_or_the_parent() {
    let (trace_id, span_id) = ("1".repeat(32), "2".repeat(16));
    let linked = Caller::Linked { trace_id: trace_id.clone(), span_id: span_id.clone() };
    let mut all = spans();
    assert!(wrong(&checker().caller(linked.clone()), &all, &events()).has(ROOT, "links"));
    all[TASK].links = vec![Link { trace_id, span_id: span_id.clone(), ..Link::default() }];
    checker().caller(linked).check(&all, &events()).unwrap();

    let parent = Caller::Parent { trace_id: TRACE.to_owned(), span_id: span_id.clone() };
    let mut all = spans();
    assert!(wrong(&checker().caller(parent.clone()), &all, &events()).has(ROOT, "parent"));
    all[TASK].parent_span_id = span_id;
    checker().caller(parent).check(&all, &events()).unwrap();
}

#[test]
fn sampled_traces_are_whole_or_absent() {
    let checker = checker().whole_or_absent();
    assert_eq!(checker.check(&[], &events()).unwrap(), Report { absent: 1, ..Report::default() });
    let whole = checker.check(&spans(), &events()).unwrap();
    assert_eq!((whole.tasks, whole.absent), (1, 0));
    let mut part = spans();
    part.pop();
    assert!(wrong(&checker, &part, &events()).has("task order ORD-1", "seen none"));
    assert!(wrong(&checker, &spans()[TASK..], &events()).has("step fetch", "seen none"));
}

#[test]
fn a_uuid_is_its_own_trace() {
    let uuid = "0af76519-16cd-43dd-8448-eb211c80319c";
    let events: Vec<Json> = events()
        .into_iter()
        .map(|mut event| {
            event["task_id"] = uuid.into();
            event.as_object_mut().unwrap().remove("trace_id");
            event
        })
        .collect();
    let mut all = spans();
    for index in 0..all.len() {
        set(&mut all, index, "tasker.task_id", uuid);
    }
    checker().check(&all, &events).unwrap();
    for span in &mut all {
        span.trace_id = "1".repeat(32);
    }
    all[CHARGED].links[0].trace_id = "1".repeat(32);
    assert!(wrong(&checker(), &all, &events).has(ROOT, "the task id's own 16 bytes"));
}

#[test]
fn two_tasks_do_not_share_a_trace() {
    let mut both = events();
    both.extend(events().into_iter().map(|mut event| {
        event["task_id"] = "ORD-2".into();
        event
    }));
    let mut all = spans();
    let mut second = spans();
    for index in 0..second.len() {
        set(&mut second, index, "tasker.task_id", "ORD-2");
    }
    all.extend(second);
    assert!(wrong(&checker(), &all, &both).has(TRACE, "expected one task"));
}

#[test]
fn resumed_tasks_are_consumers() {
    let mut all = spans();
    all[TASK].kind = Kind::Consumer;
    checker().resumed(["ORD-1"]).check(&all, &events()).unwrap();
    assert!(wrong(&checker().resumed(["ORD-1"]), &spans(), &events()).has(ROOT, "kind"));
}

#[test]
fn spans_of_others_need_their_parents() {
    let mut all = spans();
    all.push(span("GET /", "00000000000000e2", CHARGE_2, 1, 2));
    assert_eq!(checker().with_foreign().check(&all, &events()).unwrap().foreign, 1);
    all[5].parent_span_id = "0e".repeat(8);
    assert!(wrong(&checker().with_foreign(), &all, &events()).has("00000000000000e2", "is not in trace"));
}

#[test]
fn settings_say_where_a_run_differs() {
    let events = events();
    let mut all = spans();
    for span in &mut all {
        span.attributes.retain(|name, _| !name.starts_with("code.") && name != "cart_id" && name != "customer");
        span.events.retain(|event| event.name != "exception");
        if span.status == StatusCode::Ok {
            span.status = StatusCode::Unset;
        }
    }
    let lenient = checker().without_code().fields(FieldNames::Ignored).exceptions(false).success(StatusCode::Unset);
    lenient.check(&all, &events).unwrap();
    set(&mut all, TASK, "field.customer", "Zoë");
    for index in [FETCHED, FAILED, AUTHORIZED, CHARGED] {
        set(&mut all, index, "field.cart_id", 7);
    }
    lenient.clone().fields(FieldNames::Prefixed("field.".to_owned())).check(&all, &events).unwrap();
    all[FAILED].events.push(span_event("exception", 40));
    assert!(wrong(&lenient, &all, &events).has(CHARGE_1, "span event exception: expected none"));
}

#[test]
fn a_receiver_that_loses_types_is_forgiven() {
    let mut all = spans();
    set(&mut all, FETCHED, "tasker.retry_limit", 3.0);
    set(&mut all, FETCHED, "tasker.queue_time", 0.25);
    assert!(wrong(&checker(), &all, &events()).has(FETCH, "tasker.retry_limit"));
    let untyped = Fidelity { number_types: false, ..Fidelity::FULL };
    checker().fidelity(untyped).check(&all, &events()).unwrap();
}

#[test]
fn events_that_contradict_themselves_are_told() {
    let mut events = events();
    let completed = events.iter().find(|event| event["event"] == "step.completed").unwrap().clone();
    events.push(completed);
    events.push(json!(7));
    let said = wrong(&checker(), &spans(), &events);
    assert!(said.has("the events", "ended already") && said.has("the events", "not an event"), "{said}");
}
