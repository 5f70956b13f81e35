//! Metrics say what the events say: 2,000 tasks of 5 steps on 8 threads, some retried, failing, cancelled or panicking, each
//! figure taken from the events, the spans and the metrics. And they go on saying it when events are lost.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_tests::metrics::{histogram, value};
use integration_tests::{EXPECTED, quiet_expected_panics};
use tasker_telemetry::metrics::MetricsBackend;
use tasker_telemetry::prelude::*;
use tasker_telemetry::trace::{InMemorySpans, SpanStatus};
use tokio::sync::Notify;

const TASKS: u32 = 2_000;

#[derive(Debug)]
enum StepError {
    GatewayTimeout,
    InvalidCard,
}

impl Retryable for StepError {
    fn retry_advice(&self) -> RetryAdvice {
        match self {
            Self::GatewayTimeout => RetryAdvice::Retry,
            Self::InvalidCard => RetryAdvice::Permanent,
        }
    }
}

#[step(retry_limit = 3)]
async fn work(task: u32, number: u32, reached: Arc<Notify>) -> Result<(), StepError> {
    tokio::task::yield_now().await;
    let attempt = StepScope::current().map_or(0, |step| step.attempt_number());
    match (task % 10, number) {
        (0 | 1, 3) if attempt < 3 => Err(StepError::GatewayTimeout),
        (2, 4) => Err(StepError::InvalidCard),
        (3, 2) => Err(StepError::GatewayTimeout),
        (5, 1) => panic!("{EXPECTED} of task {task}"),
        (4, 5) => {
            reached.notify_one();
            std::future::pending().await
        }
        _ => Ok(()),
    }
}

#[task(id = task)]
async fn run(task: u32, reached: Arc<Notify>) -> Result<(), StepError> {
    for number in 1..=5 {
        work(task, number, Arc::clone(&reached)).await?;
    }
    Ok(())
}

/// Runs all tasks under that telemetry.
fn run_all(telemetry: &Telemetry) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let reached = Arc::new(Notify::new());
                let run = telemetry.scope(run(task, Arc::clone(&reached)));
                tokio::spawn(async move {
                    tokio::select! {
                        _ = run => {}
                        () = reached.notified() => {}
                    }
                })
            })
            .collect();
        for (task, handle) in tasks.into_iter().enumerate() {
            assert_eq!(handle.await.is_err(), task % 10 == 5);
        }
    });
}

/// Tasks by last digit: 0 and 1 retried twice, 2 and 3 fail, 4 is cancelled, 5 panics.
fn check_counts(metrics: &MetricsBackend) {
    let tasks = f64::from(TASKS) / 10.0;
    let task = |status| value(metrics, "tasker.task.executions", &[("task_name", "run"), ("status", status)]);
    assert_eq!((task("success"), task("failure"), task("cancelled")), (6.0 * tasks, 3.0 * tasks, tasks));
    let step = |status| value(metrics, "tasker.step.executions", &[("step_name", "work"), ("status", status)]);
    // Successes: 6 whole tasks, 3 steps before the permanent error, 1 before the exhausted one, 4 before the cancellation.
    assert_eq!(step("success"), (6.0 * 5.0 + 3.0 + 1.0 + 4.0) * tasks);
    assert_eq!(step("failure"), (2.0 * 2.0 + 1.0 + 3.0 + 1.0) * tasks);
    assert_eq!(step("cancelled"), tasks);
    assert_eq!(value(metrics, "tasker.step.retries", &[]), (2.0 * 2.0 + 2.0) * tasks);
    let errors = |error_type| value(metrics, "tasker.step.errors", &[("error_type", error_type)]);
    assert_eq!((errors("timeout"), errors("client_error"), errors("other")), (7.0 * tasks, tasks, tasks));
    for gauge in ["tasker.tasks.in_progress", "tasker.steps.in_progress"] {
        assert_eq!(value(metrics, gauge, &[]), 0.0, "{gauge}");
    }
    let ended = |name| histogram(metrics, name, &[]).0;
    assert_eq!(ended("tasker.task.duration"), u64::from(TASKS) / 10 * 9);
    assert_eq!(ended("tasker.step.duration"), u64::from(TASKS) / 10 * 47);
    assert_eq!(ended("tasker.step.queue"), u64::from(TASKS) / 10 * 48);
}

#[derive(Default)]
struct Books {
    events: BTreeMap<&'static str, u64>,
    error_types: BTreeMap<String, u64>,
    task_seconds: f64,
    step_seconds: f64,
}

#[derive(Subscriber)]
#[subscribe("*")]
#[subscriber(manual)]
struct Everything(Arc<Mutex<Books>>);

impl Everything {
    fn handle_event(&self, event: &EventRecord) {
        let mut books = self.0.lock().unwrap();
        *books.events.entry(event.name()).or_default() += 1;
        let seconds = event.numeric("execution_duration", 0.0);
        match event.name() {
            "task.completed" | "task.failed" => books.task_seconds += seconds,
            "step.completed" | "step.failed" => books.step_seconds += seconds,
            _ => {}
        }
        if event.name() == "step.failed" {
            *books.error_types.entry(event.error().error_type).or_default() += 1;
        }
    }
}

