//! Steps that have nothing to wait for begin in the scope around them, which goes back when a poll ends: however it ends. Those that
//! nobody is told of, and those that the metrics are told of, or the spans.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tasker_telemetry::EventRecord;
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;

fn quiet() -> Telemetry {
    Telemetry::builder().auto_subscribers(false).metrics_enabled(false).build().unwrap()
}

/// The same, and others whose steps are told of.
fn each() -> [Telemetry; 4] {
    let builder = || Telemetry::builder().auto_subscribers(false);
    let traced = || builder().in_memory_spans(tasker_telemetry::trace::InMemorySpans::default());
    [quiet(), builder().build().unwrap(), traced().build().unwrap(), traced().subscriber(Ears).build().unwrap()]
}

/// Listens to all that happens to steps.
#[derive(Subscriber)]
#[subscribe("step.*")]
#[subscriber(manual)]
struct Ears;

impl Ears {
    #[allow(clippy::unused_self, reason = "the form of a handler")]
    fn handle_event(&self, _: &EventRecord) {}
}

fn here() -> (Option<String>, Option<String>) {
    (
        TaskScope::current().map(|task| task.task_id().to_owned()),
        StepScope::current().map(|step| format!("{} {}", step.step_name(), step.step_id())),
    )
}

fn step_name() -> Option<&'static str> {
    StepScope::current().map(|step| step.step_name())
}

async fn yields(times: usize) {
    for _ in 0..times {
        let mut yielded = false;
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[step]
async fn inner(waits: usize) -> (Option<String>, Option<String>) {
    let before = here();
    yields(waits).await;
    assert_eq!(here(), before);
    before
}

#[step]
async fn outer(waits: usize) {
    let own = here();
    let inside = inner(waits).await;
    assert_eq!(inside.0, own.0, "one task");
    assert_ne!(inside.1, own.1, "two steps");
    assert_eq!(here(), own);
    yields(waits).await;
    assert_eq!(here(), own);
    let (a, b) = futures::join!(inner(waits), inner(waits + 1));
    assert_ne!(a.1, b.1);
    assert_eq!(here(), own);
}

#[task]
async fn task(waits: usize) -> u64 {
    let own = here();
    assert!(own.1.is_none());
    outer(waits).await;
    assert_eq!(here(), own);
    futures::join!(outer(waits), outer(waits + 1), outer(0));
    assert_eq!(here(), own);
    TaskScope::current().map_or(0, |task| task.total_steps())
}

#[test]
fn steps_in_steps_and_side_by_side() {
    for telemetry in each() {
        for waits in 0..3 {
            assert_eq!(block_on(telemetry.scope(task(waits))), 16, "each step has its number");
            block_on(telemetry.scope(outer(waits)));
            block_on(telemetry.scope(async {
                futures::join!(outer(waits), outer(waits + 2));
                assert_eq!(here(), (None, None));
            }));
            assert_eq!(here(), (None, None));
        }
        assert_eq!(telemetry.health().implicit_tasks, 9);
    }
}

#[step]
async fn panics(waits: usize) {
    yields(waits).await;
    assert_eq!(step_name(), Some("panics"));
    panic!("expected");
}

#[step]
fn panics_at_once() {
    panic!("expected");
}

#[step]
async fn catches(waits: usize) -> Option<&'static str> {
    let mut step = pin!(panics(waits));
    let mut cx = Context::from_waker(Waker::noop());
    let ended = loop {
        match catch_unwind(AssertUnwindSafe(|| step.as_mut().poll(&mut cx))) {
            Ok(Poll::Pending) => assert_eq!(step_name(), Some("catches")),
            ended => break ended,
        }
    };
    assert!(ended.is_err());
    assert_eq!(step_name(), Some("catches"));
    assert!(catch_unwind(panics_at_once).is_err());
    step_name()
}

#[task]
async fn catches_in_a_task(waits: usize) -> Option<&'static str> {
    let caught = catches(waits).await;
    assert_eq!(step_name(), None);
    caught
}

