//! Steps as objects: what `#[step]` on a `process` declares, what `handle` runs, and what an engine is told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tasker_telemetry::handler::{Attempted, DynStepHandler, StepAttempt};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Recording, block_on, expect, record};
use tasker_telemetry::trace::InMemorySpans;
use tasker_telemetry::{Catalog, register_handlers};

/// Fails as often as it is told to.
#[derive(Default)]
struct Charge {
    amount: u64,
    failures: u32,
    calls: AtomicU32,
    seen: Mutex<Vec<(String, String, u32)>>,
}

impl StepHandler for Charge {
    type Output = u64;
    type Error = String;

    /// Charges a card.
    #[step(name = "handlers.charge", retry_limit = 3, backoff = "exponential", fields(amount = self.amount))]
    async fn process(&self, task: &TaskScope, step: &StepScope) -> Result<u64, String> {
        assert_eq!(StepScope::current().map(|here| here.step_id()), Some(step.step_id()), "it is the current step");
        assert_eq!(step.task().task_id(), task.task_id());
        self.seen.lock().unwrap().push((task.task_id().to_owned(), step.step_id(), step.attempt_number()));
        if self.calls.fetch_add(1, Ordering::SeqCst) < self.failures { Err("busy".to_owned()) } else { Ok(self.amount) }
    }

    fn process_results(&self, step: &StepScope, output: u64) -> Result<u64, String> {
        if output == 13 { Err(format!("attempt {}: 13", step.attempt_number())) } else { Ok(output + 1) }
    }
}

fn charge(amount: u64, failures: u32) -> Charge {
    Charge { amount, failures, ..Charge::default() }
}

#[task(id = id)]
async fn order(id: u64, charge: &Charge) -> Result<u64, String> {
    charge.handle().await
}

#[tokio::test(start_paused = true)]
async fn handle_runs_the_step_with_its_retries() {
    let charge = charge(5, 2);
    let began = tokio::time::Instant::now();
    let run = record(order(7, &charge)).await;
    assert_eq!(run.output, Ok(6), "what process_results made of it");
    let waited = began.elapsed().as_secs_f64();
    assert!((3.0..3.3).contains(&waited), "1 s, then 2 s, and at most a tenth: {waited}");
    run.select("step.*").assert_sequence([
        expect("step.execution_requested").with("step_inputs", json!({"amount": 5})).with("attempt_number", 1),
        expect("step.started"),
        expect("step.failed").with("error_message", "busy").with("retryable", true),
        expect("step.retry_requested").with("backoff_strategy", "exponential"),
        expect("step.execution_requested").with("attempt_number", 2),
        expect("step.started"),
        expect("step.failed"),
        expect("step.retry_requested"),
        expect("step.execution_requested"),
        expect("step.started"),
        expect("step.completed").with("attempt_number", 3).with("step_name", "handlers.charge"),
    ]);
    assert_eq!(run.count("task.completed"), 1);
    let seen = charge.seen.lock().unwrap();
    assert_eq!(
        seen.iter().map(|(task, _, attempt)| (task.as_str(), *attempt)).collect::<Vec<_>>(),
        [("7", 1), ("7", 2), ("7", 3)]
    );
    assert!(seen.iter().all(|(_, step, _)| *step == seen[0].1), "one step");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_last_word_is_one_of_the_attempt() {
    let charge = charge(13, 0);
    let run = record(order(7, &charge)).await;
    assert_eq!(run.output, Err("attempt 3: 13".to_owned()));
    assert_eq!((run.count("step.failed"), run.count("step.max_retries_reached")), (3, 1));
    assert_eq!(run.named("task.failed")[0].payload()["error_message"], "attempt 3: 13");
}

#[test]
fn with_telemetry_off_it_runs_the_same() {
    struct Quick(AtomicU32, Mutex<Vec<String>>);
    impl StepHandler for Quick {
        type Output = u32;
        type Error = ();
        #[step(name = "handlers.quick", retry_limit = 3)]
        async fn process(&self, task: &TaskScope, step: &StepScope) -> Result<u32, ()> {
            assert_eq!((task.task_name(), step.step_name()), ("handlers.quick", "handlers.quick"));
            assert_eq!((step.retry_limit(), step.traceparent()), (3, None));
            self.1.lock().unwrap().push(step.step_id());
            let calls = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            assert_eq!(step.attempt_number(), calls);
            if calls < 3 { Err(()) } else { Ok(calls) }
        }
    }
    let quick = Quick(AtomicU32::new(0), Mutex::default());
    let off = Telemetry::builder().auto_subscribers(false).enabled(false).build().unwrap();
    assert_eq!(block_on(off.scope(quick.handle())), Ok(3));
    let ids = quick.1.lock().unwrap();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "one step, also where nobody is told of it");
}

