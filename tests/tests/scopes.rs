//! The scope follows the future: across threads, through interleaving, into spawned futures and blocking threads, on any
//! runtime and on none.

use std::time::Duration;

use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Recording, block_on, record, record_sync};
use tasker_telemetry::with_current_scope;

fn here() -> (Option<String>, Option<String>) {
    (
        TaskScope::current().map(|task| task.task_id().to_owned()),
        StepScope::current().map(|step| format!("{}#{}", step.step_name(), step.attempt_number())),
    )
}

fn inside(task: &str, step: &str) -> (Option<String>, Option<String>) {
    (Some(task.to_owned()), Some(step.to_owned()))
}

#[step(name = "outer")]
async fn outer_step(task: String) {
    assert_eq!(here(), inside(&task, "outer#1"));
    for _ in 0..5 {
        tokio::task::yield_now().await;
        assert_eq!(here(), inside(&task, "outer#1"));
    }
    inner_step(task.clone()).await;
    assert_eq!(here(), inside(&task, "outer#1"), "back from the inner step");

    let own = task.clone();
    tokio::spawn(async move { assert_eq!(here(), inside(&own, "outer#1")) }.in_current_scope()).await.unwrap();
    tokio::spawn(async { assert_eq!(here(), (None, None), "a future that was not told keeps none") }).await.unwrap();

    let own = task.clone();
    tokio::task::spawn_blocking(with_current_scope(move || assert_eq!(here(), inside(&own, "outer#1")))).await.unwrap();
}

#[step(name = "inner")]
async fn inner_step(task: String) {
    assert_eq!(here(), inside(&task, "inner#1"));
    tokio::task::yield_now().await;
    assert_eq!(here(), inside(&task, "inner#1"));
}

#[task(id = name)]
async fn walk(name: String) {
    assert_eq!(here(), (Some(name.clone()), None));
    outer_step(name.clone()).await;
    tokio::task::yield_now().await;
    assert_eq!(here(), (Some(name), None));
}

#[tokio::test]
async fn tasks_that_interleave_on_one_thread_keep_apart() {
    let recording = Recording::new();
    let tasks = (0..50).map(|n| recording.scope(walk(format!("t{n}"))));
    futures::future::join_all(tasks).await;
    assert_eq!(here(), (None, None));
    assert_eq!(recording.events().count("task.completed"), 50);
    for n in 0..50 {
        assert_eq!(recording.events().of_task(&format!("t{n}")).count("step.completed"), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_that_wander_between_threads_keep_their_scope() {
    let recording = Recording::new();
    let tasks: Vec<_> = (0..100).map(|n| tokio::spawn(recording.scope(walk(format!("t{n}"))))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(recording.events().count("task.completed"), 100);
}

#[task]
async fn parent() -> Option<String> {
    child().await
}

#[task]
async fn child() -> Option<String> {
    TaskScope::current().map(|task| task.task_name().to_owned())
}

#[tokio::test]
async fn a_task_in_a_task_is_a_task_of_its_own() {
    let run = record(parent()).await;
    assert_eq!(run.output.as_deref(), Some("child"));
    assert_eq!(
        run.names(),
        [
            "task.initialize_requested",
            "task.start_requested",
            "task.initialize_requested",
            "task.start_requested",
            "task.completed",
            "task.completed"
        ]
    );
    assert_ne!(run[0].task_id(), run[2].task_id());
}

#[step(retry_limit = 2, backoff = Backoff::fixed().base(Duration::from_millis(1)))]
async fn once_more() -> Result<u32, String> {
    match StepScope::current().map(|step| step.attempt_number()) {
        Some(2) | None => Ok(2),
        _ => Err("again".into()),
    }
}

#[test]
fn no_runtime_is_assumed() {
    let check = |run: tasker_telemetry::testing::Recorded<Result<u32, String>>| {
        assert_eq!(run.output, Ok(2));
        assert_eq!(run.count("observability.step.backoff"), 1);
    };
    check(block_on(record(once_more())));
    check(smol::block_on(record(once_more())));
    check(futures::executor::block_on(record(once_more())));
    let bare = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    check(bare.block_on(record(once_more())));
    let on_a_thread = std::thread::spawn(|| block_on(record(once_more())));
    check(on_a_thread.join().unwrap());
}

#[test]
fn a_tokio_runtime_without_a_timer_will_do() {
    integration_tests::quiet_expected_panics();
    // tokio panics when asked for a timer that it does not have; the step falls back, the host sees nothing of it.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.to_string().contains("timers are disabled") {
            hook(info);
        }
    }));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = runtime.block_on(record(once_more()));
    assert_eq!(run.output, Ok(2));
}

#[step]
fn leaf() -> (Option<String>, Option<String>) {
    here()
}

#[task(id = "plain")]
fn plain_task() -> Vec<(Option<String>, Option<String>)> {
    let mut seen = vec![leaf()];
    std::thread::scope(|threads| {
        let carried = threads.spawn(with_current_scope(leaf));
        seen.push(carried.join().unwrap());
        let own = threads.spawn(leaf);
        let (task, step) = own.join().unwrap();
        assert!(task.is_none() && step.is_none(), "no telemetry on a thread that was not told");
    });
    seen
}

#[test]
fn plain_functions_and_threads() {
    let run = record_sync(plain_task);
    assert_eq!(run.output, vec![inside("plain", "leaf#1"); 2]);
    assert_eq!(run.named("task.completed")[0].payload()["total_steps"], 2);
}

#[test]
fn a_lone_step_knows_its_task_even_when_nobody_listens() {
    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    let (task, step) = telemetry.in_scope(leaf);
    assert_eq!(step.as_deref(), Some("leaf#1"));
    assert!(task.is_some());
    assert_eq!(telemetry.health().implicit_tasks, 1);
}

#[test]
fn two_telemetries_at_once_do_not_mix() {
    let (a, b) = (Recording::new(), Recording::new());
    a.in_scope(|| {
        leaf();
        b.in_scope(leaf);
        leaf();
    });
    assert_eq!((a.events().count("step.completed"), b.events().count("step.completed")), (2, 1));
}
