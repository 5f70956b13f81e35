//! What is announced is written: a subscriber that looks into the database finds the rows of every event that it is given, while
//! spans and steps wait for nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use integration_tests::store::{Reader, store};
use tasker_telemetry::prelude::*;

use super::database;

/// Something happened in the shop.
#[derive(Debug, Serialize, Event)]
#[event("shop.noted")]
struct Noted {
    number: u64,
}

#[step(retry_limit = 2, backoff = Backoff::fixed().base(std::time::Duration::ZERO))]
async fn work(number: u64) -> Result<u64, String> {
    tokio::task::yield_now().await;
    publish(Noted { number });
    if number.is_multiple_of(7) { Err(format!("no {number}")) } else { Ok(number) }
}

#[task(id = number)]
async fn order(number: u64) -> Result<u64, String> {
    work(number).await
}

/// Looks at the rows with a connection of its own.
#[derive(Subscriber)]
#[subscribe("*")]
#[subscriber(manual)]
struct Auditor {
    reader: Reader,
    seen: Arc<AtomicU64>,
    missing: Arc<Mutex<Vec<String>>>,
    order: Arc<Mutex<Vec<String>>>,
}

impl Auditor {
    async fn handle_event(&self, event: &EventRecord) {
        let json = event.payload();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        self.order.lock().unwrap().push(format!("{} {}", text("task_id"), event.name()));
        if event.category() == "custom" {
            return;
        }
        self.seen.fetch_add(1, Ordering::Relaxed);
        let sql = "SELECT count(*) FROM tasker_transitions t WHERE event_id = $1 AND ($2 <> 'step.failed' OR EXISTS \
                   (SELECT 1 FROM tasker_errors e JOIN tasker_attempts a ON a.step_id = e.step_id AND a.attempt = e.attempt \
                   WHERE e.event_id = t.event_id AND a.state = 'error'))";
        let rows = self.reader.number(sql, &[&text("event_id"), event.name()]).await.unwrap_or(-1);
        if rows != 1 {
            self.missing.lock().unwrap().push(format!("{rows} {} {}", event.name(), text("event_id")));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_that_is_seen_has_its_rows() {
    let database = database();
    let (seen, missing, in_order) = (Arc::default(), Arc::default(), Arc::default());
    let auditor = Auditor {
        reader: database.reader(),
        seen: Arc::clone(&seen),
        missing: Arc::clone(&missing),
        order: Arc::clone(&in_order),
    };
    let telemetry = Arc::new(database.builder().subscriber(auditor).build().unwrap());
    let tasks = (1..=100).map(|number| tokio::spawn(telemetry.scope(order(number))));
    futures::future::join_all(tasks).await;
    telemetry.flush().await.unwrap();
    assert_eq!(*missing.lock().unwrap(), [""; 0]);
    // 14 of 100 fail: two attempts, a retry request and a word that none follows instead of one attempt.
    let expected = 100 * 6 + 14 * 5;
    assert_eq!(seen.load(Ordering::Relaxed), expected);
    assert_eq!(telemetry.health().store.unwrap().written, expected);
    // Each task's events, those of the user included, came in their order.
    let in_order = in_order.lock().unwrap();
    for number in 1..=100 {
        let mine: Vec<_> = in_order.iter().filter_map(|line| line.strip_prefix(&format!("{number} "))).collect();
        assert_eq!(
            mine[..5],
            [
                "task.initialize_requested",
                "task.start_requested",
                "step.execution_requested",
                "step.started",
                "shop.noted"
            ]
        );
        assert!(mine.last().is_some_and(|last| ["task.completed", "task.failed"].contains(last)));
    }
}

#[tokio::test]
async fn what_one_telemetry_wrote_another_reads() {
    let database = database();
    let (one, other) = (database.telemetry(), database.telemetry());
    let (first, second) = futures::join!(one.scope(order(1)), other.scope(order(7)));
    assert!(first.is_ok() && second.is_err());
    one.flush().await.unwrap();
    other.flush().await.unwrap();
    for telemetry in [&one, &other] {
        let tasks = store(telemetry).tasks(&tasker_telemetry::store::TaskFilter::new()).await.unwrap();
        assert_eq!(tasks.len(), 2);
    }
}
