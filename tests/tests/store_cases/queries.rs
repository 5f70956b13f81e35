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

/// What a statement hands on to itself is no table, and the counts of a test are too few for an index.
fn reads_a_table(plan: &[String]) -> bool {
    let tables = ["tasks", "steps", "attempts", "errors", "transitions"].map(|table| format!("tasker_{table}"));
    plan.iter().any(|line| {
        let reads_all = line.contains("Seq Scan") || (line.contains("SCAN") && !line.contains("INDEX"));
        reads_all && line.split_whitespace().any(|word| tables.iter().any(|table| table == word))
    })
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
        (Question::ErrorsByClass, &["tasker_errors_by_class", "tasker_error_counts"]),
    ] {
        let plan = store.explain(question).await.unwrap();
        assert!(indexes.iter().all(|index| plan.iter().any(|line| line.contains(index))), "{question:?}: {plan:#?}");
        assert!(!reads_a_table(&plan), "{question:?}: {plan:#?}");
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
async fn the_slowest_are_found_among_few_and_among_many() {
    let database = database();
    let telemetry = database.telemetry();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    // A thousand in the middle of each hour, and the older, the slower: none of the last hours is among the slowest of all. One runs still, and one was
    // cancelled before it ran.
    let at = format!("{now} - n / 1000 * 3600000000000 - CAST(n % 1000 AS BIGINT) * 1800000000 - 900000000000");
    let all = "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < 39999)";
    let sql = format!(
        "INSERT INTO tasker_attempts {all} SELECT 'step-' || n, 1, 'task', 'work', 'complete', {at}, {at}, {at}, 0, n * 7 FROM r"
    );
    let odd = format!(
        "INSERT INTO tasker_attempts VALUES ('runs', 1, 'task', 'work', 'in_progress', {now}, {now}, NULL, 0, NULL), \
         ('never ran', 1, 'task', 'work', 'cancelled', {now}, NULL, {now}, NULL, NULL)"
    );
    for sql in [&sql, &odd, "ANALYZE"] {
        database.reader().execute(sql).await.unwrap();
    }
    let store = store(&telemetry);
    for hours in [1, 2, 3, 4, 5, 39, 40, 41, 1_000] {
        let slowest = store.slowest_steps(Duration::from_hours(hours), 3).await.unwrap();
        let ids: Vec<_> = slowest.iter().map(|attempt| attempt.step_id.as_str()).collect();
        let expected = [1, 2, 3].map(|back| format!("step-{}", hours.min(40) * 1_000 - back));
        assert_eq!(ids, expected, "of {hours} hours");
    }
    assert_eq!(store.slowest_steps(Duration::from_millis(1), 3).await.unwrap(), []);
    assert_eq!(store.slowest_steps(Duration::from_hours(1), 2_000).await.unwrap().len(), 1_000);
    assert_eq!(store.slowest_steps(Duration::from_hours(9), 19_000).await.unwrap().len(), 9_000);

    let plan = store.explain(Question::SlowestSteps).await.unwrap();
    for index in ["tasker_attempts_by_end", "tasker_attempts_by_duration"] {
        assert!(plan.iter().any(|line| line.contains(index)), "{plan:#?}");
    }
    assert!(!reads_a_table(&plan), "{plan:#?}");
}

#[tokio::test]
async fn old_tasks_are_deleted_with_all_that_belongs_to_them() {
    let database = database();
    let telemetry = database.telemetry();
    telemetry.in_scope(|| (1..=450).for_each(|number| drop(order(number))));
    telemetry.flush().await.unwrap();
    let store = store(&telemetry);
    assert_eq!(store.delete_older_than(Duration::from_hours(1)).await.unwrap(), 0);
    let before = store.health().statements;
    assert_eq!(store.delete_older_than(Duration::ZERO).await.unwrap(), 450);
    // 200 tasks a transaction: that makes three, each of which begins, looks, deletes from five tables and ends.
    let statements = store.health().statements - before;
    assert!(statements >= 3 * 8, "{statements} statements: no transaction is long, so that the writer need not wait");
    let reader = database.reader();
    for table in ["tasks", "steps", "attempts", "errors", "transitions", "error_counts"] {
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
