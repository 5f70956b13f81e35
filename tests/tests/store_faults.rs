//! A store that is locked, read-only or not there: steps finish unaffected, subscribers get every event, memory is bounded, and
//! what was not written is counted exactly. With `Strict` a step whose failure cannot be written is not tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use integration_tests::store::{Database, store};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _};
use tasker_telemetry::BuildError;
use tasker_telemetry::prelude::*;
use tasker_telemetry::store::{Durability, StoreError, StoreHealth, StoreOptions};

#[step(retry_limit = 3, backoff = Backoff::fixed().base(Duration::ZERO))]
fn charge(order: u64) -> Result<u64, String> {
    let attempt = StepScope::current().map_or(0, |step| step.attempt_number());
    if order.is_multiple_of(5) && attempt < 3 { Err(format!("attempt {attempt}")) } else { Ok(order) }
}

#[task(id = order)]
fn order_process(order: u64) -> Result<u64, String> {
    charge(order)
}

/// Events of an order whose number is no multiple of 5: two of the task before, three of the step, one after.
const PLAIN: u64 = 6;
/// Two failed attempts, each with the request for another.
const RETRIED: u64 = PLAIN + 2 * 4;

#[derive(Subscriber, Clone, Default)]
#[subscribe("task.*", "step.*")]
#[subscriber(manual)]
struct Seen(Arc<AtomicU64>);

impl Seen {
    fn handle_event(&self, _: &EventRecord) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Subscriber, Clone, Default)]
#[subscribe("step.max_retries_reached")]
#[subscriber(manual)]
struct GivenUp(Arc<std::sync::Mutex<Vec<String>>>);

impl GivenUp {
    fn handle_step_max_retries_reached(&self, event: &event::step::MaxRetriesReached) {
        self.0.lock().unwrap().push(event.error_message.clone());
    }
}

fn impatient() -> StoreOptions {
    StoreOptions::new().statement_timeout(Duration::from_millis(500)).delivery_timeout(Duration::from_millis(500))
}

fn health(telemetry: &Telemetry) -> StoreHealth {
    store(telemetry).health()
}

/// Whoever holds it is the only one who may write.
async fn lock(database: &Database) -> SqliteConnection {
    let mut lock = SqliteConnection::connect(database.url()).await.unwrap();
    lock.execute("BEGIN IMMEDIATE").await.unwrap();
    lock
}

fn run(telemetry: &Telemetry, orders: std::ops::RangeInclusive<u64>) {
    for order in orders {
        assert_eq!(telemetry.in_scope(|| order_process(order)), Ok(order));
    }
}

#[tokio::test]
async fn a_locked_file_delays_nobody_and_is_written_later() {
    let (database, seen) = (Database::sqlite(), Seen::default());
    let telemetry = database.builder_with(impatient()).subscriber(seen.clone()).build().unwrap();
    run(&telemetry, 1..=1);
    telemetry.flush().await.unwrap();
    let mut locked = lock(&database).await;
    run(&telemetry, 2..=51);
    let expected = 41 * PLAIN + 10 * RETRIED;
    // The subscriber gets all of it while nothing can be written.
    while seen.0.load(Ordering::SeqCst) < expected {
        tokio::task::yield_now().await;
    }
    let behind = health(&telemetry);
    assert!(!behind.is_up && behind.last_error.is_some(), "{behind:?}");
    assert_eq!((behind.written, behind.waiting, behind.lost_total()), (PLAIN, expected - PLAIN, 0));
    locked.execute("ROLLBACK").await.unwrap();
    telemetry.flush().await.unwrap();
    let caught_up = health(&telemetry);
    assert!(caught_up.is_up, "{caught_up:?}");
    assert_eq!((caught_up.written, caught_up.waiting, caught_up.lost_total()), (expected, 0, 0));
    assert_eq!(caught_up.replayed, expected - PLAIN);
    let rows = database.reader().number("SELECT count(*) FROM tasker_transitions", &[]).await.unwrap();
    assert_eq!(u64::try_from(rows).unwrap(), expected);
}

#[tokio::test]
async fn what_does_not_fit_is_counted_exactly() {
    let (database, seen) = (Database::sqlite(), Seen::default());
    let telemetry = database.builder_with(impatient().buffer_capacity(100)).subscriber(seen.clone()).build().unwrap();
    let mut locked = lock(&database).await;
    run(&telemetry, 1..=40);
    let expected = 32 * PLAIN + 8 * RETRIED;
    while seen.0.load(Ordering::SeqCst) < expected {
        tokio::task::yield_now().await;
    }
    let full = health(&telemetry);
    assert_eq!(
        (full.written, full.waiting, full.lost.get("buffer_full")),
        (0, 100, Some(&(expected - 100))),
        "{full:?}"
    );
    locked.execute("ROLLBACK").await.unwrap();
    telemetry.flush().await.unwrap();
    let after = health(&telemetry);
    assert_eq!((after.written, after.waiting, after.lost_total()), (100, 0, expected - 100));
    let rows = database.reader().number("SELECT count(*) FROM tasker_transitions", &[]).await.unwrap();
    assert_eq!(rows, 100);
}

