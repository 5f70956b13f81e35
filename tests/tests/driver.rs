//! A driver's seam: an engine counts the attempts, the life cycle tells, and nobody tries twice.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tasker_telemetry::driver::{self, EngineAttempt, NewTask, Verdict};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{self, expect};
use tasker_telemetry::trace::{Carrier, InMemorySpans};
use tasker_telemetry::{Backoff, RetryAdvice, Retryable, Timestamp};

#[derive(Debug)]
struct No {
    advice: RetryAdvice,
}

impl std::fmt::Display for No {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no: {:?}", self.advice)
    }
}

impl std::error::Error for No {}

impl Retryable for No {
    fn retry_advice(&self) -> RetryAdvice {
        self.advice
    }
}

const NO: No = No { advice: RetryAdvice::Retry };

#[step(retry_limit = 3, backoff = Backoff::fixed().base(Duration::from_secs(7)))]
async fn charge(ran: &AtomicU32, outcome: Result<u32, RetryAdvice>) -> Result<u32, No> {
    ran.fetch_add(1, Ordering::Relaxed);
    outcome.map_err(|advice| No { advice })
}

#[step]
async fn outer(ran: &AtomicU32) -> Result<u32, No> {
    flaky(ran).await
}

#[step(retry_limit = 3)]
async fn flaky(ran: &AtomicU32) -> Result<u32, No> {
    let ran = ran.fetch_add(1, Ordering::Relaxed);
    if ran < 1 { Err(NO) } else { Ok(ran) }
}

#[step(retry_limit = 2)]
fn plain() -> Result<(), No> {
    Err(NO)
}

fn carrier() -> Carrier {
    driver::begin(NewTask::new("order_process").id("7")).hand_over()
}

/// How often the body ran, and what the steps said.
async fn attempt(carrier: &Carrier, number: u32, outcome: Result<u32, RetryAdvice>) -> (u32, Verdict) {
    let ran = AtomicU32::new(0);
    let task = driver::resume(carrier.clone(), EngineAttempt::new("charge", number));
    let _ = task.scope(charge(&ran, outcome)).await;
    (ran.into_inner(), task.verdict())
}

#[tokio::test]
async fn an_engine_counts_and_the_step_runs_once() {
    let run = testing::record(async {
        let carrier = carrier();
        let wait = Verdict::Retry(Duration::from_secs(7));
        assert_eq!(attempt(&carrier, 1, Err(RetryAdvice::Retry)).await, (1, wait));
        let wait = Verdict::Retry(Duration::from_secs(2));
        assert_eq!(attempt(&carrier, 2, Err(RetryAdvice::RetryAfter(Duration::from_secs(2)))).await, (1, wait));
        assert_eq!(attempt(&carrier, 3, Err(RetryAdvice::Retry)).await, (1, Verdict::Failed));
    })
    .await;
    run.select("step.*").assert_sequence([
        expect("step.execution_requested").with("attempt_number", 1).with("retry_limit", 3),
        expect("step.started"),
        expect("step.failed").with("retryable", true),
        expect("step.retry_requested").with("backoff_seconds", 7.0).with("backoff_strategy", "fixed"),
        expect("step.execution_requested").with("attempt_number", 2),
        expect("step.started"),
        expect("step.failed"),
        expect("step.retry_requested").with("backoff_seconds", 2.0).with("backoff_strategy", "server_requested"),
        expect("step.execution_requested").with("attempt_number", 3),
        expect("step.started"),
        expect("step.failed"),
        expect("step.max_retries_reached").with("retry_limit", 3),
    ]);
    let ids: Vec<_> = run.select("step.*").iter().map(|event| event.payload()["step_id"].clone()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "all attempts are one step: {ids:?}");
    let mut ids: Vec<_> = run.iter().map(|event| event.payload()["event_id"].to_string()).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "no two events have one id");
}

#[tokio::test]
async fn a_permanent_failure_ends_it_and_success_does() {
    let carrier = carrier();
    assert_eq!(attempt(&carrier, 1, Err(RetryAdvice::Permanent)).await, (1, Verdict::Failed));
    assert_eq!(attempt(&carrier, 2, Ok(1)).await, (1, Verdict::Completed));
}

#[tokio::test]
async fn without_telemetry_the_engine_retries_all_the_same() {
    // No telemetry is installed in this process, and none is in scope.
    let carrier = carrier();
    assert_eq!(carrier.traceparent(), None);
    let wait = Verdict::Retry(Duration::from_secs(7));
    assert_eq!(attempt(&carrier, 1, Err(RetryAdvice::Retry)).await, (1, wait));
    let task = driver::resume(carrier, EngineAttempt::new("plain", 1));
    assert!(task.in_scope(plain).is_err());
    assert_eq!(task.verdict(), Verdict::Retry(Duration::ZERO));
}

#[tokio::test]
async fn the_engines_limit_stands_above_the_steps() {
    let run = testing::record(async {
        let task = driver::resume(carrier(), EngineAttempt::new("charge", 3).limit(4));
        let _ = task.scope(charge(&AtomicU32::new(0), Err(RetryAdvice::Retry))).await;
        assert!(matches!(task.verdict(), Verdict::Retry(_)));
        let task = driver::resume(carrier(), EngineAttempt::new("charge", 1).limit(1));
        let _ = task.scope(charge(&AtomicU32::new(0), Err(RetryAdvice::Retry))).await;
        assert_eq!(task.verdict(), Verdict::Failed);
        // An attempt that died with its process is one more than the step was to have.
        let task = driver::resume(carrier(), EngineAttempt::new("charge", 9));
        let _ = task.scope(charge(&AtomicU32::new(0), Err(RetryAdvice::Retry))).await;
        assert_eq!(task.verdict(), Verdict::Failed);
    })
    .await;
    let limits: Vec<_> =
        run.select("step.started").iter().map(|event| event.payload()["retry_limit"].clone()).collect();
    assert_eq!(limits, [4, 1, 9]);
}

