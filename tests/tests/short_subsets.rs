//! What of a step's three events somebody wants decides how it is told (by one entry, by one that is an end alone, or not at all). Whatever
//! that is, each subscriber gets what it asked for, of the right task, and the spans are whole.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use tasker_telemetry::prelude::*;
use tasker_telemetry::trace::{InMemorySpans, Span};
use tasker_telemetry::{Builder, Value};

/// What was seen: task, step, name of the event.
type Seen = Arc<Mutex<Vec<(String, String, &'static str)>>>;

macro_rules! subscribers {
    ($($name:ident: $($pattern:literal $handler:ident $payload:ident),+;)+) => { $(
        #[derive(Debug, Clone, Subscriber)]
        #[subscribe($($pattern),+)]
        #[subscriber(manual)]
        struct $name(Seen);

        impl $name {
            $(fn $handler(&self, event: &event::step::$payload) {
                self.0.lock().unwrap().push((event.task_id.clone(), event.step_id.clone(), $pattern));
            })+
        }
    )+ };
}
subscribers! {
    Asked: "step.execution_requested" handle_step_execution_requested ExecutionRequested;
    Started: "step.started" handle_step_started Started;
    Completed: "step.completed" handle_step_completed Completed;
    AskedStarted: "step.execution_requested" handle_step_execution_requested ExecutionRequested,
        "step.started" handle_step_started Started;
    AskedCompleted: "step.execution_requested" handle_step_execution_requested ExecutionRequested,
        "step.completed" handle_step_completed Completed;
    StartedCompleted: "step.started" handle_step_started Started, "step.completed" handle_step_completed Completed;
    All: "step.execution_requested" handle_step_execution_requested ExecutionRequested,
        "step.started" handle_step_started Started, "step.completed" handle_step_completed Completed;
}

#[step]
fn leaf(n: u32) -> u32 {
    n + 1
}

#[step]
fn around(n: u32) -> u32 {
    leaf(n) + leaf(n)
}

#[step]
async fn waiting(n: u32) -> u32 {
    tokio::task::yield_now().await;
    leaf(n)
}

const ROUNDS: u32 = 100;
/// In each round: a leaf, one around two, one that waits and has one.
const STEPS: usize = ROUNDS as usize * 6;

#[task(id = name)]
async fn task(name: &'static str) {
    for n in 0..ROUNDS {
        leaf(n);
        around(n);
        waiting(n).await;
    }
}

async fn run(subscribe: fn(Builder, Seen) -> Builder, names: &[&str], spans: Option<InMemorySpans>) {
    let seen = Seen::default();
    let builder = subscribe(Telemetry::builder().auto_subscribers(false), Arc::clone(&seen));
    let is_traced = spans.is_some();
    let telemetry = match spans.clone() {
        Some(spans) => builder.in_memory_spans(spans).build().unwrap(),
        None => builder.build().unwrap(),
    };
    // Two tasks take turns on the thread.
    telemetry.scope(async { tokio::join!(task("one"), task("two")) }).await;
    telemetry.shutdown().await.unwrap();
    let mut of_step: HashMap<(String, String), Vec<&str>> = HashMap::new();
    for (task, step, name) in seen.lock().unwrap().drain(..) {
        of_step.entry((task, step)).or_default().push(name);
    }
    for of_task in ["one", "two"] {
        let steps: Vec<_> = of_step.iter().filter(|((task, _), _)| task == of_task).collect();
        assert_eq!(steps.len(), STEPS, "{names:?} of {of_task}, traced: {is_traced}");
        assert!(steps.iter().all(|(_, seen)| *seen == names), "{names:?} of {of_task}, traced: {is_traced}");
    }
    assert_eq!((of_step.len(), telemetry.health().dropped()), (2 * STEPS, 0), "{names:?}, traced: {is_traced}");
    let Some(spans) = spans else { return };
    let spans: Vec<_> = spans.spans().into_iter().filter(|span| span.name() == "tasker.step.execution").collect();
    let ids: HashSet<_> = spans.iter().map(|span| span.span_id().to_string()).collect();
    let traces: HashSet<_> = spans.iter().map(|span| span.trace_id().to_string()).collect();
    assert_eq!((spans.len(), ids.len(), traces.len()), (2 * STEPS, 2 * STEPS, 2), "{names:?}");
    let step_of = |span: &Span| match span.attribute("tasker.step_id") {
        Some(Value::Str(id)) => Some(id.to_string()),
        _ => None,
    };
    let steps: HashSet<_> = spans.iter().filter_map(step_of).collect();
    assert!(steps.len() == 2 * STEPS && of_step.keys().all(|(_, step)| steps.contains(step)), "{names:?}");
}

#[tokio::test]
async fn each_subscriber_gets_what_it_asked_for_and_the_spans_are_whole() {
    const ASKED: &str = "step.execution_requested";
    const STARTED: &str = "step.started";
    const COMPLETED: &str = "step.completed";
    for spans in [None, Some(())] {
        let spans = || spans.map(|()| InMemorySpans::default());
        run(|builder, seen| builder.subscriber(Asked(seen)), &[ASKED], spans()).await;
        run(|builder, seen| builder.subscriber(Started(seen)), &[STARTED], spans()).await;
        run(|builder, seen| builder.subscriber(Completed(seen)), &[COMPLETED], spans()).await;
        run(|builder, seen| builder.subscriber(AskedStarted(seen)), &[ASKED, STARTED], spans()).await;
        run(|builder, seen| builder.subscriber(AskedCompleted(seen)), &[ASKED, COMPLETED], spans()).await;
        run(|builder, seen| builder.subscriber(StartedCompleted(seen)), &[STARTED, COMPLETED], spans()).await;
        run(|builder, seen| builder.subscriber(All(seen)), &[ASKED, STARTED, COMPLETED], spans()).await;
    }
}