#[test]
fn metrics_agree_with_the_events() {
    quiet_expected_panics();
    let books = Arc::new(Mutex::new(Books::default()));
    let spans = InMemorySpans::default();
    let telemetry = Telemetry::builder()
        .auto_subscribers(false)
        .in_memory_spans(spans.clone())
        .subscriber(Everything(Arc::clone(&books)))
        .shutdown_timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    run_all(&telemetry);
    telemetry.shutdown_blocking().unwrap();
    assert!(telemetry.health().is_clean());

    let metrics = telemetry.metrics();
    check_counts(&metrics);
    let books = books.lock().unwrap();
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let events = |name: &str| books.events.get(name).copied().unwrap_or_default() as f64;
    for (event, metric, status) in [
        ("task.completed", "tasker.task.executions", "success"),
        ("task.failed", "tasker.task.executions", "failure"),
        ("task.cancelled", "tasker.task.executions", "cancelled"),
        ("step.completed", "tasker.step.executions", "success"),
        ("step.failed", "tasker.step.executions", "failure"),
        ("step.cancelled", "tasker.step.executions", "cancelled"),
    ] {
        assert_eq!(events(event), value(&metrics, metric, &[("status", status)]), "{event}");
    }
    // And the spans: one for each end, with its status.
    for (span, metric) in
        [("tasker.task.execution", "tasker.task.executions"), ("tasker.step.execution", "tasker.step.executions")]
    {
        let ended: Vec<_> = spans.named(span).iter().map(tasker_telemetry::trace::Span::status).collect();
        for (status, is_it) in [
            ("success", (|status| *status == SpanStatus::Ok) as fn(&SpanStatus) -> bool),
            ("failure", |status| matches!(status, SpanStatus::Error(_))),
            ("cancelled", |status| *status == SpanStatus::Unset),
        ] {
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let count = ended.iter().filter(|status| is_it(status)).count() as f64;
            assert_eq!(count, value(&metrics, metric, &[("status", status)]), "{span} {status}");
        }
    }
    assert_eq!(events("step.retry_requested"), value(&metrics, "tasker.step.retries", &[]));
    for (name, count) in &books.events {
        assert_eq!(value(&metrics, "tasker.events.published", &[("event", name)]), events(name), "{name}: {count}");
    }
    for (error_type, count) in &books.error_types {
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let count = *count as f64;
        assert_eq!(value(&metrics, "tasker.step.errors", &[("error_type", error_type)]), count, "{error_type}");
    }
    // The durations are the same numbers, added up in another order.
    for (seconds, metric) in
        [(books.task_seconds, "tasker.task.duration"), (books.step_seconds, "tasker.step.duration")]
    {
        let sum = histogram(&metrics, metric, &[]).1;
        assert!((seconds - sum).abs() <= 1e-9 * seconds, "{metric}: {seconds} and {sum}");
    }
}

/// Panics at each event, or takes its time.
#[derive(Subscriber)]
#[subscribe("*")]
#[subscriber(manual)]
struct Broken;

impl Broken {
    fn handle_event(&self, event: &EventRecord) {
        assert!(event.name().is_empty(), "{EXPECTED} in a subscriber");
    }
}

#[test]
fn metrics_are_exact_whatever_becomes_of_the_events() {
    quiet_expected_panics();
    // Nobody listens.
    let silent = Telemetry::builder().auto_subscribers(false).build().unwrap();
    run_all(&silent);
    check_counts(&silent.metrics());

    // The publisher has stopped.
    let stopped = Telemetry::builder().auto_subscribers(false).subscriber(Broken).build().unwrap();
    stopped.shutdown_blocking().unwrap();
    run_all(&stopped);
    check_counts(&stopped.metrics());
    assert!(value(&stopped.metrics(), "tasker.events.dropped", &[("reason", "shutdown")]) > 0.0);

    // The queue is full nearly always, and the subscriber panics at all that comes through.
    let broken = Telemetry::builder()
        .auto_subscribers(false)
        .subscriber(Broken)
        .queue_capacity(1)
        .shutdown_timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    run_all(&broken);
    broken.shutdown_blocking().unwrap();
    check_counts(&broken.metrics());
    let health = broken.health();
    assert!(health.dropped() > 0 && health.subscribers[0].failed > 0, "{health:#?}");
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let (dropped, failed) = (health.dropped() as f64, health.subscribers[0].failed as f64);
    assert_eq!(value(&broken.metrics(), "tasker.events.dropped", &[]), dropped);
    assert_eq!(value(&broken.metrics(), "tasker.subscriber.failures", &[]), failed);
}

#[test]
fn metrics_that_are_off_say_nothing() {
    let telemetry = Telemetry::builder().auto_subscribers(false).metrics_enabled(false).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(telemetry.scope(run(7, Arc::default()))).unwrap();
    let metrics = telemetry.metrics();
    assert!(!metrics.is_enabled());
    assert_eq!(metrics.render(tasker_telemetry::metrics::Format::Prometheus), "");
    assert_eq!(metrics.render(tasker_telemetry::metrics::Format::OpenMetrics), "# EOF\n");
}
