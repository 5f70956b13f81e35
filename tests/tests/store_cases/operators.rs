//! What operators do, and how a task that a dead process left goes on: legal transitions only, each its one event, and of many
//! that claim a task one gets it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_tests::store::{Database, store};
use tasker_telemetry::driver::ResumedTask;
use tasker_telemetry::prelude::*;
use tasker_telemetry::state::State;
use tasker_telemetry::store::{StoreError, StoreOptions, StoredTransition, TaskHistory};
use tasker_telemetry::trace::InMemorySpans;

use super::database;

#[step]
async fn charge(fails: bool) -> Result<u64, String> {
    if fails { Err("declined".to_owned()) } else { Ok(1) }
}

#[step]
async fn pack() {}

#[step]
async fn stuck() {
    std::future::pending::<()>().await;
}

#[task(id = order)]
async fn order_process(order: u64, fails: bool) -> Result<u64, String> {
    pack().await;
    charge(fails).await
}

#[task(name = "order_process", id = order)]
async fn order_that_hangs(order: u64) {
    pack().await;
    stuck().await;
}

/// Every event, by name and identity.
#[derive(Subscriber, Clone, Default)]
#[subscribe("task.*", "step.*")]
#[subscriber(manual)]
struct Seen(Arc<Mutex<Vec<(String, String, serde_json::Value)>>>);

