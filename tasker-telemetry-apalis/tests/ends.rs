//! With a store, the processes of a task agree on its end.

use std::sync::Arc;
use std::time::Duration;

use apalis_core::backend::ext::BackendExt as _;
use apalis_core::backend::ext::poll_strategy::{IntervalStrategy, PollWith};
use apalis_core::error::BoxDynError;
use apalis_core::task::task_fn::task_fn;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_sqlite::{Config, SqlitePool, SqlitePoolOptions, SqliteStorage};
use apalis_workflow::GraphFlow;
use tasker_telemetry::driver::{self, EngineAttempt};
use tasker_telemetry::prelude::*;
use tasker_telemetry::state::State;
use tasker_telemetry::testing::Recording;
use tasker_telemetry_apalis::{NewTask, Orchestration, TracedBackend, WorkerBuilderExt as _, start_task};

fn recording(name: &str) -> (Recording, std::path::PathBuf) {
    let folder = std::env::temp_dir().join(format!("tasker-apalis-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite://{}", folder.join("store.db").display());
    let builder = Telemetry::builder().auto_subscribers(false).store(url);
    (Recording::with(builder).unwrap(), folder)
}

#[tokio::test]
async fn of_all_that_want_to_tell_an_end_one_does() {
    let (recording, folder) = recording("claim");
    let telemetry = recording.telemetry();
    let store = telemetry.store().unwrap();
    let carrier = recording.in_scope(|| driver::begin(NewTask::new("order_process").id("7")).hand_over());
    assert!(!store.has_ended(&carrier).await.unwrap(), "whether its row is written yet or not");
    recording.in_scope(|| driver::resume(carrier.clone(), EngineAttempt::new("a", 1)).start());
    telemetry.flush().await.unwrap();
    let claims = [State::Complete, State::Error, State::Complete].map(|state| store.claim_end(&carrier, state));
    let [first, second, third] = claims;
    let claimed = [first.await.unwrap(), second.await.unwrap(), third.await.unwrap()];
    assert_eq!(claimed, [true, false, false]);
    assert!(store.has_ended(&carrier).await.unwrap());
    // The same id may run again: that is another end.
    let again = recording.in_scope(|| driver::begin(NewTask::new("order_process").id("7")).hand_over());
    telemetry.flush().await.unwrap();
    assert!(store.claim_end(&again, State::Complete).await.unwrap());
    telemetry.shutdown().await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

#[step]
async fn cancel_me(telemetry: Arc<Recording>, n: u32) -> Result<u32, BoxDynError> {
    let telemetry = telemetry.telemetry();
    telemetry.flush().await?;
    telemetry.store().ok_or("no store")?.cancel_task("T-1", "the customer called").await?;
    Ok(n)
}

#[step]
async fn never(n: u32) -> u32 {
    n
}

#[step]
async fn end_elsewhere(telemetry: Arc<Recording>, n: u32) -> Result<u32, BoxDynError> {
    let telemetry = telemetry.telemetry();
    telemetry.flush().await?;
    let carrier = TaskScope::current().ok_or("no task")?.carrier();
    assert!(
        telemetry.store().ok_or("no store")?.claim_end(&carrier, State::Complete).await?,
        "as another process would"
    );
    Ok(n)
}

/// Starts one task of that graph and works until so many of its jobs are over.
async fn run(recording: &Recording, graph: GraphFlow<Queue>, pool: &SqlitePool, jobs: i64) {
    let orchestration = Orchestration::of(&graph).unwrap().store(&recording.telemetry().store().unwrap());
    let context = WorkerContext::new("worker");
    let work = async {
        start_task(&mut queue(pool), NewTask::new("order_process").id("T-1"), 1_u32).await.unwrap();
        let worker = WorkerBuilder::new(&context).backend(queue(pool)).telemetry(&orchestration).build(graph);
        let idle = async {
            let ended = "SELECT COUNT(*) FROM Jobs WHERE status IN ('Done', 'Killed')";
            while sqlx::query_scalar::<_, i64>(ended).fetch_one(pool).await.unwrap() < jobs {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            context.stop().unwrap();
        };
        tokio::join!(async { worker.run().await.expect("the worker runs") }, idle);
    };
    recording.scope(work).await;
    recording.telemetry().flush().await.unwrap();
}

type Queue = TracedBackend<PollWith<SqliteStorage<Vec<u8>>, IntervalStrategy>>;

fn queue(pool: &SqlitePool) -> Queue {
    let storage = SqliteStorage::new(pool).with_config(Config::default().queue("orders"));
    TracedBackend::new(storage.poll_with_interval(Duration::from_millis(5)))
}

async fn engine() -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(1).connect(":memory:").await.unwrap();
    SqliteStorage::setup(&pool).await.unwrap();
    pool
}

#[tokio::test]
async fn an_end_that_another_process_told_is_not_told_again() {
    let (recording, folder) = recording("elsewhere");
    let recording = Arc::new(recording);
    let pool = engine().await;
    let graph = GraphFlow::new("order_process");
    let of_step = Arc::clone(&recording);
    let _only = graph.add_node("only", task_fn(move |n: u32| end_elsewhere(Arc::clone(&of_step), n)));
    run(&recording, graph, &pool, 1).await;
    let events = recording.events();
    assert_eq!(events.count("step.completed"), 1);
    assert_eq!((events.count("task.completed"), events.count("workflow.task_completed")), (0, 0));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn of_a_cancelled_task_no_further_node_is_run() {
    let (recording, folder) = recording("cancel");
    let recording = Arc::new(recording);
    let pool = engine().await;
    let graph = GraphFlow::new("order_process");
    let of_step = Arc::clone(&recording);
    let first = graph.add_node("first", task_fn(move |n: u32| cancel_me(Arc::clone(&of_step), n)));
    let _second = graph.add_node("second", task_fn(never)).depends_on(&first);
    run(&recording, graph, &pool, 2).await;
    let events = recording.events();
    assert_eq!(
        (events.count("task.cancelled"), events.count("task.completed"), events.count("task.failed")),
        (1, 0, 0)
    );
    assert_eq!(events.count("step.started"), 1, "the second node was not run");
    let killed = "SELECT COUNT(*) FROM Jobs WHERE status = 'Killed'";
    assert_eq!(sqlx::query_scalar::<_, i64>(killed).fetch_one(&pool).await.unwrap(), 1);
    std::fs::remove_dir_all(folder).unwrap();
}
