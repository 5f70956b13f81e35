//! What decides about another attempt, and that retries are the program's behaviour: the same with telemetry off.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Recording, block_on, expect, record, record_sync};

#[derive(Debug, Clone, PartialEq)]
enum ApiError {
    Busy,
    Wait(Duration),
    Wrong { field: String },
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy => f.write_str("busy"),
            Self::Wait(_) => f.write_str("wait"),
            Self::Wrong { field } => write!(f, "wrong {field}"),
        }
    }
}

impl std::error::Error for ApiError {}

impl Retryable for ApiError {
    fn retry_advice(&self) -> RetryAdvice {
        match self {
            Self::Busy => RetryAdvice::Retry,
            Self::Wait(delay) => RetryAdvice::RetryAfter(*delay),
            Self::Wrong { .. } => RetryAdvice::Permanent,
        }
    }
}

#[step(retry_limit = 4, backoff = "exponential")]
async fn call(errors: Vec<ApiError>, calls: &AtomicU32) -> Result<u32, ApiError> {
    let call = calls.fetch_add(1, Ordering::SeqCst) as usize;
    errors.get(call).map_or(Ok(7), |error| Err(error.clone()))
}

#[tokio::test(start_paused = true)]
async fn a_server_that_names_a_delay_is_obeyed() {
    let calls = AtomicU32::new(0);
    let began = tokio::time::Instant::now();
    let run = record(call(vec![ApiError::Wait(Duration::from_secs(42)), ApiError::Busy], &calls)).await;
    assert_eq!((run.output.as_ref(), calls.load(Ordering::SeqCst)), (Ok(&7), 3));
    let waited = began.elapsed().as_secs_f64();
    assert!((44.0..44.4).contains(&waited), "42 s as asked, then 2 s and at most a tenth: {waited}");
    let waits = run.named("step.retry_requested");
    assert_eq!(waits[0].payload()["backoff_strategy"], "server_requested");
    assert_eq!(waits[0].payload()["backoff_seconds"], 42.0);
    assert_eq!(waits[1].payload()["backoff_strategy"], "exponential");
    assert_eq!(run.named("observability.step.backoff")[0].payload()["backoff_type"], "server_requested");
}

#[tokio::test(start_paused = true)]
async fn no_wait_is_longer_than_five_minutes() {
    let calls = AtomicU32::new(0);
    let run = record(call(vec![ApiError::Wait(Duration::MAX)], &calls)).await;
    assert_eq!(run.named("step.retry_requested")[0].payload()["backoff_seconds"], 300.0);
}

#[tokio::test]
async fn a_permanent_error_ends_at_once() {
    let calls = AtomicU32::new(0);
    let run = record(call(vec![ApiError::Wrong { field: "amount".into() }], &calls)).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    run.select("step.*").assert_sequence([
        expect("step.execution_requested"),
        expect("step.started"),
        expect("step.failed")
            .with("retryable", false)
            .with("error_class", "retries::ApiError::Wrong")
            .with("error_message", "wrong amount"),
    ]);
    assert!(run.named("step.failed")[0].error().final_failure);
}

#[test]
fn retries_happen_with_telemetry_off() {
    let calls = AtomicU32::new(0);
    let short = vec![ApiError::Wait(Duration::from_millis(1)); 2];
    assert_eq!(block_on(call(short.clone(), &calls)), Ok(7));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    let off = Telemetry::builder().auto_subscribers(false).enabled(false).build().unwrap();
    let calls = AtomicU32::new(0);
    assert_eq!(block_on(off.scope(call(short, &calls))), Ok(7));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

const fn only_small(error: &u32) -> bool {
    *error < 10
}

#[step(retry_limit = 5, retry_if = only_small)]
fn decided_by_path(calls: &AtomicU32) -> Result<(), u32> {
    Err(calls.fetch_add(4, Ordering::SeqCst))
}

#[test]
fn retry_if_decides() {
    let calls = AtomicU32::new(1);
    let run = record_sync(|| decided_by_path(&calls));
    assert_eq!(run.output, Err(13), "1, 5 and 9 were worth another attempt");
    let retryable: Vec<_> = run.named("step.failed").iter().map(|e| e.payload()["retryable"].clone()).collect();
    assert_eq!(retryable, [true, true, true, false]);
    assert_eq!(run.count("step.max_retries_reached"), 0);
}

#[step(retry_limit = 3, backoff = Backoff::custom(|attempt| Duration::from_millis(u64::from(attempt) * 2)))]
fn custom_wait(calls: &AtomicU32) -> Result<(), String> {
    calls.fetch_add(1, Ordering::SeqCst);
    Err("no".into())
}

#[test]
fn a_plain_function_waits_too() {
    let calls = AtomicU32::new(0);
    let run = record_sync(|| custom_wait(&calls));
    let waits: Vec<_> = run.named("step.retry_requested").iter().map(|e| e.numeric("backoff_seconds", 0.0)).collect();
    assert_eq!(waits, [0.002, 0.004]);
    assert_eq!(run.named("step.retry_requested")[0].payload()["backoff_strategy"], "custom");
    assert_eq!(run.count("step.max_retries_reached"), 1);
}

#[step(retry_limit = 3)]
async fn consumes(list: Vec<String>, mut count: u32) -> Result<String, String> {
    count += 1;
    let attempt = StepScope::current().map_or(0, |step| step.attempt_number());
    let text = list.into_iter().collect::<String>();
    if attempt < 3 { Err(text) } else { Ok(format!("{text}{count}")) }
}

#[tokio::test]
async fn every_attempt_gets_the_arguments_as_they_were() {
    let run = record(consumes(vec!["a".into(), "b".into()], 1)).await;
    assert_eq!(run.output, Ok("ab2".to_owned()));
    let ids: std::collections::HashSet<_> =
        run.select("step.*").iter().map(|e| e.step_id().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 1, "attempts of one step share its id");
}

#[step]
async fn no_retries_given() -> Result<(), ApiError> {
    Err(ApiError::Busy)
}

#[tokio::test]
async fn an_error_that_says_it_is_retryable_reaches_the_limit_of_one() {
    let run = record(no_retries_given()).await;
    run.select("step.*").assert_sequence([
        expect("step.execution_requested"),
        expect("step.started"),
        expect("step.failed").with("retryable", true),
        expect("step.max_retries_reached").with("retry_limit", 1),
    ]);
}

#[test]
fn the_scope_of_an_attempt_is_gone_between_attempts() {
    let recording = Recording::new();
    let calls = AtomicU32::new(0);
    let _ = recording.in_scope(|| decided_by_path(&calls));
    assert!(StepScope::current().is_none() && TaskScope::current().is_none());
}
