//! A task that crosses processes is one trace with one root, which has the true start; whoever hands it over tells no end.

use std::time::Duration;

use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Recording, block_on};
use tasker_telemetry::trace::{Carrier, InMemorySpans, Sampling, SpanKind, SpanStatus, TraceParenting};
use tasker_telemetry::{Builder, Value};

const TASK: &str = "tasker.task.execution";
const STEP: &str = "tasker.step.execution";

#[step]
async fn pack(number: u64) -> Result<u64, String> {
    if number == 0 { Err("no box".to_owned()) } else { Ok(number) }
}

#[task(id = "order 7")]
async fn order() -> Carrier {
    let _ = pack(1).await;
    let _ = pack(0).await;
    TaskScope::current().expect("inside a task").hand_over()
}

/// A process of its own, as far as the library can tell.
struct Process {
    recording: Recording,
    spans: InMemorySpans,
}

impl Process {
    fn new(set: impl FnOnce(Builder) -> Builder) -> Self {
        let spans = InMemorySpans::default();
        let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone());
        Self { recording: Recording::with(set(builder)).expect("right"), spans }
    }

    fn flushed(&self) -> &InMemorySpans {
        self.recording.telemetry().flush_blocking().expect("in time");
        &self.spans
    }
}

fn same(builder: Builder) -> Builder {
    builder
}

/// As a message between two processes.
fn sent(carrier: &Carrier) -> Carrier {
    let headers = carrier.to_headers();
    Carrier::from_headers(headers.iter().map(|(name, value)| (*name, value.as_str()))).expect("a carrier")
}

#[test]
fn three_processes_make_one_trace_with_one_root() {
    let [one, two, three] = [(); 3].map(|()| Process::new(same));
    let carrier = block_on(one.recording.scope(order()));
    let begun = one.recording.events().named("task.start_requested")[0].timestamp();
    assert_eq!(carrier.started_at(), begun);
    std::thread::sleep(Duration::from_millis(3));

    let task = two.recording.in_scope(|| TaskScope::resume(sent(&carrier)));
    block_on(task.scope(pack(2))).unwrap();
    let carrier = task.hand_over();

    let task = three.recording.in_scope(|| TaskScope::resume(sent(&carrier)));
    block_on(task.scope(async { (pack(3).await, pack(4).await) })).0.unwrap();
    task.complete();

    assert!(one.flushed().named(TASK).is_empty() && two.flushed().named(TASK).is_empty());
    let roots = three.flushed().named(TASK);
    assert_eq!(roots.len(), 1);
    let root = &roots[0];
    assert_eq!((root.kind(), root.status(), root.parent_span_id()), (SpanKind::Consumer, SpanStatus::Ok, None));
    assert_eq!(root.start(), begun, "the true start");
    assert!(root.end().saturating_duration_since(root.start()) >= Duration::from_millis(3));
    let counts =
        ["tasker.total_steps", "tasker.completed_steps", "tasker.failed_steps"].map(|name| root.attribute(name));
    assert_eq!(counts, [5_i64, 4, 1].map(|count| Some(Value::I64(count))));
    let steps: Vec<_> = [&one, &two, &three].into_iter().flat_map(|process| process.spans.named(STEP)).collect();
    assert_eq!(steps.len(), 5);
    for step in &steps {
        assert_eq!((step.trace_id(), step.parent_span_id()), (root.trace_id(), Some(root.span_id())));
        assert_eq!(step.kind(), SpanKind::Internal);
    }
    let mut ids: Vec<_> = steps.iter().map(tasker_telemetry::trace::Span::span_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "no span twice");

    // One transition, one event, over all processes.
    let count =
        |name: &str| [&one, &two, &three].map(|process| process.recording.events().count(name)).iter().sum::<usize>();
    let expected =
        [("task.initialize_requested", 1), ("task.start_requested", 1), ("task.completed", 1), ("step.completed", 4)];
    assert_eq!(expected.map(|(name, _)| (name, count(name))), expected);
    let in_progress = |process: &Process| {
        process.recording.telemetry().metrics().render(tasker_telemetry::metrics::Format::Prometheus)
    };
    for process in [&one, &two, &three] {
        let text = in_progress(process);
        assert!(text.contains("tasker_tasks_in_progress{task_name=\"order\"} 0"), "{text}");
    }
    assert!(in_progress(&three).contains("tasker_task_executions_total{task_name=\"order\",status=\"success\"} 1"));
    assert!(in_progress(&one).contains("tasker_task_executions_total{task_name=\"order\",status=\"success\"} 0"));
}

#[test]
fn the_sampling_decision_the_link_and_the_parent_travel() {
    #[task]
    async fn inner_task() -> Carrier {
        TaskScope::current().unwrap().hand_over()
    }
    #[step]
    async fn calls() -> Carrier {
        inner_task().await
    }
    for parenting in [TraceParenting::Link, TraceParenting::Child] {
        let one = Process::new(|builder| builder.trace_parenting(parenting));
        // The other process would decide otherwise: it is not asked.
        let two = Process::new(|builder| builder.sampling(Sampling::none()));
        let carrier = block_on(one.recording.scope(calls()));
        two.recording.in_scope(|| TaskScope::resume(sent(&carrier))).complete();
        let calling = &one.flushed().named(STEP)[0];
        let root = &two.flushed().named(TASK)[0];
        match parenting {
            TraceParenting::Link => assert_eq!(root.links()[0].span_id(), calling.span_id()),
            _ => assert_eq!((root.trace_id(), root.parent_span_id()), (calling.trace_id(), Some(calling.span_id()))),
        }
    }
    let one = Process::new(|builder| builder.sampling(Sampling::none()));
    let two = Process::new(same);
    let carrier = block_on(one.recording.scope(order()));
    assert!(carrier.traceparent().is_some_and(|parent| parent.ends_with("-00")), "{carrier:?}");
    let task = two.recording.in_scope(|| TaskScope::resume(carrier));
    block_on(task.scope(pack(2))).unwrap();
    task.complete();
    assert!(two.flushed().spans().is_empty(), "whole or absent");
    assert_eq!(two.recording.events().count("task.completed"), 1, "events are not sampled");
}

