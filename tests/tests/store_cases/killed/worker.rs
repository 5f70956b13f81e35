//! The processes that are killed, and those that go on with what they left: this test program again, told by variables which part
//! it plays.
//!
//! What such a process sees of its own events it writes to its output, an event a line; so does it with how its store did at the end.

use std::env;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use integration_tests::{EXPECTED, quiet_expected_panics};
use tasker_telemetry::prelude::*;
use tasker_telemetry::state::State;
use tasker_telemetry::store::{StoreError, StoreOptions, TaskFilter};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub(super) const ROLE: &str = "TASKER_TEST_ROLE";
pub(super) const URL: &str = "TASKER_TEST_URL";
pub(super) const LEDGER: &str = "TASKER_TEST_LEDGER";

/// Before what was seen, and before the last word.
pub(super) const SEEN: &str = "SEEN ";
pub(super) const ENDED: &str = "ENDED ";

pub(super) const ORDERS: u64 = 500;
/// How many tasks may be begun whose ends nobody has confirmed: no process is ever further than that ahead of who watches it.
pub(super) const AHEAD: usize = 40;

/// Longer than any of this takes on the slowest machine: nothing is to be delivered before it is written.
const LONG: Duration = Duration::from_mins(2);
const NOW: Backoff = Backoff::fixed().base(Duration::ZERO);

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("nothing in stock for {0}")]
    Stock(u64),
    #[error("declined for {0}")]
    Declined(u64),
    #[error("no answer for {0}")]
    Network(u64),
}

/// So that at any moment some tasks are in the midst of each of their steps.
async fn take_a_while(how_long: u64) {
    tokio::time::sleep(Duration::from_millis(how_long * 3)).await;
}

#[step(fields(order))]
async fn reserve(order: u64) -> Result<u64, ShopError> {
    take_a_while(order % 7).await;
    if order % 10 == 3 { Err(ShopError::Stock(order)) } else { Ok(order) }
}

#[step(retry_limit = 3, backoff = NOW)]
async fn charge(order: u64) -> Result<u64, ShopError> {
    take_a_while(order % 5).await;
    let attempt = StepScope::current().map_or(0, |step| step.attempt_number());
    match order % 10 {
        5 if attempt < 3 => Err(ShopError::Network(order)),
        7 => Err(ShopError::Declined(order)),
        _ => Ok(order * 100),
    }
}

#[step]
async fn ship(order: u64, paid: u64) -> u64 {
    take_a_while(order % 3).await;
    assert!(order % 10 != 9, "{EXPECTED} {order}");
    order + paid
}

#[task(id = format!("order-{order}"), fields(order))]
async fn order_process(order: u64) -> Result<u64, ShopError> {
    let paid = charge(reserve(order).await?).await?;
    let total = ship(order, paid).await;
    write_down(order, total);
    Ok(total)
}

/// What the work itself leaves behind.
fn write_down(order: u64, total: u64) {
    let file = env::var_os(LEDGER).expect("the parent says which");
    let mut file = OpenOptions::new().append(true).create(true).open(file).expect("the ledger can be written");
    file.write_all(format!("{order} {total}\n").as_bytes()).expect("the ledger can be written");
}

fn say(line: &str) {
    // In one piece, and never captured by the test harness.
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).expect("the parent listens");
}

/// The observer from outside has what this writes.
#[derive(Subscriber)]
#[subscribe("task.*", "step.*")]
#[subscriber(manual)]
struct Observer;

impl Observer {
    fn handle_event(&self, event: &EventRecord) {
        let json = event.payload();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        say(&format!("{SEEN}{} {}", text("event_id"), event.name()));
    }
}

/// The part that this process plays; without one, this is no process of the tests.
#[test]
fn role() {
    let Ok(role) = env::var(ROLE) else { return };
    quiet_expected_panics();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = StoreOptions::new()
            .delivery_timeout(LONG)
            .statement_timeout(LONG)
            .acquire_timeout(LONG)
            .lease(Duration::from_millis(300));
        let telemetry = Telemetry::builder()
            .auto_subscribers(false)
            .store_with(env::var(URL).expect("the parent says which"), options)
            .subscriber(Observer)
            .shutdown_timeout(LONG)
            .build()
            .expect("a telemetry with a store");
        let telemetry = Arc::new(telemetry);
        match role.as_str() {
            "begins" => begin(&telemetry).await,
            "resumes" => resume(&telemetry).await,
            other => panic!("no part is called {other}"),
        }
        telemetry.shutdown().await.expect("everything is written");
        let health = telemetry.health().store.expect("there is a store");
        say(&format!("{ENDED}waiting {} lost {} up {}", health.waiting, health.lost_total(), health.is_up));
    });
}

async fn begin(telemetry: &Arc<Telemetry>) {
    let permits = Arc::new(Semaphore::new(AHEAD));
    let confirmed = Arc::clone(&permits);
    std::thread::spawn(move || {
        for _ in std::io::stdin().bytes() {
            confirmed.add_permits(1);
        }
    });
    let mut running = JoinSet::new();
    for order in 1..=ORDERS {
        permits.acquire().await.expect("it is never closed").forget();
        running.spawn(telemetry.scope(order_process(order)));
    }
    while running.join_next().await.is_some() {}
}

/// Knows nothing but the store, and that there are so many orders.
async fn resume(telemetry: &Arc<Telemetry>) {
    let store = telemetry.store().expect("there is one");
    let tasks = store.tasks(&TaskFilter::new().limit(10_000)).await.expect("the database answers");
    let mut running = JoinSet::new();
    let mut unknown: Vec<u64> = (1..=ORDERS).collect();
    for task in tasks {
        let context = task.context.expect("it is written with the task's first event");
        let order = context["order"].as_u64().expect("a number");
        unknown.retain(|other| *other != order);
        if matches!(task.state, State::Pending | State::InProgress) {
            let store = store.clone();
            running.spawn(async move {
                let resumed = loop {
                    match store.resume(&task.task_id).await {
                        Ok(resumed) => break resumed,
                        // The dead process counts as alive for a moment longer.
                        Err(StoreError::Taken { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                        Err(error) => panic!("{}: {error}", task.task_id),
                    }
                };
                resumed.scope(order_process(order)).await
            });
        }
    }
    for order in unknown {
        running.spawn(telemetry.scope(order_process(order)));
    }
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            assert!(message.contains(EXPECTED), "{message}");
        }
    }
}
