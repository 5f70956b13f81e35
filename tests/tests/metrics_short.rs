//! A short step is counted once, in one place that several series count, too (ADR 054). Nobody who reads them may notice,
//! though it be read meanwhile and there be more threads than have a place of their own.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use integration_tests::metrics::{histogram, value};
use tasker_telemetry::metrics::{Format, MetricsBackend};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;

const THREADS: u32 = 40;
const RUNS: u32 = 500;

/// Ends in its first poll.
#[step]
async fn at_once(n: u32) -> u32 {
    n
}

/// The same, with another one inside.
#[step]
async fn around(n: u32) -> u32 {
    at_once(n).await
}

/// Begins as a short one, and turns out not to be.
#[step]
async fn waits() {
    tokio::task::yield_now().await;
}

/// Begins as a short one, and fails.
#[step]
fn fails() -> Result<(), String> {
    Err("refused".into())
}

#[step]
fn looks() -> f64 {
    in_progress(&MetricsBackend::current().unwrap())
}

#[task]
async fn steps(runs: u32) {
    for run in 0..runs {
        at_once(run).await;
        around(run).await;
        if run % 10 == 0 {
            waits().await;
            let _ = fails();
        }
    }
}

fn in_progress(metrics: &MetricsBackend) -> f64 {
    value(metrics, "tasker.steps.in_progress", &[])
}

fn of_step<'a>(step: &'a str, status: &'a str) -> [(&'a str, &'a str); 2] {
    [("step_name", step), ("status", status)]
}

#[test]
fn every_reading_is_at_one_with_itself_and_the_last_one_exact() {
    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    let metrics = telemetry.metrics();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut before, mut readings) = (0, 0_u32);
            while !done.load(Ordering::Relaxed) {
                // `histogram` checks each histogram of the export.
                let (count, _) = histogram(&metrics, "tasker.step.duration", &[]);
                assert!(count >= before, "{before} {count}");
                let in_progress = in_progress(&metrics);
                // Each thread runs two at most, one in the other.
                assert!((0.0..=2.0 * f64::from(THREADS)).contains(&in_progress), "{in_progress}");
                (before, readings) = (count, readings + 1);
            }
            readings
        });
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| block_on(telemetry.scope(steps(RUNS))))).collect();
        for thread in threads {
            thread.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    let runs = f64::from(THREADS * RUNS);
    for (step, status, count) in [
        ("at_once", "success", 2.0 * runs),
        ("around", "success", runs),
        ("waits", "success", runs / 10.0),
        ("fails", "failure", runs / 10.0),
        ("fails", "success", 0.0),
        ("at_once", "failure", 0.0),
    ] {
        assert_eq!(value(&metrics, "tasker.step.executions", &of_step(step, status)), count, "{step} {status}");
    }
    assert_eq!(in_progress(&metrics), 0.0);
    for name in ["tasker.step.duration", "tasker.step.queue"] {
        for (step, count) in
            [("at_once", 2 * THREADS * RUNS), ("around", THREADS * RUNS), ("fails", THREADS * RUNS / 10)]
        {
            assert_eq!(histogram(&metrics, name, &[("step_name", step)]).0, u64::from(count), "{name} {step}");
        }
    }
    assert_eq!(histogram(&metrics, "tasker.step.queue", &[("step_name", "at_once")]).1, 0.0);
    assert!(histogram(&metrics, "tasker.step.duration", &[("step_name", "at_once")]).1 > 0.0);
    let labels = r#"{task_name="steps",step_name="around""#;
    let page = metrics.render(Format::Prometheus);
    for line in [
        format!(r#"tasker_step_executions_total{labels},status="success"}} {runs}"#),
        format!("tasker_step_queue_seconds_bucket{labels},le=\"0.005\"}} {runs}"),
        format!("tasker_step_duration_seconds_count{labels}}} {runs}"),
        r#"tasker_steps_in_progress{task_name="steps"} 0"#.to_owned(),
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}

#[task]
async fn looking() -> (f64, f64) {
    let first = looks();
    at_once(1).await;
    (first, looks())
}

#[test]
fn a_short_step_is_in_progress_while_it_runs() {
    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    assert_eq!(block_on(telemetry.scope(looking())), (1.0, 1.0));
    assert_eq!(in_progress(&telemetry.metrics()), 0.0);
}