#[test]
fn process_alone_is_a_plain_method() {
    let recording = Recording::new();
    #[step]
    async fn around(charge: &Charge) -> Result<u64, String> {
        let (task, step) = (TaskScope::current().unwrap(), StepScope::current().unwrap());
        charge.process(&task, &step).await
    }
    let charge = charge(5, 0);
    assert_eq!(block_on(recording.scope(around(&charge))), Ok(5));
    let steps: Vec<_> = recording.events().select("step.*").iter().filter_map(EventRecord::step_name).collect();
    assert!(!steps.is_empty() && steps.iter().all(|name| *name == "around"), "{steps:?}");
}

/// An engine: it waits its own way, keeps what it is told as JSON, and asks again.
async fn engine(charge: &Charge) -> (Result<u64, String>, Vec<Duration>) {
    let (mut attempt, mut waits) = (StepAttempt::FIRST, Vec::new());
    loop {
        match charge.handle_attempt(attempt).await {
            Attempted::Completed(output) => return (Ok(output), waits),
            Attempted::Failed(error) => return (Err(error), waits),
            Attempted::Retry { wait, next, .. } => {
                waits.push(wait);
                attempt = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
            }
        }
    }
}

#[task]
async fn engine_order(charge: &Charge) -> (Result<u64, String>, Vec<Duration>) {
    engine(charge).await
}

fn names_and_attempts(events: &tasker_telemetry::testing::Events) -> Vec<(String, Option<u32>, serde_json::Value)> {
    let backoff = |event: &EventRecord| event.payload()["backoff_strategy"].clone();
    events.iter().map(|event| (event.name().to_owned(), event.attempt_number(), backoff(event))).collect()
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_owns_the_retries_gets_the_same_events() {
    for failures in [0, 2, 5] {
        let (of_engine, of_handle) = (charge(5, failures), charge(5, failures));
        let began = tokio::time::Instant::now();
        let engine = record(engine_order(&of_engine)).await;
        assert!(began.elapsed().is_zero(), "nothing waits in process");
        let handle = record(order(1, &of_handle)).await;
        let (result, waits) = &engine.output;
        assert_eq!(*result, handle.output);
        assert_eq!(names_and_attempts(&engine.select("step.*")), names_and_attempts(&handle.select("step.*")));
        assert_eq!(engine.count("observability.step.backoff"), handle.count("observability.step.backoff"));
        let told: Vec<_> =
            engine.named("step.retry_requested").iter().map(|e| e.numeric("backoff_seconds", 0.0)).collect();
        let same = |(wait, told): (&Duration, &f64)| (wait.as_secs_f64() - told).abs() < 1e-9;
        assert!(waits.len() == told.len() && waits.iter().zip(&told).all(same), "{waits:?} {told:?}");
        let seen = of_engine.seen.lock().unwrap();
        assert!(seen.iter().all(|(task, step, _)| (task, step) == (&seen[0].0, &seen[0].1)), "one step in one task");
        let end = engine.select("task.*");
        let end = end.iter().last().unwrap();
        assert_eq!(end.payload()["total_steps"], 1);
    }
}

#[tokio::test]
async fn attempts_of_an_engine_are_linked() {
    let spans = InMemorySpans::default();
    let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone()).build().unwrap();
    let charge = charge(5, 2);
    let (result, _) = telemetry.scope(engine_order(&charge)).await;
    assert_eq!(result, Ok(6));
    telemetry.flush().await.unwrap();
    let attempts = spans.named("tasker.step.execution");
    assert_eq!(attempts.len(), 3);
    for pair in attempts.windows(2) {
        assert_eq!(pair[1].links()[0].span_id(), pair[0].span_id());
        assert_eq!(pair[1].parent_span_id(), pair[0].parent_span_id());
    }
}

