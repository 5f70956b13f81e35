//! `PostgreSQL` is stopped, silent, cut off in mid-run, or loses the answer to a commit: steps end as ever, memory is bounded, what is
//! not written is counted exactly, and what fits is written when the server is back. Run by `scripts/test-services`.
//!
//! No step may wait for the store: in all of these tests the tasks run to their ends *while* the server is away, and it comes back
//! only then.
#![cfg(feature = "services")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use integration_tests::postgres::Postgres;
use integration_tests::proxy::{Proxy, Way};
use integration_tests::services::wait_for;
use integration_tests::store::{Database, Reader, store};
use tasker_telemetry::prelude::*;
use tasker_telemetry::store::{StoreError, StoreHealth, StoreOptions};
use tokio::task::JoinSet;

#[path = "store_cases/audit.rs"]
#[allow(dead_code, reason = "the outcomes are for processes that were killed")]
mod audit;

#[step(retry_limit = 2, backoff = Backoff::fixed().base(Duration::ZERO))]
async fn charge(order: u64) -> Result<u64, String> {
    tokio::task::yield_now().await;
    if order.is_multiple_of(5) { Err(format!("declined for {order}")) } else { Ok(order * 100) }
}

#[step]
async fn pack(order: u64) -> u64 {
    order
}

#[task(id = order, fields(order))]
async fn order_process(order: u64) -> Result<u64, String> {
    charge(pack(order).await).await
}

/// Counts what is delivered.
#[derive(Subscriber, Clone, Default)]
#[subscribe("task.*", "step.*")]
#[subscriber(manual)]
struct Seen(Arc<AtomicU64>);

impl Seen {
    fn handle_event(&self, _event: &EventRecord) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What an order tells: of a task 3 events, of a step 3; one that fails has two attempts, with a word before the second and at the end.
const fn events_of(order: u64) -> u64 {
    if order.is_multiple_of(5) { 3 + 3 + 3 + 1 + 3 + 1 } else { 3 + 3 + 3 }
}

/// A server, a way to it, and a telemetry that goes that way.
struct Shop {
    database: Database,
    proxy: Proxy,
    telemetry: Arc<Telemetry>,
    seen: Seen,
    orders: u64,
    published: u64,
}

/// Gives a server up soon, so that the test is soon over.
fn impatient() -> StoreOptions {
    let soon = Duration::from_millis(300);
    StoreOptions::new().delivery_timeout(soon).statement_timeout(soon).acquire_timeout(soon)
}

impl Shop {
    fn new(options: StoreOptions, way: Way) -> Self {
        let database = Database::postgres();
        let proxy = Proxy::to(Postgres::shared().address());
        Self::at(database, proxy, options, way)
    }

    fn at(database: Database, proxy: Proxy, options: StoreOptions, way: Way) -> Self {
        proxy.set(way);
        let seen = Seen::default();
        let telemetry = Telemetry::builder()
            .auto_subscribers(false)
            .store_with(proxy.url(database.url()), options)
            .subscriber(seen.clone())
            .subscriber_capacity(1_000_000)
            .shutdown_timeout(Duration::from_secs(2))
            .build()
            .expect("a server that is away is no reason to fail");
        Self { database, proxy, telemetry: Arc::new(telemetry), seen, orders: 0, published: 0 }
    }

    /// Runs so many more orders to their ends, and checks these.
    async fn run(&mut self, orders: u64) {
        let mut running = JoinSet::new();
        for order in self.orders + 1..=self.orders + orders {
            let task = self.telemetry.scope(order_process(order));
            running.spawn(async move { (order, task.await) });
            self.published += events_of(order);
        }
        self.orders += orders;
        while let Some(ended) = running.join_next().await {
            let (order, result) = ended.expect("no panic");
            let expected = if order.is_multiple_of(5) { Err(format!("declined for {order}")) } else { Ok(order * 100) };
            assert_eq!(result, expected);
        }
    }

    fn health(&self) -> StoreHealth {
        self.telemetry.health().store.expect("there is a store")
    }

