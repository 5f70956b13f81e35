//! The table of the life cycle's metrics, transition by transition: gauges while something runs, waits for permits, lone
//! steps, cancellation before, inside and between attempts.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]

use std::time::Duration;

use integration_tests::metrics::{histogram, value};
use integration_tests::{EXPECTED, quiet_expected_panics};
use tasker_telemetry::metrics::MetricsBackend;
use tasker_telemetry::prelude::*;
use tokio::sync::oneshot;

fn telemetry() -> Telemetry {
    Telemetry::builder().auto_subscribers(false).build().unwrap()
}

fn in_progress() -> (f64, f64) {
    let metrics = MetricsBackend::current().unwrap();
    (value(&metrics, "tasker.tasks.in_progress", &[]), value(&metrics, "tasker.steps.in_progress", &[]))
}

fn executions(metrics: &MetricsBackend, what: &str, status: &str) -> f64 {
    value(metrics, &format!("tasker.{what}.executions"), &[("status", status)])
}

#[step]
async fn looks() -> (f64, f64) {
    in_progress()
}

#[step]
async fn nests() -> (f64, f64) {
    looks().await
}

#[task]
async fn order() -> [(f64, f64); 4] {
    [in_progress(), looks().await, nests().await, in_progress()]
}

#[tokio::test]
async fn gauges_are_up_while_something_runs() {
    let telemetry = telemetry();
    let seen = telemetry.scope(order()).await;
    assert_eq!(seen, [(1.0, 0.0), (1.0, 1.0), (1.0, 2.0), (1.0, 0.0)]);
    assert_eq!(telemetry.in_scope(in_progress), (0.0, 0.0));
    // The step is in the task, not a task of its own.
    assert_eq!(value(&telemetry.metrics(), "tasker.task.executions", &[]), 1.0);
    assert_eq!(
        value(&telemetry.metrics(), "tasker.step.executions", &[("task_name", "order"), ("step_name", "looks")]),
        2.0
    );
}

#[tokio::test]
async fn a_lone_step_is_a_task_of_its_own() {
    let telemetry = telemetry();
    assert_eq!(telemetry.scope(looks()).await, (1.0, 1.0));
    let metrics = telemetry.metrics();
    for what in ["task", "step"] {
        assert_eq!(
            value(&metrics, &format!("tasker.{what}.executions"), &[("task_name", "looks"), ("status", "success")]),
            1.0
        );
        assert_eq!(histogram(&metrics, &format!("tasker.{what}.duration"), &[("task_name", "looks")]).0, 1);
    }
    assert_eq!(telemetry.in_scope(in_progress), (0.0, 0.0));
}

#[derive(Debug)]
struct Timeout;

#[step(retry_limit = 3, backoff = Backoff::fixed().base(Duration::from_millis(40)))]
async fn flaky(fails: u32) -> Result<(), Timeout> {
    // Asking for the scope makes the lone step's task real, half way.
    let attempt = StepScope::current().map_or(1, |step| step.attempt_number());
    assert_eq!(in_progress(), (1.0, 1.0));
    if attempt <= fails { Err(Timeout) } else { Ok(()) }
}

#[tokio::test]
async fn a_lone_step_that_is_retried_is_one_task() {
    let telemetry = telemetry();
    assert!(telemetry.scope(flaky(2)).await.is_ok());
    assert!(telemetry.scope(flaky(9)).await.is_err());
    let metrics = telemetry.metrics();
    assert_eq!((executions(&metrics, "task", "success"), executions(&metrics, "task", "failure")), (1.0, 1.0));
    assert_eq!((executions(&metrics, "step", "success"), executions(&metrics, "step", "failure")), (1.0, 5.0));
    assert_eq!(value(&metrics, "tasker.step.retries", &[]), 4.0);
    assert_eq!(value(&metrics, "tasker.step.errors", &[("error_type", "timeout")]), 5.0);
    // The task's time holds the waits between the attempts.
    let (count, seconds) = histogram(&metrics, "tasker.task.duration", &[]);
    assert!(count == 2 && seconds >= 0.04, "{count}, {seconds}");
    assert_eq!(telemetry.in_scope(in_progress), (0.0, 0.0));
}