impl Seen {
    fn handle_event(&self, event: &EventRecord) {
        let json = serde_json::to_value(event).unwrap();
        let id = json["event_id"].as_str().unwrap().to_owned();
        self.0.lock().unwrap().push((event.name().to_owned(), id, json));
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(name, ..)| name.clone()).collect()
    }

    fn json(&self, name: &str) -> serde_json::Value {
        self.0
            .lock()
            .unwrap()
            .iter()
            .find(|(seen, ..)| seen == name)
            .map(|(_, _, json)| json.clone())
            .unwrap_or_default()
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

async fn history(telemetry: &Telemetry, id: &str) -> TaskHistory {
    telemetry.flush().await.unwrap();
    store(telemetry).task_history(id).await.unwrap().unwrap()
}

/// Every event that was seen has its row, and every row its event.
fn agree(seen: &Seen, history: &TaskHistory) {
    let mut ids: Vec<_> = seen.0.lock().unwrap().iter().map(|(_, id, _)| id.clone()).collect();
    let mut rows: Vec<_> = history.transitions.iter().map(|row| row.event_id.clone()).collect();
    ids.sort_unstable();
    rows.sort_unstable();
    assert_eq!(ids, rows);
}

#[tokio::test]
async fn a_failed_task_is_retried_and_resumed() {
    let (database, seen, spans) = (database(), Seen::default(), InMemorySpans::default());
    let telemetry = database.builder().subscriber(seen.clone()).in_memory_spans(spans.clone()).build().unwrap();
    telemetry.scope(order_process(1, true)).await.unwrap_err();
    telemetry.flush().await.unwrap();
    let store = store(&telemetry);

    store.retry_task("1", "the bank is back").await.unwrap();
    let waiting = store.task("1").await.unwrap().unwrap();
    assert_eq!((waiting.state, waiting.ended_at, waiting.worker_id), (State::Pending, None, None));
    let error = store.retry_task("1", "again").await.unwrap_err();
    assert_eq!(error.to_string(), "a task cannot go from pending to pending");

    let task = store.resume("1").await.unwrap();
    assert_eq!(task.scope(order_process(1, false)).await, Ok(1));
    drop(task);
    let history = history(&telemetry, "1").await;
    assert_eq!((history.task.state, history.task.run, history.task.retries), (State::Complete, 1, 1));
    agree(&seen, &history);
    let names = seen.names();
    let of_task: Vec<_> = names.iter().map(String::as_str).filter(|name| name.starts_with("task.")).collect();
    assert_eq!(
        of_task,
        [
            "task.initialize_requested",
            "task.start_requested",
            "task.failed",
            "task.retry_requested",
            "task.start_requested",
            "task.completed"
        ]
    );
    let retry = seen.json("task.retry_requested");
    assert_eq!(
        (&retry["task_id"], &retry["attempt_number"], &retry["retry_reason"]),
        (&"1".into(), &2.into(), &"the bank is back".into())
    );
    let completed = seen.json("task.completed");
    assert_eq!(
        (&completed["total_steps"], &completed["completed_steps"], &completed["failed_steps"]),
        (&4.into(), &3.into(), &1.into())
    );
    let traces: std::collections::BTreeSet<_> = spans.spans().iter().map(|span| span.trace_id().to_string()).collect();
    assert_eq!(traces.len(), 1, "one trace a task, whatever runs where");
    let metrics = telemetry.metrics().render(tasker_telemetry::metrics::Format::Prometheus);
    assert!(metrics.contains("tasker_tasks_in_progress{task_name=\"order_process\"} 0"), "{metrics}");
}

#[tokio::test]
async fn what_the_state_machine_forbids_changes_nothing() {
    let (database, seen) = (database(), Seen::default());
    let telemetry = database.builder().subscriber(seen.clone()).build().unwrap();
    telemetry.scope(order_process(1, false)).await.unwrap();
    telemetry.flush().await.unwrap();
    let store = store(&telemetry);
    let before = history(&telemetry, "1").await;
    seen.clear();
    let illegal = |error: StoreError| matches!(error, StoreError::Illegal(_));
    assert!(illegal(store.retry_task("1", "").await.unwrap_err()));
    assert!(illegal(store.resolve_task_manually("1", "ann", "").await.unwrap_err()));
    assert!(illegal(store.resume("1").await.unwrap_err()));
    let step = &before.steps[0].step_id;
    assert!(illegal(store.retry_step(step, "").await.unwrap_err()));
    assert!(illegal(store.resolve_step_manually(step, "ann", "").await.unwrap_err()));
    assert!(illegal(store.cancel_step(step, "").await.unwrap_err()));
    for unknown in [store.retry_task("2", "").await, store.retry_step("2", "").await, store.cancel_task("2", "").await]
    {
        assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    }
    assert_eq!(history(&telemetry, "1").await, before);
    assert!(seen.names().is_empty());
}

#[tokio::test]
async fn a_task_and_a_step_are_closed_by_hand() {
    let (database, seen) = (database(), Seen::default());
    let telemetry = database.builder().subscriber(seen.clone()).build().unwrap();
    telemetry.scope(order_process(1, true)).await.unwrap_err();
    let failed = history(&telemetry, "1").await;
    let store = store(&telemetry);
    let step = failed.steps.iter().find(|step| step.state == State::Error).unwrap();
    store.retry_step(&step.step_id, "try the other bank").await.unwrap();
    store.resolve_step_manually(&step.step_id, "ann", "paid by cheque").await.unwrap();
    store.resolve_task_manually("1", "ann", "paid by cheque").await.unwrap();
    let closed = history(&telemetry, "1").await;
    agree(&seen, &closed);
    assert_eq!((closed.task.state, closed.task.resolved_by.as_deref()), (State::ResolvedManually, Some("ann")));
    assert_eq!(closed.steps[1].state, State::ResolvedManually);
    let event = seen.json("step.resolved_manually");
    assert_eq!((&event["step_id"], &event["step_name"]), (&step.step_id.clone().into(), &"charge".into()));
    assert_eq!(seen.json("task.resolved_manually")["resolved_by"], "ann");
    store.cancel_task("1", "it was a test").await.unwrap();
    assert_eq!(history(&telemetry, "1").await.task.state, State::Cancelled);
}

#[tokio::test]
async fn a_cancelled_task_stays_cancelled_whatever_its_run_says() {
    let (database, seen, spans) = (database(), Seen::default(), InMemorySpans::default());
    let telemetry = database.builder().subscriber(seen.clone()).in_memory_spans(spans.clone()).build().unwrap();
    let mut running = Box::pin(telemetry.scope(order_that_hangs(1)));
    assert!(futures::poll!(running.as_mut()).is_pending());
    let open = history(&telemetry, "1").await;
    assert_eq!((open.task.state, open.steps[1].state), (State::InProgress, State::InProgress));
    store(&telemetry).cancel_task("1", "the customer is gone").await.unwrap();
    let cancelled = history(&telemetry, "1").await;
    assert_eq!(
        (cancelled.task.state, cancelled.task.reason.as_deref()),
        (State::Cancelled, Some("the customer is gone"))
    );
    assert_eq!((cancelled.steps[1].state, cancelled.steps[1].attempts[0].state), (State::Cancelled, State::Cancelled));
    assert_eq!(seen.json("task.cancelled")["reason"], "the customer is gone");
    let roots = spans.named("tasker.task.execution");
    assert_eq!(roots.len(), 1, "who ends a task makes its root span");
    drop(running);
    let after = history(&telemetry, "1").await;
    assert_eq!((after.task.state, after.task.reason.as_deref()), (State::Cancelled, Some("the customer is gone")));
}

/// A telemetry whose process "dies": it is forgotten, and its lease runs out.
fn dying(database: &Database) -> Telemetry {
    database.builder_with(StoreOptions::new().lease(Duration::from_millis(1)).worker_id("dying")).build().unwrap()
}

#[tokio::test]
async fn a_task_that_a_dead_process_left_goes_on_elsewhere() {
    let database = database();
    let dead = dying(&database);
    let mut running = Box::pin(dead.scope(order_that_hangs(1)));
    assert!(futures::poll!(running.as_mut()).is_pending());
    dead.flush().await.unwrap();
    std::mem::forget(running);

    let (seen, spans) = (Seen::default(), InMemorySpans::default());
    let telemetry = database.builder().subscriber(seen.clone()).in_memory_spans(spans.clone()).build().unwrap();
    let store = store(&telemetry);
    // The lease of the first is over between two of its signs of life, which are rarer than a millisecond.
    let task = loop {
        match store.resume("1").await {
            Ok(task) => break task,
            Err(StoreError::Taken { worker_id, .. }) => assert_eq!(worker_id, "dying"),
            Err(error) => panic!("{error}"),
        }
    };
    let error = store.resume("1").await.unwrap_err();
    assert!(matches!(error, StoreError::Taken { worker_id, .. } if worker_id == store.worker_id()));
    assert_eq!(task.scope(order_process(1, false)).await, Ok(1));
    drop(task);
    let history = history(&telemetry, "1").await;
    assert_eq!((history.task.state, history.task.retries, history.task.run), (State::Complete, 1, 1));
    assert_eq!(history.task.worker_id.as_deref(), Some(store.worker_id()));
    let states: Vec<_> = history.steps.iter().map(|step| (step.step_name.as_str(), step.state)).collect();
    assert_eq!(
        states,
        [
            ("pack", State::Complete),
            ("stuck", State::Cancelled),
            ("pack", State::Complete),
            ("charge", State::Complete)
        ]
    );
    let names = seen.names();
    assert_eq!(names[..3], ["step.cancelled", "task.retry_requested", "task.start_requested"]);
    assert_eq!(names.iter().filter(|name| *name == "task.completed").count(), 1);
    let ids: Vec<_> = seen.0.lock().unwrap().iter().map(|(_, id, _)| id.clone()).collect();
    assert!(ids.iter().all(|id| history.transitions.iter().any(|row| row.event_id == *id)));
    let root = &spans.named("tasker.task.execution")[0];
    assert_eq!(root.start(), history.task.started_at.unwrap(), "the true start");
}

#[tokio::test]
async fn of_many_that_claim_a_task_one_gets_it() {
    let database = database();
    let telemetries: Vec<_> = (0..4).map(|_| database.telemetry()).collect();
    for order in 1..=5 {
        telemetries[0].scope(order_process(order, true)).await.unwrap_err();
    }
    telemetries[0].flush().await.unwrap();
    for order in 1..=5_u64 {
        let id = order.to_string();
        store(&telemetries[0]).retry_task(&id, "").await.unwrap();
        let claims = telemetries.iter().flat_map(|telemetry| [store(telemetry), store(telemetry)]);
        let claims = futures::future::join_all(claims.map(|store| {
            let id = id.clone();
            async move { store.resume(&id).await }
        }))
        .await;
        let mut won = 0;
        for claim in claims {
            match claim {
                Ok(task) => {
                    won += 1;
                    task.complete();
                }
                Err(StoreError::Taken { .. } | StoreError::Illegal(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won, 1, "order {order}");
    }
}

/// Whether the changes of state follow each other: each state was left as often as it was come to, but for the last.
fn follow_each_other<'a>(events: impl Iterator<Item = &'a StoredTransition>, last: State) -> bool {
    let mut left = std::collections::BTreeMap::<_, i32>::new();
    for (from, to) in events.filter_map(|event| event.to.map(|to| (event.from, to))) {
        *left.entry(to.as_str()).or_default() += 1;
        if let Some(from) = from {
            *left.entry(from.as_str()).or_default() -= 1;
        }
    }
    left.into_iter().all(|(state, times)| times == i32::from(state == last.as_str()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_changes_at_the_same_moment_each_begins_where_another_ended() {
    let database = database();
    let telemetries: Vec<_> = (0..4).map(|_| database.telemetry()).collect();
    for order in 1..=20 {
        telemetries[0].scope(order_process(order, true)).await.unwrap_err();
    }
    telemetries[0].flush().await.unwrap();
    for order in 1..=20_u64 {
        let id = order.to_string();
        let steps = store(&telemetries[0]).task_history(&id).await.unwrap().unwrap().steps;
        let step = steps.iter().find(|step| step.state == State::Error).unwrap().step_id.clone();
        let changes = telemetries.iter().map(|telemetry| {
            let (store, id, step) = (store(telemetry), id.clone(), step.clone());
            tokio::spawn(async move {
                let resumed = async { store.resume(&id).await.map(ResumedTask::hand_over).map(drop) };
                let (one, two, three, four, five, six) = futures::join!(
                    store.retry_task(&id, ""),
                    store.resolve_task_manually(&id, "ann", ""),
                    resumed,
                    store.retry_step(&step, ""),
                    store.resolve_step_manually(&step, "ann", ""),
                    store.cancel_task(&id, ""),
                );
                [one, two, three, four, five, six]
            })
        });
        let results: Vec<_> = futures::future::join_all(changes).await.into_iter().flat_map(Result::unwrap).collect();
        let succeeded = results.iter().filter(|result| result.is_ok()).count();
        let refused = |error: &StoreError| matches!(error, StoreError::Illegal(_) | StoreError::Taken { .. });
        assert!(results.iter().filter_map(|result| result.as_ref().err()).all(refused), "{results:?}");

        let history = history(&telemetries[0], &id).await;
        let of_task = || history.transitions.iter().filter(|event| event.step_id.is_none());
        assert!(follow_each_other(of_task(), history.task.state), "{:#?}", of_task().collect::<Vec<_>>());
        for step in &history.steps {
            let of_step = || history.transitions.iter().filter(|event| event.step_id.as_ref() == Some(&step.step_id));
            assert!(follow_each_other(of_step(), step.state), "{:#?}", of_step().collect::<Vec<_>>());
        }
        assert!(succeeded >= 2, "one of the task and one of the step at least");
    }
}
