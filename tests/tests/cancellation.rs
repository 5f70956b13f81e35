//! However a future ends, the events say so: `select!`, time-out, abort, the end of its runtime, a panic in its body or in
//! a destructor. One that is never polled says nothing.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use integration_tests::{EXPECTED, quiet_expected_panics};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Recording, expect};

#[step]
async fn forever() {
    std::future::pending::<()>().await;
}

#[task]
async fn waits() {
    forever().await;
}

fn assert_cancelled(recording: &Recording) {
    recording.events().assert_sequence([
        expect("task.initialize_requested"),
        expect("task.start_requested"),
        expect("step.execution_requested"),
        expect("step.started"),
        expect("step.cancelled").with("reason", "dropped before it finished"),
        expect("task.cancelled").with("reason", "dropped before it finished"),
    ]);
}

#[tokio::test]
async fn by_select() {
    let recording = Recording::new();
    tokio::select! {
        () = recording.scope(waits()) => {}
        () = tokio::time::sleep(Duration::from_millis(1)) => {}
    }
    assert_cancelled(&recording);
}

#[tokio::test]
async fn by_timeout() {
    let recording = Recording::new();
    assert!(tokio::time::timeout(Duration::from_millis(1), recording.scope(waits())).await.is_err());
    assert_cancelled(&recording);
}

#[tokio::test]
async fn by_abort() {
    let recording = Recording::new();
    let handle = tokio::spawn(recording.scope(waits()));
    tokio::time::sleep(Duration::from_millis(5)).await;
    handle.abort();
    assert!(handle.await.unwrap_err().is_cancelled());
    assert_cancelled(&recording);
}

#[test]
fn by_the_end_of_its_runtime() {
    let recording = Recording::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.spawn(recording.scope(waits()));
    while recording.events().count("step.started") == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(runtime);
    assert_cancelled(&recording);
}

#[test]
fn what_is_never_polled_says_nothing() {
    let recording = Recording::new();
    recording.in_scope(|| drop(waits()));
    drop(recording.scope(waits()));
    assert!(recording.events().is_empty());
}

#[step]
async fn waits_for_its_turn() {
    forever().await;
}

#[task(max_concurrent_steps = 1)]
async fn two_at_once() {
    futures::join!(waits_for_its_turn(), waits_for_its_turn());
}

#[test]
fn while_waiting_for_a_permit() {
    let recording = Recording::new();
    {
        let mut task = pin!(recording.scope(two_at_once()));
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let events = recording.events();
    assert_eq!(events.count("step.execution_requested"), 3);
    assert_eq!(events.count("step.started"), 2, "the second waits; the step inside the first needs no permit");
    assert_eq!(events.count("step.cancelled"), 3);
    assert_eq!(events.names().last(), Some(&"task.cancelled"));
}

#[step(retry_limit = 2, backoff = "fixed")]
async fn fails_slowly() -> Result<(), String> {
    Err("no".into())
}

#[tokio::test(start_paused = true)]
async fn while_waiting_for_the_next_attempt() {
    let recording = Recording::new();
    assert!(tokio::time::timeout(Duration::from_millis(500), recording.scope(fails_slowly())).await.is_err());
    recording.events().select("step.*").assert_sequence([
        expect("step.execution_requested"),
        expect("step.started"),
        expect("step.failed"),
        expect("step.retry_requested"),
        expect("step.cancelled").with("attempt_number", 2),
    ]);
    assert_eq!(recording.events().names().last(), Some(&"task.cancelled"));
}

#[step]
async fn panics() {
    tokio::task::yield_now().await;
    panic!("{EXPECTED} in a body");
}

#[task]
async fn around_a_panic() {
    panics().await;
}

#[tokio::test]
async fn a_panic_in_a_body_fails_step_and_task_and_goes_on() {
    quiet_expected_panics();
    let recording = Recording::new();
    let error = tokio::spawn(recording.scope(around_a_panic())).await.unwrap_err();
    let panic = error.into_panic();
    assert!(panic.downcast_ref::<String>().unwrap().contains("in a body"), "the payload is the body's own");
    recording.events().assert_sequence([
        expect("task.initialize_requested"),
        expect("task.start_requested"),
        expect("step.execution_requested"),
        expect("step.started"),
        expect("step.failed")
            .with("error_class", "panic")
            .with("error_message", format!("{EXPECTED} in a body"))
            .with("retryable", false),
        expect("task.failed").with("error_class", "panic"),
    ]);
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "{EXPECTED} in a destructor");
    }
}

#[step]
async fn holds_a_bomb() {
    let _bomb = PanicsWhenDropped;
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_panic_in_a_destructor_is_the_hosts_and_the_cancellation_is_told() {
    quiet_expected_panics();
    let recording = Recording::new();
    let handle = tokio::spawn(recording.scope(holds_a_bomb()));
    while recording.events().count("step.started") == 0 {
        tokio::task::yield_now().await;
    }
    handle.abort();
    let _ = handle.await;
    let events = recording.events();
    assert_eq!(events.count("step.cancelled"), 1, "{events:?}");
    assert_eq!(events.count("task.cancelled"), 1);
}

struct Publishes;

#[derive(serde::Serialize, Event)]
#[event("guard.dropped")]
struct Dropped {}

impl Drop for Publishes {
    fn drop(&mut self) {
        publish(Dropped {});
    }
}

#[step]
async fn tells_when_dropped() {
    let _guard = Publishes;
    std::future::pending::<()>().await;
}

#[test]
fn destructors_of_a_cancelled_body_still_run_in_its_step() {
    let recording = Recording::new();
    {
        let mut step = pin!(recording.scope(tells_when_dropped()));
        assert!(step.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let events = recording.events();
    assert_eq!(events.named("guard.dropped")[0].step_name(), Some("tells_when_dropped"));
    events.assert_contains([expect("guard.dropped"), expect("step.cancelled"), expect("task.cancelled")]);
}

#[test]
fn a_panic_elsewhere_cancels_what_it_unwinds_through() {
    quiet_expected_panics();
    #[task]
    fn holds_a_future() {
        let mut step = Box::pin(forever());
        assert!(step.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        panic!("{EXPECTED} of the task, not of the step");
    }
    let recording = Recording::new();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| recording.in_scope(holds_a_future)));
    assert!(result.is_err());
    recording.events().assert_contains([
        expect("step.started"),
        expect("step.cancelled"),
        expect("task.failed").with("error_class", "panic"),
    ]);
    assert_eq!(recording.events().count("step.failed"), 0);
}