#[tokio::test]
async fn a_step_dropped_between_two_attempts_is_cancelled() {
    let telemetry = telemetry();
    let dropped = tokio::time::timeout(Duration::from_millis(10), telemetry.scope(flaky(9))).await;
    assert!(dropped.is_err());
    let metrics = telemetry.metrics();
    assert_eq!((executions(&metrics, "step", "failure"), executions(&metrics, "step", "cancelled")), (1.0, 1.0));
    assert_eq!(executions(&metrics, "task", "cancelled"), 1.0);
    assert_eq!(telemetry.in_scope(in_progress), (0.0, 0.0));
}

#[step]
async fn holds(started: oneshot::Sender<()>, go: oneshot::Receiver<()>) {
    let _ = started.send(());
    let _ = go.await;
}

#[task(max_concurrent_steps = 1)]
async fn one_at_a_time(cancel_second: bool) -> (f64, f64) {
    let (started, has_started) = oneshot::channel();
    let (go, may_go) = oneshot::channel();
    let first = tokio::spawn(holds(started, may_go).in_current_scope());
    has_started.await.unwrap();
    let second = tokio::spawn(looks().in_current_scope());
    tokio::time::sleep(Duration::from_millis(30)).await;
    // The second waits for its permit: it is not in progress.
    let seen = in_progress();
    if cancel_second {
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        go.send(()).unwrap();
    } else {
        go.send(()).unwrap();
        assert_eq!(second.await.unwrap(), (1.0, 1.0));
    }
    first.await.unwrap();
    seen
}

#[tokio::test]
async fn waiting_for_a_permit_is_queue_time() {
    let telemetry = telemetry();
    assert_eq!(telemetry.scope(one_at_a_time(false)).await, (1.0, 1.0));
    let metrics = telemetry.metrics();
    let (count, seconds) = histogram(&metrics, "tasker.step.queue", &[("step_name", "looks")]);
    assert!(count == 1 && (0.02..5.0).contains(&seconds), "{count}, {seconds}");
    assert_eq!(histogram(&metrics, "tasker.step.duration", &[("task_name", "one_at_a_time")]).0, 2);
    assert_eq!(telemetry.in_scope(in_progress), (0.0, 0.0));
}

#[tokio::test]
async fn a_step_dropped_in_the_queue_never_was_in_progress() {
    let telemetry = telemetry();
    assert_eq!(telemetry.scope(one_at_a_time(true)).await, (1.0, 1.0));
    let metrics = telemetry.metrics();
    assert_eq!(value(&metrics, "tasker.step.executions", &[("step_name", "looks"), ("status", "cancelled")]), 1.0);
    assert_eq!(histogram(&metrics, "tasker.step.queue", &[("step_name", "looks")]).0, 0);
    assert_eq!(telemetry.in_scope(in_progress), (0.0, 0.0));
}

#[step]
fn breaks() {
    panic!("{EXPECTED}");
}

#[task]
fn broken_task() {
    breaks();
}

#[test]
fn panics_are_failures_and_gauges_come_down() {
    quiet_expected_panics();
    let telemetry = telemetry();
    for f in [broken_task as fn(), breaks] {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| telemetry.in_scope(f)));
        assert!(caught.is_err());
    }
    let metrics = telemetry.metrics();
    assert_eq!((executions(&metrics, "task", "failure"), executions(&metrics, "step", "failure")), (2.0, 2.0));
    assert_eq!(value(&metrics, "tasker.step.errors", &[("error_type", "other")]), 2.0);
    assert_eq!(telemetry.in_scope(in_progress), (0.0, 0.0));
}

#[tokio::test]
async fn telemetries_count_for_themselves() {
    let (a, b) = (telemetry(), telemetry());
    a.scope(looks()).await;
    a.scope(looks()).await;
    b.scope(looks()).await;
    assert_eq!((executions(&a.metrics(), "step", "success"), executions(&b.metrics(), "step", "success")), (2.0, 1.0));
}

#[tokio::test]
async fn a_future_never_polled_is_not_counted() {
    let telemetry = telemetry();
    drop(telemetry.scope(looks()));
    drop(telemetry.scope(order()));
    let metrics = telemetry.metrics();
    assert_eq!(value(&metrics, "tasker.step.executions", &[]) + value(&metrics, "tasker.task.executions", &[]), 0.0);
}