    /// Subscribers get everything, though the store is away.
    fn all_is_delivered(&self) {
        wait_for("the delivery of all events", || match self.seen.0.load(Ordering::Relaxed) {
            seen if seen == self.published => Ok(()),
            seen => Err(format!("{seen} of {}", self.published)),
        });
    }

    /// The server is back: waits until each event is written or lost.
    fn all_is_settled(&self) -> StoreHealth {
        wait_for("the writing of all that waits", || match self.health() {
            health if health.written + health.lost_total() == self.published && health.is_up => Ok(health),
            health => Err(format!("{health:?}")),
        })
    }

    fn reader(&self) -> Reader {
        self.database.reader()
    }

    async fn rows(&self) -> u64 {
        let rows = self.reader().number("SELECT count(*) FROM tasker_transitions", &[]).await;
        u64::try_from(rows.expect("the database answers")).expect("a count")
    }

    /// Nothing was lost, and nothing is there twice or half.
    async fn all_is_there(&self) {
        let health = self.all_is_settled();
        assert_eq!((health.written, health.lost_total()), (self.published, 0), "{health:?}");
        assert_eq!(self.rows().await, self.published);
        assert_eq!(audit::audit(&self.reader()).await, [""; 0]);
        self.all_is_delivered();
    }

    /// Connections of this store that the server knows.
    async fn connections(&self) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tasker-telemetry' \
                   AND datname = current_database()";
        self.reader().number(sql, &[]).await.expect("the database answers")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_cut_again_and_again() {
    let mut shop = Shop::new(StoreOptions::new(), Way::Open);
    for _ in 0..20 {
        shop.run(25).await;
        shop.proxy.cut();
        shop.run(25).await;
    }
    shop.all_is_there().await;
    assert!(shop.connections().await <= 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_stopped_and_started_again() {
    let server = Arc::new(Postgres::start());
    let database = Database::of(&server);
    let proxy = Proxy::to(server.address());
    let mut shop = Shop::at(database, proxy, impatient(), Way::Open);
    shop.run(100).await;
    shop.all_is_there().await;
    for round in 1..=2 {
        server.stop();
        shop.run(200).await;
        shop.all_is_delivered();
        let health = shop.health();
        assert!(!health.is_up && health.last_error.is_some(), "{health:?}");
        assert_eq!((health.written + health.waiting, health.lost_total()), (shop.published, 0), "{health:?}");
        assert!(health.waiting > 0);
        let error = store(&shop.telemetry).task_stats("1").await.expect_err("nobody is there");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        server.restart();
        shop.all_is_there().await;
        assert!(shop.health().replayed >= round * 200, "{:?}", shop.health());
    }
    let stats = store(&shop.telemetry).task_stats("1").await.expect("it is back").expect("it is there");
    assert_eq!(stats.completed_steps, 2);
    assert!(shop.connections().await <= 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_counted_exactly() {
    let capacity = 700;
    let mut shop = Shop::new(impatient().buffer_capacity(capacity), Way::Open);
    shop.run(50).await;
    shop.all_is_there().await;
    // On a busy machine the store may have been given up at its start already.
    let (written, replayed) = (shop.published, shop.health().replayed);
    shop.proxy.set(Way::Closed);
    shop.run(1_000).await;
    shop.all_is_delivered();
    let health = shop.health();
    let lost = shop.published - written - capacity as u64;
    assert_eq!((health.written, health.waiting), (written, capacity as u64), "{health:?}");
    assert_eq!(health.lost, [("buffer_full", lost)].into(), "{health:?}");
    shop.proxy.set(Way::Open);
    let health = shop.all_is_settled();
    assert_eq!((health.written, health.lost_total()), (written + capacity as u64, lost), "{health:?}");
    assert_eq!(health.replayed, replayed + capacity as u64);
    assert_eq!(shop.rows().await, health.written);
    // And from then on all is written again.
    shop.run(50).await;
    shop.telemetry.flush().await.expect("the server is back");
    assert_eq!(shop.health().written + lost, shop.published);
    assert_eq!(shop.rows().await + lost, shop.published);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_any_more() {
    let mut shop = Shop::new(impatient(), Way::Open);
    shop.run(100).await;
    shop.all_is_there().await;
    shop.proxy.set(Way::Silent);
    shop.run(300).await;
    shop.all_is_delivered();
    let health = shop.health();
    assert_eq!((health.written + health.waiting, health.lost_total()), (shop.published, 0), "{health:?}");
    assert!(!health.is_up && health.waiting > 0, "{health:?}");
    let questions = (0..20).map(|_| async { store(&shop.telemetry).task_stats("1").await });
    for answer in futures::future::join_all(questions).await {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    shop.proxy.set(Way::Open);
    shop.all_is_there().await;
    // Connections whose answers never came were not given back.
    for _ in 0..20 {
        assert!(store(&shop.telemetry).task_stats("1").await.expect("it answers again").is_some());
    }
    assert!(shop.health().connections <= 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_written_once() {
    let mut shop = Shop::new(impatient(), Way::Open);
    shop.run(1).await;
    shop.all_is_there().await;
    shop.proxy.cut(); // the next commit is the first of a connection
    shop.proxy.set(Way::LosesCommits);
    shop.run(100).await;
    shop.all_is_delivered();
    wait_for("a lost answer", || if shop.proxy.lost_commits() > 0 { Ok(()) } else { Err("none".to_owned()) });
    let (rows, health) = (shop.rows().await, shop.health());
    assert!(rows > health.written, "{rows} rows are committed that it does not know of: {health:?}");
    shop.proxy.set(Way::Open);
    shop.all_is_there().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_at_the_start() {
    let mut shop = Shop::new(impatient(), Way::Closed);
    shop.run(100).await;
    shop.all_is_delivered();
    let health = shop.health();
    assert_eq!((health.is_up, health.written, health.waiting), (false, 0, shop.published), "{health:?}");
    shop.proxy.set(Way::Open);
    shop.all_is_there().await;
    assert_eq!(shop.health().replayed, shop.published);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_at_shutdown_is_lost_and_counted() {
    let mut shop = Shop::new(impatient(), Way::Open);
    shop.run(50).await;
    shop.all_is_there().await;
    let written = shop.published;
    shop.proxy.set(Way::Closed);
    shop.run(50).await;
    shop.telemetry.shutdown().await.expect_err("not all could be written");
    let health = shop.health();
    assert_eq!((health.written, health.waiting), (written, 0), "{health:?}");
    assert_eq!(health.lost, [("shutdown", shop.published - written)].into(), "{health:?}");
    assert_eq!(shop.rows().await, written);
}

#[task(name = "order_process", id = order)]
async fn order_that_hangs(order: u64) {
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_counts_as_alive_as_soon_as_it_can_write_again() {
    let mut shop = Shop::new(impatient(), Way::Closed);
    let mut running = Box::pin(shop.telemetry.scope(order_that_hangs(1_000_000)));
    assert!(futures::poll!(running.as_mut()).is_pending());
    shop.published += 2;
    // More connections than the start and the first sign of life ask for.
    wait_for("a write of rows that failed", || match shop.proxy.refused() {
        refused if refused > 10 => Ok(()),
        refused => Err(format!("{refused} connections were refused")),
    });
    shop.proxy.set(Way::Open);
    shop.all_is_settled();
    // With its first rows others learn that it lives: they must not take its tasks.
    let other = shop.database.telemetry();
    let claim = store(&other).resume("1000000").await;
    assert!(
        matches!(&claim, Err(StoreError::Taken { worker_id, .. }) if *worker_id == shop.health().worker_id),
        "{claim:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_has_nothing_to_write_knows_whether_it_could() {
    let shop = Shop::new(impatient().lease(Duration::from_millis(60)), Way::Closed);
    let is_up = |wanted: bool| {
        wait_for("the store's word", || match shop.health() {
            health if health.is_up == wanted => Ok(()),
            health => Err(format!("{health:?}")),
        });
    };
    for _ in 0..2 {
        is_up(false);
        shop.proxy.set(Way::Open);
        is_up(true);
        shop.proxy.set(Way::Closed);
    }
}