#[test]
fn failing_cancelling_and_dropping_a_resumed_task() {
    let process = Process::new(same);
    let resume = |id: &str| {
        let now = tasker_telemetry::Timestamp::now().as_unix_nanos();
        let text = format!(r#"{{"task_id":"{id}","task_name":"of another program","started_at_unix_nanos":{now}}}"#);
        process.recording.in_scope(|| TaskScope::resume(serde_json::from_str(&text).unwrap()))
    };
    resume("a").fail(&std::io::Error::from(std::io::ErrorKind::TimedOut));
    resume("b").cancel();
    let dropped = resume("c");
    process.flushed();
    assert_eq!(process.recording.telemetry().health().spans.unwrap().open_tasks, 1);
    drop(dropped);
    let roots = process.flushed().named(TASK);
    assert_eq!(roots.len(), 2);
    assert_eq!(roots[0].status(), SpanStatus::Error("timed out".into()));
    assert_eq!(roots[0].attribute("error.type"), Some("timeout".into()));
    assert_eq!(roots[1].status(), SpanStatus::Unset);
    let events = process.recording.events();
    assert_eq!(
        [events.count("task.failed"), events.count("task.cancelled"), events.count("task.completed")],
        [1, 1, 0]
    );
    assert_eq!(process.recording.telemetry().health().spans.unwrap().open_tasks, 0);
}

#[test]
fn without_telemetry_the_steps_run_without() {
    let text = r#"{"task_id":"x","task_name":"t","started_at_unix_nanos":1}"#;
    let task = TaskScope::resume(serde_json::from_str(text).unwrap());
    assert_eq!(block_on(task.scope(pack(5))), Ok(5));
    assert_eq!(task.in_scope(|| 6), 6);
    assert_eq!(task.carrier().task_id(), "x");
    task.complete();
}

/// The first of three processes begins, the second goes on, the third ends: failing, or not.
fn through_three(processes: &[Process; 3], id: u64, steps: u64, fail: bool) {
    #[task(id = id)]
    async fn begins(id: u64, steps: u64) -> Carrier {
        for _ in 0..steps {
            let _ = pack(id % 2).await;
        }
        TaskScope::current().unwrap().hand_over()
    }
    let json = |carrier: &Carrier| serde_json::from_str(&serde_json::to_string(carrier).unwrap()).unwrap();
    let [one, two, three] = processes;
    let carrier = block_on(one.recording.scope(begins(id, steps)));
    let task = two.recording.in_scope(|| TaskScope::resume(json(&carrier)));
    block_on(task.scope(pack(2))).unwrap();
    let carrier = task.hand_over();
    let task = three.recording.in_scope(|| TaskScope::resume(json(&carrier)));
    block_on(task.scope(pack(3))).unwrap();
    if fail { task.fail(&std::fmt::Error) } else { task.complete() }
}

#[test]
fn a_failed_task_is_kept_whole_over_processes_and_others_are_not() {
    let set = |builder: Builder| builder.sampling(Sampling::ratio(0.1).keep_failures());
    let processes = [(); 3].map(|()| Process::new(set));
    let (tasks, steps) = (400_u64, 3);
    for id in 0..tasks {
        through_three(&processes, id, steps, id % 4 == 0);
    }
    let spans: Vec<_> = processes.iter().flat_map(|process| process.flushed().spans()).collect();
    let roots: Vec<_> = spans.iter().filter(|span| span.name() == TASK).collect();
    let failed = roots.iter().filter(|root| matches!(root.status(), SpanStatus::Error(_))).count();
    assert_eq!(failed, 100, "every failed task");
    assert!((10..60).contains(&(roots.len() - failed)), "about a tenth of the others: {}", roots.len());
    for root in &roots {
        let own: Vec<_> =
            spans.iter().filter(|span| span.trace_id() == root.trace_id() && span.name() == STEP).collect();
        assert_eq!(own.len() as u64, steps + 2, "whole");
        for step in own {
            assert_eq!(step.parent_span_id(), Some(root.span_id()));
            assert_eq!(step.attribute("tasker.step_name"), Some("pack".into()));
            assert!(matches!(step.attribute("tasker.execution_duration"), Some(Value::F64(_))), "{step:?}");
            let failed = matches!(step.status(), SpanStatus::Error(_));
            assert_eq!(step.events().iter().any(|event| event.name == "exception"), failed);
        }
    }
    assert_eq!(spans.len(), roots.len() * 6, "absent where there is no root");
    for process in &processes {
        let health = process.recording.telemetry().health().spans.unwrap();
        assert_eq!((health.undecided, health.undecided_evicted), (0, 0));
    }
}

#[test]
fn what_is_too_much_to_travel_is_kept_and_the_task_with_it() {
    let set = |builder: Builder| builder.sampling(Sampling::none().keep_failures());
    let processes = [(); 3].map(|()| Process::new(set));
    through_three(&processes, 1, 500, false);
    let counts: Vec<_> = processes.iter().map(|process| process.flushed().spans().len()).collect();
    assert_eq!(counts, [500, 1, 2], "whole, though it did not fail");
}