#[tokio::test]
async fn a_number_from_elsewhere_is_the_attempts_own() {
    #[task]
    async fn resumed(charge: &Charge) -> Attempted<u64, String> {
        charge.handle_attempt(StepAttempt::new(3)).await
    }
    let charge = charge(5, 9);
    let run = record(resumed(&charge)).await;
    assert_eq!(run.output, Attempted::Failed("busy".to_owned()), "the third of three");
    run.select("step.*").assert_sequence([
        expect("step.execution_requested").with("attempt_number", 3).with("step_inputs", json!({"amount": 5})),
        expect("step.started").with("attempt_number", 3),
        expect("step.failed").with("attempt_number", 3).with("retry_limit", 3),
        expect("step.max_retries_reached").with("attempt_number", 3),
    ]);
}

#[tokio::test]
async fn what_is_known_of_a_step_of_another_task_is_not_taken_over() {
    let (first, second) = (charge(5, 1), charge(5, 0));
    let recording = Recording::new();
    #[step]
    async fn before() -> String {
        StepScope::current().unwrap().step_id()
    }
    #[task]
    async fn one(charge: &Charge, attempt: StepAttempt) -> Attempted<u64, String> {
        let before = before().await;
        let attempted = charge.handle_attempt(attempt).await;
        assert!(charge.seen.lock().unwrap().iter().all(|(_, step, _)| *step != before), "no other step's id");
        attempted
    }
    #[task]
    async fn other(charge: &Charge) -> Attempted<u64, String> {
        charge.handle_attempt(StepAttempt::FIRST).await
    }
    let Attempted::Retry { next, .. } = recording.scope(other(&first)).await else { panic!("it fails") };
    assert_eq!(recording.scope(one(&second, next)).await, Attempted::Completed(6));
    let seen = [first, second].map(|charge| charge.seen.into_inner().unwrap().remove(0));
    assert_ne!(seen[0].1, seen[1].1, "another task's step");
    assert_eq!(seen[1].2, 2, "the number is what the engine said");
}

#[tokio::test]
async fn outside_any_task_each_attempt_of_an_engine_is_a_task_of_its_own() {
    let charge = charge(5, 1);
    let run = record(engine(&charge)).await;
    assert_eq!(run.output.0, Ok(6));
    run.select("task.*").assert_sequence([
        expect("task.initialize_requested"),
        expect("task.start_requested"),
        expect("task.failed").with("error_message", "busy"),
        expect("task.initialize_requested"),
        expect("task.start_requested"),
        expect("task.completed"),
    ]);
}

#[tokio::test]
async fn an_attempt_that_is_dropped_is_cancelled_and_one_that_ended_is_not() {
    struct Stuck;
    impl StepHandler for Stuck {
        type Output = ();
        type Error = ();
        #[step(name = "handlers.stuck")]
        async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<(), ()> {
            std::future::pending().await
        }
    }
    let recording = Recording::new();
    let mut attempt = Box::pin(recording.scope(Stuck.handle_attempt(StepAttempt::FIRST)));
    assert!(futures::poll!(attempt.as_mut()).is_pending());
    drop(attempt);
    assert_eq!(recording.events().count("step.cancelled"), 1);

    let run =
        record(async { matches!(charge(5, 1).handle_attempt(StepAttempt::FIRST).await, Attempted::Retry { .. }) })
            .await;
    assert!(run.output);
    assert_eq!((run.count("step.cancelled"), run.count("step.failed")), (0, 1));
}

#[tokio::test]
async fn in_an_attempt_of_a_driver_a_handler_is_a_step_like_any_other() {
    use tasker_telemetry::driver::{self, EngineAttempt, NewTask, Verdict};

    let (recording, charge) = (Recording::new(), charge(5, 9));
    let (result, verdict) = recording
        .scope(async {
            let carrier = driver::begin(NewTask::new("order").id("7")).hand_over();
            let task = driver::resume(carrier, EngineAttempt::new("charge", 2));
            let result = task.scope(charge.handle()).await;
            (result, task.verdict())
        })
        .await;
    assert_eq!(result, Err("busy".to_owned()), "once: the engine runs the next");
    assert!(matches!(verdict, Verdict::Retry(wait) if wait >= Duration::from_secs(2)), "{verdict:?}");
    assert_eq!(charge.seen.lock().unwrap().iter().map(|(_, _, attempt)| *attempt).collect::<Vec<_>>(), [2]);
    recording.events().select("step.*").assert_sequence([
        expect("step.execution_requested").with("attempt_number", 2).with("step_inputs", json!({"amount": 5})),
        expect("step.started"),
        expect("step.failed"),
        expect("step.retry_requested"),
    ]);
}

