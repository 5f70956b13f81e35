//! Each question is one statement, and an index answers it.

use std::time::Duration;

use integration_tests::store::store;
use tasker_telemetry::prelude::*;
use tasker_telemetry::state::State;
use tasker_telemetry::store::{Question, StoreOptions, TaskFilter};

use super::database;

#[step(retry_limit = 2, backoff = Backoff::fixed().base(Duration::ZERO))]
fn work(number: u64) -> Result<u64, String> {
    if number.is_multiple_of(10) { Err("no".to_owned()) } else { Ok(number) }
}

#[task(id = number)]
fn order(number: u64) -> Result<u64, String> {
    work(number)
}

#[tokio::test]
async fn each_question_is_one_statement_that_an_index_answers() {
    let database = database();
    let telemetry = database.telemetry();
    telemetry.in_scope(|| (1..=2_000).for_each(|number| drop(order(number))));
    telemetry.flush().await.unwrap();
    // A server that has not counted its rows yet reads them all; it does so by itself after a while.
    let analyze = database.reader().number("ANALYZE", &[]).await;
    assert!(matches!(analyze, Err(sqlx::Error::RowNotFound)), "{analyze:?}");
    let store = store(&telemetry);
    let hour = Duration::from_hours(1);

    let before = store.health().statements;
    assert!(store.task_stats("10").await.unwrap().is_some());
    assert_eq!(store.health().statements - before, 1);
    assert!(!store.errors_by_class(hour).await.unwrap().is_empty());
    assert_eq!(
        store.tasks(&TaskFilter::new().state(State::Error).older_than(Duration::ZERO)).await.unwrap().len(),
        100
    );
    assert_eq!(store.slowest_steps(hour, 5).await.unwrap().len(), 5);
    assert_eq!(store.errors(hour, 7).await.unwrap().len(), 7);
    assert_eq!(store.health().statements - before, 5);

    for (question, indexes) in [
        (Question::TaskStats, &["tasker_steps_by_task"][..]),
        (Question::TasksByStateAndAge, &["tasker_tasks_by_state"]),
        (Question::Errors, &["tasker_errors_by_time"]),
        (Question::SlowestSteps, &["tasker_attempts_by_duration"]),
    ] {
        let plan = store.explain(question).await.unwrap();
        assert!(indexes.iter().all(|index| plan.iter().any(|line| line.contains(index))), "{question:?}: {plan:#?}");
        let reads_all = |line: &String| line.contains("Seq Scan") || (line.contains("SCAN") && !line.contains("INDEX"));
        assert!(!plan.iter().any(reads_all), "{question:?}: {plan:#?}");
    }
}

#[tokio::test]
async fn events_stand_in_their_order_whatever_the_clocks_said() {
    let database = database();
    let telemetry = database.telemetry();
    let _ = telemetry.in_scope(|| order(10));
    telemetry.flush().await.unwrap();
    let names = async || {
        let history = store(&telemetry).task_history("10").await.unwrap().unwrap();
        history.transitions.into_iter().map(|event| event.event).collect::<Vec<_>>()
    };
    let in_order = names().await;
    assert_eq!((in_order.len(), in_order[4].as_str()), (11, "step.failed"));
    // As if the step's thread had gone on to one whose clock is behind.
    let behind = "UPDATE tasker_transitions SET occurred_at = occurred_at - 900000000 WHERE number >= 5";
    assert!(matches!(database.reader().number(behind, &[]).await, Err(sqlx::Error::RowNotFound)));
    assert_eq!(names().await, in_order);
}

#[tokio::test]
async fn old_tasks_are_deleted_with_all_that_belongs_to_them() {
    let database = database();
    let telemetry = database.telemetry();
    telemetry.in_scope(|| (1..=450).for_each(|number| drop(order(number))));
    telemetry.flush().await.unwrap();
    let store = store(&telemetry);
    assert_eq!(store.delete_older_than(Duration::from_hours(1)).await.unwrap(), 0);
    assert_eq!(store.delete_older_than(Duration::ZERO).await.unwrap(), 450);
    let reader = database.reader();
    for table in ["tasks", "steps", "attempts", "errors", "transitions"] {
        assert_eq!(reader.number(&format!("SELECT count(*) FROM tasker_{table}"), &[]).await.unwrap(), 0, "{table}");
    }
}

#[tokio::test]
async fn what_is_older_than_the_retention_goes_by_itself() {
    let database = database();
    let telemetry = database.telemetry();
    telemetry.in_scope(|| (1..=50).for_each(|number| drop(order(number))));
    telemetry.shutdown().await.unwrap();
    let reader = database.reader();
    let tasks = async || reader.number("SELECT count(*) FROM tasker_tasks", &[]).await.unwrap();
    assert_eq!(tasks().await, 50);
    let _telemetry = database.builder_with(StoreOptions::new().retention(Duration::from_nanos(1))).build().unwrap();
    while tasks().await > 0 {
        tokio::task::yield_now().await;
    }
}