#[test]
fn a_panic_gives_the_scope_back() {
    integration_tests::quiet_expected_panics();
    for telemetry in each() {
        for waits in 0..3 {
            assert_eq!(block_on(telemetry.scope(catches(waits))), Some("catches"));
            assert_eq!(block_on(telemetry.scope(catches_in_a_task(waits))), Some("catches"));
            assert_eq!(here(), (None, None));
        }
        // Outside any step or task.
        block_on(telemetry.scope(async {
            let mut step = pin!(panics(0));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(catch_unwind(AssertUnwindSafe(|| step.as_mut().poll(&mut cx).is_ready())).is_err());
            assert_eq!(here(), (None, None));
            assert!(catch_unwind(panics_at_once).is_err());
            assert_eq!(here(), (None, None));
        }));
    }
}

/// Tells the step it is dropped in.
struct Tells(Arc<Mutex<Vec<Option<&'static str>>>>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(step_name());
    }
}

#[step]
async fn held(tells: Tells, waits: usize) {
    yields(waits).await;
    drop(tells);
}

#[test]
fn what_a_dropped_step_held_is_dropped_in_its_scope() {
    let (telemetry, seen) = (quiet(), Arc::default());
    let mut step: Pin<Box<dyn Future<Output = ()>>> = Box::pin(telemetry.scope(held(Tells(Arc::clone(&seen)), 1)));
    assert!(step.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(here(), (None, None));
    drop(step);
    block_on(telemetry.scope(held(Tells(Arc::clone(&seen)), 0)));
    assert_eq!(*seen.lock().unwrap(), [Some("held"), Some("held")]);
    assert_eq!(here(), (None, None));
}

#[step]
async fn spawns() -> (Option<String>, Option<String>) {
    let own = here();
    let carried = std::thread::spawn(tasker_telemetry::with_current_scope(here)).join().unwrap();
    assert_eq!(carried, own);
    block_on(async { here() }.in_current_scope())
}

#[test]
fn a_copy_of_the_scope_outlives_the_poll() {
    let telemetry = quiet();
    let (task, step) = block_on(telemetry.scope(spawns()));
    assert!(task.is_some() && step.is_some());

    #[allow(clippy::async_yields_async, reason = "it is awaited outside the step")]
    #[step]
    async fn makes() -> impl Future<Output = (Option<String>, Option<String>)> {
        let own = here();
        async move { if here() == own { own } else { (None, None) } }.in_current_scope()
    }
    let left = block_on(telemetry.scope(makes()));
    let (task, step) = block_on(left);
    assert!(task.is_some() && step.is_some());
}

#[step]
fn other_telemetry(other: &Telemetry) {
    let own = here();
    let inside = other.in_scope(|| block_on(inner(0)));
    assert_ne!(inside.0, own.0);
    assert_eq!(here(), own);
}

#[test]
fn another_telemetry_inside_a_step() {
    let (one, other) = (quiet(), quiet());
    one.in_scope(|| other_telemetry(&other));
    assert_eq!((one.health().implicit_tasks, other.health().implicit_tasks), (1, 1));
    assert_eq!(here(), (None, None));
}

/// Has one permit, which another thread holds when the second step asks for it.
#[task(max_concurrent_steps = 1)]
fn bounded() -> bool {
    #[step]
    fn holds(held: Sender<()>, is_over: Arc<AtomicBool>) {
        held.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        is_over.store(true, Ordering::SeqCst);
    }
    #[step]
    fn wants(is_over: &AtomicBool) -> bool {
        is_over.load(Ordering::SeqCst)
    }
    let (held, is_held) = channel();
    let is_over = Arc::new(AtomicBool::new(false));
    let of_holder = Arc::clone(&is_over);
    let holder = std::thread::spawn(tasker_telemetry::with_current_scope(move || holds(held, of_holder)));
    is_held.recv().unwrap();
    let waited = wants(&is_over);
    holder.join().unwrap();
    waited
}

/// Whether a thread is polling is as it was when a step is over, and while one runs that is called.
#[test]
fn only_what_is_polled_runs_without_its_permit() {
    #[step]
    async fn polled() {}
    #[step]
    fn called() -> bool {
        bounded()
    }
    #[step]
    async fn polls() -> bool {
        bounded()
    }
    #[task]
    fn program() {
        block_on(polled());
        assert!(bounded(), "after a poll");
        assert!(called(), "in a step that is called");
    }
    #[task]
    async fn polled_program() -> bool {
        polls().await
    }
    for telemetry in each() {
        telemetry.in_scope(program);
        assert_eq!(telemetry.health().concurrency_overruns, 0);
        block_on(telemetry.scope(polled_program()));
        assert_eq!(telemetry.health().concurrency_overruns, 1);
    }
}