/// A step that is stored and found again by name.
#[derive(Deserialize)]
struct Greet {
    name: String,
}

impl StepHandler for Greet {
    type Output = String;
    type Error = std::io::Error;

    /// Says hello.
    #[step(name = "handlers.greet", fields(name = self.name))]
    async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<String, std::io::Error> {
        if self.name.is_empty() { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(format!("hello {}", self.name)) }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "as `register_handlers!` calls it")]
fn charge_of(input: serde_json::Value) -> Result<Charge, std::num::ParseIntError> {
    Ok(charge(input.as_str().unwrap_or_default().parse()?, 1))
}

register_handlers!(Greet, Charge => charge_of);

#[tokio::test(start_paused = true)]
async fn an_engine_finds_a_handler_by_the_name_of_its_step() {
    let names: Vec<_> = Catalog::handlers().iter().map(|handler| handler.spec.name).collect();
    assert!(names.is_sorted() && names.contains(&"handlers.charge"), "{names:?}");
    assert!(Catalog::handler("handlers.nothing").is_none());
    let greet = Catalog::handler("handlers.greet").unwrap();
    assert_eq!((greet.spec.description, greet.type_name), ("Says hello.", "handlers::Greet"));
    let made: Box<dyn DynStepHandler> = greet.make(json!({"name": "Ada"})).unwrap();
    let run = record(made.handle_json()).await;
    assert_eq!(run.output, Ok(json!("hello Ada")));
    assert_eq!(run.named("step.execution_requested")[0].payload()["step_inputs"], json!({"name": "Ada"}));

    let missing = greet.make(json!({"name": ""})).unwrap();
    let error = missing.handle_json().await.unwrap_err();
    assert_eq!(error.class(), "std::io::error::Error");
    assert!(greet.make(json!({"nom": 1})).unwrap_err().message().contains("name"));

    let charge = Catalog::handler("handlers.charge").unwrap().make(json!("41")).unwrap();
    assert_eq!(charge.spec().retry_limit, 3);
    let recording = Recording::new();
    let first = recording.scope(charge.handle_attempt_json(StepAttempt::FIRST)).await;
    let Attempted::Retry { error, next, .. } = first else { panic!("the first fails") };
    assert_eq!((error.message(), next.attempt_number()), ("busy", 2));
    assert_eq!(recording.scope(charge.handle_attempt_json(next)).await, Attempted::Completed(json!(42)));
    assert!(
        Catalog::json()["handlers"]
            .as_array()
            .unwrap()
            .contains(&json!({"step": "handlers.greet", "type": "handlers::Greet"}))
    );
}

/// A handler may be generic, and its futures go where the runtime wants.
struct Generic<G>(G);

trait Gateway: Send + Sync {
    type Error: std::error::Error + Send;
    fn ask(&self) -> Result<u32, Self::Error>;
}

impl Gateway for &'static str {
    type Error = std::num::ParseIntError;
    fn ask(&self) -> Result<u32, Self::Error> {
        self.parse()
    }
}

const fn never<E>(_: &E) -> bool {
    false
}

impl<G: Gateway> StepHandler for Generic<G> {
    type Output = u32;
    type Error = G::Error;

    #[step(name = "handlers.generic", retry_limit = 9, retry_if = never)]
    async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<u32, G::Error> {
        tokio::task::yield_now().await;
        self.0.ask()
    }
}

#[tokio::test]
async fn a_generic_handler_is_spawned() {
    let spawned = tokio::spawn(record_generic("x"));
    let (output, class, failed) = spawned.await.unwrap();
    assert!(output.is_err());
    assert_eq!((class.as_str(), failed), ("core::num::error::ParseIntError", 1), "retry_if decides");
}

async fn record_generic(text: &'static str) -> (Result<u32, std::num::ParseIntError>, String, usize) {
    let recording = Recording::new();
    let output = recording.scope(async move { Generic(text).handle().await }).await;
    let events = recording.events();
    let failed = events.named("step.failed");
    (output, failed[0].payload()["error_class"].as_str().unwrap().to_owned(), failed.len())
}
