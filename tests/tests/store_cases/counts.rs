//! Errors by class: what is counted when errors are written and deleted agrees with the errors, whatever happened to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use integration_tests::store::{Reader, store};
use tasker_telemetry::prelude::*;
use tasker_telemetry::store::Store;

use super::audit::audit;
use super::database;

/// Between two errors of the tests, in seconds; no multiple of it is one of hours or days.
const APART: u64 = 3_701;
const CLASSES: u64 = 3;

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs()
}

/// Errors every 3,701 seconds, the last of them 1,850 seconds ago, of three classes by turns; two of three are of attempts.
async fn add_errors(reader: &Reader, count: u64) {
    let no = if matches!(reader, Reader::Sqlite(_)) { "0" } else { "false" };
    let row = |number: u64| {
        let at = (now() - APART / 2 - number * APART) * 1_000_000_000;
        let step = if number.is_multiple_of(3) { "NULL, NULL, NULL" } else { "'step', 'charge', 1" };
        let class = number % CLASSES;
        format!("('event-{number}', 'task', {step}, {at}, 'Class{class}', 'other', 'no', '[]', '[]', {no})")
    };
    let rows: Vec<_> = (0..count).map(row).collect();
    let sql = format!(
        "INSERT INTO tasker_errors (event_id, task_id, step_id, step_name, attempt, occurred_at, error_class, error_type, \
         error_message, error_chain, backtrace, retryable) VALUES {} ON CONFLICT (event_id) DO NOTHING",
        rows.join(", ")
    );
    reader.execute(&sql).await.unwrap();
}

/// By class: attempts and tasks.
async fn by_class(store: &Store, within: Duration) -> Vec<(String, u64, u64)> {
    let classes = store.errors_by_class(within).await.unwrap();
    assert!(classes.iter().all(|class| class.first_at <= class.last_at));
    let mut found: Vec<_> = classes.into_iter().map(|class| (class.error_class, class.attempts, class.tasks)).collect();
    found.sort_unstable();
    found
}

/// What there must be of the last `count` of the errors.
fn expected(count: u64) -> Vec<(String, u64, u64)> {
    let of_class = |class: u64| {
        let numbers = || (0..count).filter(move |number| number % CLASSES == class);
        let tasks = numbers().filter(|number| number.is_multiple_of(3)).count() as u64;
        (format!("Class{class}"), numbers().count() as u64 - tasks, tasks)
    };
    (0..CLASSES).map(of_class).filter(|(_, attempts, tasks)| attempts + tasks > 0).collect()
}

/// The errors that stand alone, as these do, are not what `audit` expects; their counts are.
async fn counts_agree(reader: &Reader) {
    let found = audit(reader).await;
    assert!(!found.iter().any(|line| line.starts_with("the counts")), "{found:#?}");
}

/// Of every time that one may ask about: less than an hour, hours, a day and more, each with a beginning within an hour and a day.
async fn every_time_is_counted(store: &Store, count: u64) {
    for so_many in [0, 1, 2, 5, 20, 24, 25, 47, 100, count] {
        let within = Duration::from_secs(so_many * APART);
        assert_eq!(by_class(store, within).await, expected(so_many), "the last {so_many}");
    }
    assert_eq!(by_class(store, Duration::MAX).await, expected(count));
}

#[tokio::test]
async fn every_time_is_counted_to_its_beginning() {
    let database = database();
    let telemetry = database.telemetry();
    let reader = database.reader();
    add_errors(&reader, 150).await;
    every_time_is_counted(&store(&telemetry), 150).await;
    // What is there already is not counted again.
    add_errors(&reader, 200).await;
    every_time_is_counted(&store(&telemetry), 200).await;
    counts_agree(&reader).await;
    let [first, ..] = &store(&telemetry).errors_by_class(Duration::from_secs(APART * 100)).await.unwrap()[..] else {
        panic!("there are some")
    };
    let seconds = |at: tasker_telemetry::Timestamp| at.as_unix_nanos() / 1_000_000_000;
    assert!(now() - seconds(first.first_at) > APART * 96 && now() - seconds(first.last_at) < APART * 4, "{first:?}");
}

#[tokio::test]
async fn what_is_deleted_is_counted_no_more() {
    let database = database();
    let telemetry = database.telemetry();
    let reader = database.reader();
    add_errors(&reader, 150).await;
    let before = (now() - 90 * APART) * 1_000_000_000;
    reader.execute(&format!("DELETE FROM tasker_errors WHERE occurred_at < {before}")).await.unwrap();
    counts_agree(&reader).await;
    assert_eq!(by_class(&store(&telemetry), Duration::MAX).await, expected(90));
    reader.execute("DELETE FROM tasker_errors").await.unwrap();
    assert_eq!(by_class(&store(&telemetry), Duration::MAX).await, expected(0));
    assert_eq!(reader.number("SELECT count(*) FROM tasker_error_counts", &[]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let database = database();
    let reader = database.new_reader();
    reader.make_first_tables().await.unwrap();
    add_errors(&reader, 150).await;
    let telemetry = database.telemetry();
    every_time_is_counted(&store(&telemetry), 150).await;
    add_errors(&reader, 160).await;
    every_time_is_counted(&store(&telemetry), 160).await;
    counts_agree(&reader).await;
    // And one that a newer version than this has added to is written all the same.
    let newer = "INSERT INTO tasker_migrations SELECT version + 1000, description, installed_on, success, checksum, \
                 execution_time FROM tasker_migrations WHERE version = 1";
    reader.execute(newer).await.unwrap();
    let telemetry = database.telemetry();
    assert!(telemetry.health().store.unwrap().is_up);
}

#[step]
async fn fails(number: u64) -> Result<u64, String> {
    tokio::task::yield_now().await;
    if number.is_multiple_of(2) { Err("no".to_owned()) } else { fails_otherwise().await.map_err(|_| "no".to_owned()) }
}

#[step]
async fn fails_otherwise() -> Result<u64, std::num::ParseIntError> {
    "no number".parse()
}

#[task(id = number)]
async fn order(number: u64) -> Result<u64, String> {
    fails(number).await
}

/// Four processes count the same classes at once, and a fifth deletes what ended: nobody fails for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_write_and_one_that_deletes() {
    const ORDERS: u64 = 400;
    let database = database();
    let telemetries: Vec<_> = (0..4).map(|_| Arc::new(database.telemetry())).collect();
    let done = Arc::new(AtomicBool::new(false));
    let deleting = {
        let (database, done) = (database.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let telemetry = database.telemetry();
            let mut deleted = 0;
            while !done.load(Ordering::Relaxed) {
                deleted += store(&telemetry).delete_older_than(Duration::ZERO).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            deleted
        })
    };
    let writing = telemetries.iter().cloned().zip(0..).map(|(telemetry, part)| {
        tokio::spawn(async move {
            for number in 0..ORDERS {
                telemetry.scope(order(part * ORDERS + number)).await.unwrap_err();
                if number % 20 == 0 {
                    telemetry.flush().await.unwrap();
                }
            }
            telemetry.flush().await.unwrap();
        })
    });
    futures::future::join_all(writing).await.into_iter().for_each(|ended| ended.unwrap());
    done.store(true, Ordering::Relaxed);
    assert!(deleting.await.unwrap() > 0, "something was deleted meanwhile");
    for telemetry in &telemetries {
        let health = store(telemetry).health();
        assert_eq!((health.is_up, health.last_error.clone(), health.lost_total()), (true, None, 0), "{health:?}");
    }
    counts_agree(&database.reader()).await;
}