#[tokio::test]
async fn a_file_that_may_only_be_read() {
    let database = Database::sqlite();
    drop(database.telemetry());
    let url = format!("{}?mode=ro", database.url());
    let builder = Telemetry::builder().auto_subscribers(false).shutdown_timeout(Duration::from_secs(1));
    let telemetry = builder.store_with(url, impatient()).build().unwrap();
    run(&telemetry, 1..=10);
    assert!(telemetry.shutdown().await.is_err(), "what waits is told of");
    let after = health(&telemetry);
    let expected = 8 * PLAIN + 2 * RETRIED;
    assert_eq!((after.written, after.waiting, after.lost.get("shutdown")), (0, 0, Some(&expected)), "{after:?}");
    assert!(after.last_error.is_some_and(|error| error.contains("readonly")));
}

#[tokio::test]
async fn a_database_that_is_not_there() {
    // A folder where the file should be; it goes away, and the store is there.
    let database = Database::sqlite();
    std::fs::create_dir(database.path()).unwrap();
    let telemetry = database.builder_with(impatient()).build().unwrap();
    run(&telemetry, 1..=10);
    assert!(!health(&telemetry).is_up);
    std::fs::remove_dir(database.path()).unwrap();
    telemetry.flush().await.unwrap();
    let after = health(&telemetry);
    assert_eq!((after.written, after.waiting, after.lost_total()), (8 * PLAIN + 2 * RETRIED, 0, 0), "{after:?}");
}

#[test]
fn addresses_that_make_no_sense() {
    for (url, problem) in [
        ("orders.db", "must begin with"),
        ("mysql://localhost/x", "must begin with"),
        ("sqlite::memory:", "must name a file"),
        ("postgres://[", "address"),
    ] {
        let error = Telemetry::builder().auto_subscribers(false).store(url).build().unwrap_err();
        assert!(matches!(error, BuildError::Store(StoreError::Address(_))), "{error:?}");
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[tokio::test]
async fn strict_does_not_try_again_what_it_cannot_write() {
    let (database, given_up) = (Database::sqlite(), GivenUp::default());
    // Patient enough for a busy machine: what is not locked is written in time.
    let limit = Duration::from_secs(3);
    let options =
        || StoreOptions::new().statement_timeout(limit).delivery_timeout(limit).durability(Durability::Strict);
    let telemetry = database.builder_with(options()).subscriber(given_up.clone()).build().unwrap();
    // As long as it can be written, everything is as ever.
    run(&telemetry, 1..=10);
    let mut locked = lock(&database).await;
    let unwritten = telemetry.in_scope(|| order_process(15));
    assert_eq!(unwritten, Err("attempt 1".to_owned()), "the error of the attempt that could not be written");
    run(&telemetry, 16..=19); // what does not fail does not wait
    locked.execute("ROLLBACK").await.unwrap();
    telemetry.flush().await.unwrap();
    assert_eq!(health(&telemetry).not_written, 1);
    let told = given_up.0.lock().unwrap().clone();
    assert_eq!(told, ["attempt 1; not tried again: this failure could not be written to the store"]);
    run(&telemetry, 20..=20);
    // Written when the lock was gone, all the same.
    let history = store(&telemetry).task_history("15").await.unwrap().unwrap();
    assert_eq!(history.errors.iter().filter(|error| error.step_id.is_some()).count(), 1);

    std::fs::create_dir_all(database.path().with_file_name("folder")).unwrap();
    let no_file = format!("sqlite://{}", database.path().with_file_name("folder").display());
    let error = Telemetry::builder().auto_subscribers(false).store_with(no_file, options()).build().unwrap_err();
    assert!(matches!(error, BuildError::Store(StoreError::Unavailable(_))), "{error:?}");
}

#[tokio::test]
async fn strict_has_written_a_failure_when_the_step_returns() {
    #[step]
    async fn fails() -> Result<(), String> {
        Err("no".to_owned())
    }
    let database = Database::sqlite();
    let options = StoreOptions::new().durability(Durability::Strict);
    let telemetry = database.builder_with(options).build().unwrap();
    telemetry.scope(fails()).await.unwrap_err();
    let sql = "SELECT count(*) FROM tasker_errors WHERE step_id IS NOT NULL";
    assert_eq!(database.reader().number(sql, &[]).await.unwrap(), 1);
}

#[tokio::test]
async fn a_transaction_that_takes_too_long_leaves_nothing_behind() {
    let database = Database::sqlite();
    let limit = Duration::from_millis(200);
    let options = StoreOptions::new().statement_timeout(limit).delivery_timeout(limit);
    let telemetry = database.builder_with(options).build().unwrap();
    run(&telemetry, 1..=1);
    telemetry.flush().await.unwrap();
    let reader = database.reader();
    let slow = "CREATE TRIGGER slow AFTER INSERT ON tasker_errors BEGIN SELECT max(n) FROM \
                (WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5000000) SELECT n FROM r); END";
    reader.execute(slow).await.unwrap();
    run(&telemetry, 2..=10);
    let minute = Duration::from_mins(1);
    let down = async {
        while health(&telemetry).is_up {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(minute, down).await.expect("it is noticed");
    assert!(health(&telemetry).last_error.is_some());
    // Its lock goes with its connection, which nobody else gets.
    let dropped = async {
        while reader.execute("DROP TRIGGER slow").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(minute, dropped).await.expect("its lock is gone");
    tokio::time::timeout(minute, telemetry.flush()).await.expect("it is written again").unwrap();
    let after = health(&telemetry);
    assert_eq!((after.is_up, after.written, after.waiting, after.lost_total()), (true, 8 * PLAIN + 2 * RETRIED, 0, 0));
    let rows = database.reader().number("SELECT count(*) FROM tasker_transitions", &[]).await.unwrap();
    assert_eq!(u64::try_from(rows).unwrap(), after.written);
}
