//! Which events a life is, and in which order.

use std::time::Duration;

use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Recording, expect, record, record_sync};

#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it broke")
    }
}

impl std::error::Error for Broken {}

#[step(fields(amount = amount))]
async fn add(amount: u32) -> Result<u32, Broken> {
    tokio::task::yield_now().await;
    if amount == 0 { Err(Broken) } else { Ok(amount + 1) }
}

#[task(id = format!("sum-{a}"), fields(a, b))]
async fn sum(a: u32, b: u32) -> Result<u32, Broken> {
    Ok(add(a).await? + add(b).await?)
}

#[tokio::test]
async fn a_task_of_two_steps() {
    let run = record(sum(1, 2)).await;
    assert_eq!(run.output.as_ref().ok(), Some(&5));
    run.assert_sequence([
        expect("task.initialize_requested").with("task_id", "sum-1").with("task_name", "sum"),
        expect("task.start_requested"),
        expect("step.execution_requested").with("step_name", "add").with("attempt_number", 1).with("retry_limit", 1),
        expect("step.started"),
        expect("step.completed"),
        expect("step.execution_requested"),
        expect("step.started"),
        expect("step.completed"),
        expect("task.completed").with("total_steps", 2).with("completed_steps", 2).with("failed_steps", 0),
    ]);
    assert_eq!(run[0].payload()["context"], serde_json::json!({"a": 1, "b": 2}));
    assert_eq!(run[2].payload()["step_inputs"], serde_json::json!({"amount": 1}));
    assert_ne!(run[2].step_id(), run[5].step_id());
    assert_eq!(run[2].step_id(), run[4].step_id());
    let done = run[8].payload();
    assert_eq!(done["started_at"], run[1].payload()["started_at"]);
    assert_eq!(run[4].payload()["started_at"], run[3].payload()["started_at"]);
}

#[tokio::test]
async fn a_failing_step_fails_its_task() {
    let run = record(sum(1, 0)).await;
    assert!(run.output.is_err());
    run.assert_contains([
        expect("step.completed"),
        expect("step.failed")
            .with("error_message", "it broke")
            .with("error_class", "sequences::Broken")
            .with("retryable", false)
            .with("attempt_number", 1),
        expect("task.failed")
            .with("error_class", "sequences::Broken")
            .with("completed_steps", 1)
            .with("failed_steps", 1),
    ]);
    assert_eq!(run.count("step.max_retries_reached"), 0);
}

#[step(retry_limit = 3, backoff = "fixed")]
async fn always_broken() -> Result<(), Broken> {
    Err(Broken)
}

#[tokio::test(start_paused = true)]
async fn a_step_outside_a_task_is_a_task_of_its_own() {
    let run = record(always_broken()).await;
    run.assert_sequence([
        expect("task.initialize_requested").with("task_name", "always_broken"),
        expect("task.start_requested"),
        expect("step.execution_requested").with("attempt_number", 1).with("retry_limit", 3),
        expect("step.started"),
        expect("step.failed").with("retryable", true),
        expect("step.retry_requested")
            .with("attempt_number", 1)
            .with("backoff_seconds", 1.0)
            .with("backoff_strategy", "fixed")
            .with("retry_reason", "it broke"),
        expect("observability.step.backoff").with("backoff_seconds", 1.0).with("backoff_type", "fixed"),
        expect("step.execution_requested").with("attempt_number", 2),
        expect("step.started"),
        expect("step.failed"),
        expect("step.retry_requested"),
        expect("observability.step.backoff"),
        expect("step.execution_requested").with("attempt_number", 3),
        expect("step.started"),
        expect("step.failed"),
        expect("step.max_retries_reached").with("attempt_number", 3).with("error_message", "it broke"),
        expect("task.failed").with("total_steps", 1).with("failed_steps", 1),
    ]);
}

#[step]
fn outer(n: u32) -> u32 {
    inner(n) + 1
}

#[step]
fn inner(n: u32) -> u32 {
    n * 2
}

#[test]
fn a_step_in_a_step_belongs_to_the_same_task() {
    let run = record_sync(|| outer(4));
    assert_eq!(run.output, 9);
    assert_eq!(
        run.names(),
        [
            "task.initialize_requested",
            "task.start_requested",
            "step.execution_requested",
            "step.started",
            "step.execution_requested",
            "step.started",
            "step.completed",
            "step.completed",
            "task.completed"
        ]
    );
    assert_eq!(run[8].payload()["total_steps"], 2);
}

#[task(max_concurrent_steps = 2)]
async fn bounded() {
    let nap = || async { napping().await };
    tokio::join!(nap(), nap(), nap(), nap(), nap());
}

#[step]
async fn napping() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn at_most_so_many_steps_run_at_once() {
    let run = record(bounded()).await;
    let (mut running, mut most) = (0_i32, 0);
    for event in &*run {
        match event.name() {
            "step.started" => running += 1,
            "step.completed" => running -= 1,
            _ => {}
        }
        most = most.max(running);
    }
    assert_eq!(most, 2);
    let waits: Vec<_> = run.named("step.started").iter().map(|e| e.numeric("queue_time", -1.0)).collect();
    assert!(waits[0] < 0.010 && waits[4] > 0.030, "{waits:?}");
}

#[tokio::test]
async fn a_dropped_task_cancels_its_steps_first() {
    #[task]
    async fn parent() {
        napping().await;
    }
    let recording = Recording::new();
    let timed_out = tokio::time::timeout(Duration::from_millis(2), recording.scope(parent())).await;
    assert!(timed_out.is_err());
    let names = recording.events().names();
    assert_eq!(names[names.len() - 2..], ["step.cancelled", "task.cancelled"]);
}

#[tokio::test]
async fn resources_are_told_when_asked_for() {
    let recording = Recording::with(Telemetry::builder().auto_subscribers(false).step_processing(true)).unwrap();
    recording.scope(bounded()).await;
    let events = recording.events();
    let told = events.named("observability.step.processing");
    assert_eq!(told.len(), 5);
    for (told, ended) in told.iter().zip(events.named("step.completed")) {
        assert_eq!(told.step_id(), ended.step_id());
        assert_eq!(told.payload()["processing_time"], ended.payload()["execution_duration"]);
        assert!(told.payload()["cpu_time"].is_null());
    }
    assert!(told[4].numeric("queue_time", 0.0) > 0.0);
    assert_eq!(record(bounded()).await.count("observability.step.processing"), 0);
}
