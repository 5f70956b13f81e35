//! Steps outside any task under an installed telemetry to which nobody listens: counted, known when somebody asks, and right
//! when the telemetry changes under them. In a process of its own, since there is one installed telemetry.

use std::task::Poll;

use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;

fn install() -> Telemetry {
    Telemetry::builder().auto_subscribers(false).metrics_enabled(false).install().unwrap()
}

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn task_id() -> Option<String> {
    TaskScope::current().map(|task| task.task_id().to_owned())
}

#[step]
async fn asks(wait: bool) -> Option<String> {
    if wait {
        yield_once().await;
    }
    let id = task_id();
    assert_eq!(StepScope::current().map(|step| step.step_name()), id.as_ref().map(|_| "asks"));
    yield_once().await;
    assert_eq!(task_id(), id, "the same when asked again");
    id
}

#[step]
async fn silent() -> u64 {
    7
}

#[step]
async fn outer() -> bool {
    let inside = asks(false).await;
    inside.is_some() && inside == task_id()
}

#[step]
fn outlives(telemetry: Telemetry) -> Option<String> {
    drop(telemetry);
    assert_eq!(task_id(), None, "it is off");
    block_on(silent());
    let other = install();
    let seen = task_id();
    assert_eq!(other.health().implicit_tasks, 0, "not a step of this one");
    seen
}

#[test]
fn lone_steps_of_the_installed_telemetry() {
    assert!(block_on(asks(false)).is_none());

    let telemetry = install();
    assert!(block_on(asks(false)).is_some());
    assert!(block_on(asks(true)).is_some());
    assert!(block_on(outer()));
    for _ in 0..100 {
        assert_eq!(block_on(silent()), 7);
    }
    assert_eq!(telemetry.health().implicit_tasks, 103);
    assert_eq!(telemetry.health().tasks_started, 103);
    telemetry.shutdown_blocking().unwrap();
    assert_eq!(telemetry.health().implicit_tasks, 103, "its books stay");
    assert!(block_on(asks(true)).is_none());

    let second = install();
    assert_eq!(block_on(silent()), 7);
    assert_eq!((telemetry.health().implicit_tasks, second.health().implicit_tasks), (103, 1));
    drop(telemetry);
    assert!(block_on(asks(true)).is_some(), "dropping the first does not touch the second");
    assert_eq!(second.health().implicit_tasks, 2);

    assert_eq!(outlives(second), None);
}
