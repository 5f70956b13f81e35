//! The store holds what happened: tasks, steps, attempts, errors and events, each once, each failure with its state.

use std::time::Duration;

use integration_tests::store::store;
use tasker_telemetry::prelude::*;
use tasker_telemetry::state::State;
use tasker_telemetry::store::{TaskFilter, TaskHistory};

use super::database;

const NOW: Backoff = Backoff::fixed().base(Duration::ZERO);
const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("declined for {0}")]
    Declined(u64),
    #[error("no answer")]
    Network(#[source] std::io::Error),
}

#[step(retry_limit = 3, backoff = NOW, fields(order = order, password = "hunter2"))]
async fn charge(order: u64) -> Result<u64, ShopError> {
    let attempt = StepScope::current().map_or(0, |step| step.attempt_number());
    match order {
        2 if attempt < 3 => Err(ShopError::Network(std::io::Error::other("reset"))),
        3 => Err(ShopError::Declined(order)),
        4 => panic!("boom"),
        5 => std::future::pending().await,
        _ => Ok(order * 100),
    }
}

#[step]
fn check(order: u64) -> u64 {
    order
}

#[task(id = order, fields(order = order))]
async fn order_process(order: u64) -> Result<u64, ShopError> {
    charge(check(order)).await
}

async fn history(telemetry: &Telemetry, order: u64) -> TaskHistory {
    telemetry.flush().await.unwrap();
    let found = store(telemetry).task_history(&order.to_string()).await.unwrap();
    found.unwrap_or_else(|| panic!("order {order} is not in the store"))
}

fn events(history: &TaskHistory) -> Vec<String> {
    let text = |event: &tasker_telemetry::store::StoredTransition| {
        let state = |state: Option<State>| state.map_or("-", State::as_str);
        format!("{} {}>{}", event.event, state(event.from), state(event.to))
    };
    history.transitions.iter().map(text).collect()
}

#[tokio::test]
async fn a_task_that_completes() {
    let database = database();
    let telemetry = database.telemetry();
    telemetry.scope(order_process(1)).await.unwrap();
    let history = history(&telemetry, 1).await;
    assert_eq!((history.task.task_name.as_str(), history.task.state), ("order_process", State::Complete));
    assert_eq!(history.task.context, Some(serde_json::json!({"order": 1})));
    assert!(history.task.started_at <= history.task.ended_at && history.task.ended_at.is_some());
    assert_eq!(history.task.worker_id.as_deref(), Some(store(&telemetry).worker_id()));
    let steps: Vec<_> = history.steps.iter().map(|step| (step.step_name.as_str(), step.state)).collect();
    assert_eq!(steps, [("check", State::Complete), ("charge", State::Complete)]);
    let [attempt] = &history.steps[1].attempts[..] else { panic!("{history:#?}") };
    assert_eq!((attempt.attempt_number, attempt.state), (1, State::Complete));
    assert!(attempt.execution_duration.is_some() && attempt.queue_time == Some(0.0));
    assert_eq!(history.steps[1].inputs, Some(serde_json::json!({"order": 1, "password": "[FILTERED]"})));
    assert!(history.errors.is_empty());
    assert_eq!(
        events(&history),
        [
            "task.initialize_requested ->pending",
            "task.start_requested pending>in_progress",
            "step.execution_requested ->pending",
            "step.started pending>in_progress",
            "step.completed in_progress>complete",
            "step.execution_requested ->pending",
            "step.started pending>in_progress",
            "step.completed in_progress>complete",
            "task.completed in_progress>complete",
        ]
    );
}

