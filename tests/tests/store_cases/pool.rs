//! 200 tasks at once that all ask the store while they run, on five connections: nobody waits too long, and at the end every
//! connection is back.

use std::sync::Arc;
use std::time::Duration;

use integration_tests::store::store;
use tasker_telemetry::prelude::*;
use tasker_telemetry::state::State;
use tasker_telemetry::store::{Store, StoreOptions, TaskFilter};
use tokio::task::JoinSet;

use super::database;

const TASKS: u64 = 200;
const ROUNDS: u64 = 5;

#[step(retry_limit = 2, backoff = Backoff::fixed().base(Duration::ZERO))]
async fn work(number: u64, round: u64) -> Result<u64, String> {
    tokio::task::yield_now().await;
    if (number + round).is_multiple_of(10) { Err("no".to_owned()) } else { Ok(number) }
}

#[task(id = number)]
async fn order(number: u64, store: Store) -> Result<(), tasker_telemetry::store::StoreError> {
    for round in 0..ROUNDS {
        let _ = work(number, round).await;
        // Its own rows may not be written yet, those of others may.
        store.task_stats(&number.to_string()).await?;
        store.errors_by_class(Duration::from_hours(1)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_tasks_on_five_connections() {
    let database = database();
    let options = StoreOptions::new().max_connections(5);
    // Waiting in line for a connection is no failure on a slow machine; being forgotten is.
    let options = options.acquire_timeout(Duration::from_mins(2)).statement_timeout(Duration::from_mins(1));
    let telemetry = Arc::new(database.builder_with(options).build().unwrap());
    let store = store(&telemetry);
    let mut running = JoinSet::new();
    for number in 1..=TASKS {
        running.spawn(telemetry.scope(order(number, store.clone())));
    }
    let mut most = 0;
    while let Some(ended) = running.join_next().await {
        ended.unwrap().expect("no question times out");
        most = most.max(store.health().connections);
    }
    telemetry.flush().await.unwrap();
    assert!((2..=5).contains(&most), "{most} connections");

    let health = store.health();
    assert_eq!((health.lost_total(), health.waiting, health.is_up), (0, 0, true), "{health:?}");
    soon("every connection is back", async || {
        let health = store.health();
        usize::try_from(health.connections) == Ok(health.idle_connections)
    })
    .await;
    let completed = store.tasks(&TaskFilter::new().state(State::Complete).limit(1_000)).await.unwrap();
    assert_eq!(completed.len() as u64, TASKS);
    let reader = database.reader();
    let steps =
        reader.number("SELECT count(*) FROM tasker_steps WHERE state IN ('complete', 'error')", &[]).await.unwrap();
    assert_eq!(u64::try_from(steps).unwrap(), TASKS * ROUNDS);
    assert!(super::connections(&database).await.is_none_or(|known| (1..=5).contains(&known)));

    telemetry.shutdown().await.unwrap();
    drop((store, telemetry));
    // The connections go with the last who knows the store; the server hears of it a moment later.
    soon("the server knows no connections of a store that is gone", async || {
        super::connections(&database).await.is_none_or(|known| known == 0)
    })
    .await;
}

/// What a moment later holds, within a minute.
async fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..6_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not so: {what}");
}