#[tokio::test]
async fn a_step_inside_a_step_is_none_that_the_engine_knows() {
    let ran = AtomicU32::new(0);
    let run = testing::record(async {
        let task = driver::resume(carrier(), EngineAttempt::new("outer", 4));
        assert!(task.scope(outer(&ran)).await.is_ok());
        assert_eq!(task.verdict(), Verdict::Completed);
    })
    .await;
    assert_eq!(ran.load(Ordering::Relaxed), 2, "the inner step ran again by itself");
    let started = run.select("step.started");
    let attempts: Vec<_> = started.iter().map(|event| event.payload()["attempt_number"].clone()).collect();
    assert_eq!(attempts, [4, 1, 2]);
}

#[tokio::test]
async fn a_unit_of_several_steps_may_retry_each_in_process() {
    let ran = AtomicU32::new(0);
    let run = testing::record(async {
        let task = driver::resume(carrier(), EngineAttempt::new("lines", 2));
        let work = async {
            TaskScope::current().unwrap().retry_in_process();
            flaky(&ran).await
        };
        assert!(task.scope(work).await.is_ok());
        assert_eq!(task.verdict(), Verdict::Completed);
    })
    .await;
    let started = run.select("step.started");
    let attempts: Vec<_> = started.iter().map(|event| event.payload()["attempt_number"].clone()).collect();
    assert_eq!(attempts, [2, 3], "it begins with the engine's number");
}

#[tokio::test]
async fn what_is_done_once_at_the_end_counts_for_itself() {
    let ran = AtomicU32::new(0);
    let run = testing::record(async {
        let task = driver::resume(carrier(), EngineAttempt::new("charge", 3));
        let work = async {
            let _ = charge(&AtomicU32::new(0), Err(RetryAdvice::Retry)).await;
            let task = TaskScope::current().unwrap();
            assert_eq!(task.verdict(), Verdict::Failed);
            task.apart_from_engine();
            flaky(&ran).await
        };
        assert!(task.scope(work).await.is_ok());
        assert_eq!(task.verdict(), Verdict::Failed);
    })
    .await;
    let started = run.select("step.started");
    let attempts: Vec<_> = started.iter().map(|event| event.payload()["attempt_number"].clone()).collect();
    assert_eq!(attempts, [3, 1, 2]);
}

#[tokio::test]
async fn the_time_in_the_queue_is_queue_time_and_not_the_steps() {
    let run = testing::record(async {
        let since = Timestamp::from_unix_nanos(Timestamp::now().as_unix_nanos() - 60_000_000_000);
        let task = driver::resume(carrier(), EngineAttempt::new("charge", 1).queued_at(since));
        assert_eq!(task.scope(charge(&AtomicU32::new(0), Ok(1))).await.unwrap(), 1);
        assert_eq!(task.scope(charge(&AtomicU32::new(0), Ok(2))).await.unwrap(), 2);
    })
    .await;
    let number = |event: &tasker_telemetry::EventRecord, name: &str| event.payload()[name].as_f64().unwrap();
    let queued: Vec<_> = run.select("step.started").iter().map(|event| number(event, "queue_time")).collect();
    assert!(queued[0] >= 60.0 && queued[0] < 70.0, "{queued:?}");
    assert!(queued[1] < 1.0, "told once: {queued:?}");
    let took: Vec<_> = run.select("step.completed").iter().map(|event| number(event, "execution_duration")).collect();
    assert!(took.iter().all(|took| *took < 10.0), "{took:?}");
}

#[tokio::test]
async fn a_task_is_begun_started_and_ended_once_each_in_one_trace() {
    let spans = InMemorySpans::default();
    let recording =
        testing::Recording::with(Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone())).unwrap();
    recording
        .scope(async {
            let new = NewTask::new("order_process").id("7").field("customer", "Ada").field("email", "ada@example.org");
            let carrier = driver::begin(new).hand_over();
            let task = driver::resume(carrier, EngineAttempt::new("charge", 1));
            task.start();
            let _ = task.scope(charge(&AtomicU32::new(0), Err(RetryAdvice::Retry))).await;
            let first = task.carrier();
            drop(task);
            let task = driver::resume(first, EngineAttempt::new("charge", 2));
            task.scope(charge(&AtomicU32::new(0), Ok(1))).await.unwrap();
            task.complete();
        })
        .await;
    recording.telemetry().flush().await.unwrap();
    let events = recording.events();
    assert_eq!(
        events.select("task.*").names(),
        ["task.initialize_requested", "task.start_requested", "task.completed"]
    );
    let begun = events.select("task.initialize_requested");
    let context = &begun[0].payload()["context"];
    assert_eq!((&context["customer"], &context["email"]), (&"Ada".into(), &"[FILTERED]".into()));
    let (roots, steps) = (spans.named("tasker.task.execution"), spans.named("tasker.step.execution"));
    assert_eq!((roots.len(), steps.len()), (1, 2));
    for step in &steps {
        assert_eq!((step.trace_id(), step.parent_span_id()), (roots[0].trace_id(), Some(roots[0].span_id())));
    }
    assert!(roots[0].start() <= steps[0].start());
    assert_eq!(steps[1].links().len(), 1, "a later attempt links to the one before");
}