#[tokio::test]
async fn a_step_that_needs_three_attempts() {
    let database = database();
    let telemetry = database.telemetry();
    telemetry.scope(order_process(2)).await.unwrap();
    let history = history(&telemetry, 2).await;
    let step = &history.steps[1];
    assert_eq!((step.state, step.attempt_number, step.retry_limit), (State::Complete, 3, 3));
    let states: Vec<_> = step.attempts.iter().map(|attempt| attempt.state).collect();
    assert_eq!(states, [State::Error, State::Error, State::Complete]);
    let errors: Vec<_> = history.errors.iter().map(|error| (error.attempt_number, error.retryable)).collect();
    assert_eq!(errors, [(Some(1), true), (Some(2), true)]);
    assert!(history.errors[0].error_class.ends_with("::rows::ShopError::Network"));
    assert_eq!(history.errors[0].error_chain, serde_json::json!(["reset"]));
    let failed: Vec<_> = history.transitions.iter().filter(|event| event.event == "step.failed").collect();
    let ids = |error: &tasker_telemetry::store::StoredError| error.event_id.clone();
    assert_eq!(
        history.errors.iter().map(ids).collect::<Vec<_>>(),
        failed.iter().map(|event| event.event_id.clone()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_task_that_fails() {
    let database = database();
    let telemetry = database.telemetry();
    telemetry.scope(order_process(3)).await.unwrap_err();
    let history = history(&telemetry, 3).await;
    assert_eq!((history.task.state, history.steps[1].state), (State::Error, State::Error));
    let of_task = history.errors.iter().filter(|error| error.step_id.is_none()).count();
    assert_eq!((history.errors.len(), of_task), (4, 1));
    let stats = store(&telemetry).task_stats("3").await.unwrap().unwrap();
    assert_eq!((stats.total_steps, stats.completed_steps, stats.failed_steps, stats.attempts), (2, 1, 1, 4));
    assert!((stats.completion() - 0.5).abs() < 1e-9);
    let classes = store(&telemetry).errors_by_class(DAY).await.unwrap();
    let [class] = &classes[..] else { panic!("{classes:?}") };
    assert!(class.error_class.ends_with("::rows::ShopError::Declined"), "{class:?}");
    assert_eq!((class.attempts, class.tasks), (3, 1));
}

#[tokio::test]
async fn a_panic_and_a_dropped_future() {
    let database = database();
    let telemetry = database.telemetry();
    let panicking = telemetry.scope(order_process(4));
    let panicked = tokio::spawn(panicking).await.unwrap_err();
    assert!(panicked.is_panic());
    let of_panic = history(&telemetry, 4).await;
    assert_eq!(of_panic.errors[0].error_class, "panic");
    assert_eq!(of_panic.errors[0].error_message, "boom");
    assert_eq!((of_panic.task.state, of_panic.steps[1].state), (State::Error, State::Error));
    {
        let mut dropped = std::pin::pin!(telemetry.scope(order_process(5)));
        assert!(futures::poll!(dropped.as_mut()).is_pending());
    }
    let of_drop = history(&telemetry, 5).await;
    assert_eq!((of_drop.task.state, of_drop.steps[1].state), (State::Cancelled, State::Cancelled));
    assert_eq!(of_drop.steps[1].attempts[0].state, State::Cancelled);
    assert_eq!(of_drop.task.reason.as_deref(), Some("dropped before it finished"));
}

#[tokio::test]
async fn a_task_that_is_begun_again_is_a_further_run() {
    let database = database();
    let telemetry = database.telemetry();
    telemetry.scope(order_process(3)).await.unwrap_err();
    let first = history(&telemetry, 3).await;
    let telemetry = database.telemetry();
    telemetry.scope(order_process(3)).await.unwrap_err();
    telemetry.scope(order_process(3)).await.unwrap_err();
    let third = history(&telemetry, 3).await;
    assert_eq!((first.task.run, third.task.run), (1, 3));
    assert_eq!((first.steps.len(), third.steps.len()), (2, 6));
    assert!(third.task.created_at > first.task.created_at);
}

#[tokio::test]
async fn tasks_are_found_by_state_name_and_age() {
    let database = database();
    let telemetry = database.telemetry();
    for order in 1..=3 {
        let _ = telemetry.scope(order_process(order)).await;
    }
    telemetry.scope(charge(7)).await.unwrap(); // a task of its own
    telemetry.flush().await.unwrap();
    let store = store(&telemetry);
    let ids = async |filter: TaskFilter| {
        let tasks = store.tasks(&filter).await.unwrap();
        tasks.into_iter().map(|task| task.task_id).collect::<Vec<_>>()
    };
    assert_eq!(ids(TaskFilter::new().state(State::Error)).await, ["3"]);
    assert_eq!(ids(TaskFilter::new().name("order_process")).await, ["1", "2", "3"]);
    assert_eq!(ids(TaskFilter::new().name("order_process").newest_first().limit(2)).await, ["3", "2"]);
    assert_eq!(ids(TaskFilter::new().name("charge")).await.len(), 1);
    assert_eq!(ids(TaskFilter::new().older_than(DAY)).await, [""; 0]);
    assert_eq!(ids(TaskFilter::new().younger_than(DAY)).await.len(), 4);
    assert_eq!(store.tasks(&TaskFilter::new()).await.unwrap().len(), 4);
    let slowest = store.slowest_steps(DAY, 3).await.unwrap();
    assert!(slowest.is_sorted_by(|one, next| one.execution_duration >= next.execution_duration) && slowest.len() == 3);
    assert!(store.task("8").await.unwrap().is_none() && store.task_stats("8").await.unwrap().is_none());
}

#[tokio::test]
async fn texts_that_a_database_might_choke_on() {
    #[task(id = id)]
    fn odd(id: &str, message: &str) -> Result<(), String> {
        Err(message.to_owned())
    }
    let database = database();
    let telemetry = database.telemetry();
    let (id, message) = ("a'\"; DROP TABLE tasker_tasks; -- ä🍵$1", "zero \0, quote ' and \\u0000 {\"json\": [1]}");
    telemetry.in_scope(|| odd(id, message)).unwrap_err();
    telemetry.flush().await.unwrap();
    let history = store(&telemetry).task_history(id).await.unwrap().unwrap();
    assert_eq!(history.errors[0].error_message, message.replace('\0', "\u{fffd}"));
    assert_eq!(telemetry.health().store.unwrap().lost_total(), 0);
}

#[tokio::test]
async fn the_books_add_up_and_go_on_after_shutdown() {
    let database = database();
    let telemetry = database.telemetry();
    for order in 10..60 {
        telemetry.scope(order_process(order)).await.unwrap();
    }
    telemetry.shutdown().await.unwrap();
    let health = telemetry.health().store.unwrap();
    assert_eq!((health.written, health.waiting, health.lost_total()), (50 * 9, 0, 0), "{health:?}");
    assert!(health.is_up && health.transactions <= 450);
    assert_eq!(store(&telemetry).tasks(&TaskFilter::new().state(State::Complete)).await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_row_that_the_database_refuses_is_lost_alone() {
    let database = database();
    let telemetry = database.telemetry();
    telemetry.scope(order_process(10)).await.unwrap();
    telemetry.flush().await.unwrap();
    let reader = database.reader();
    let refuse = if database.url().starts_with("sqlite") {
        "CREATE TRIGGER refuse BEFORE INSERT ON tasker_transitions WHEN NEW.task_id = '13' AND NEW.event = 'step.started' \
         BEGIN SELECT RAISE(ABORT, 'no such rows'); END"
    } else {
        "ALTER TABLE tasker_transitions ADD CHECK (task_id <> '13' OR event <> 'step.started')"
    };
    reader.execute(refuse).await.unwrap();
    for order in 11..20 {
        telemetry.scope(order_process(order)).await.unwrap();
    }
    telemetry.flush().await.unwrap();
    let health = telemetry.health().store.unwrap();
    // The beginnings of two steps, of ten orders with nine events each.
    assert_eq!((health.written, health.waiting, health.lost), (88, 0, [("refused", 2)].into()));
    assert!(health.is_up && health.last_error.is_some());
    for order in 10..20 {
        let events = history(&telemetry, order).await.transitions.len();
        assert_eq!(events, if order == 13 { 7 } else { 9 }, "order {order}");
    }
}
