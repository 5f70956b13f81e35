//! Graphs of all shapes on a real engine: what is told, in which order, and what is not.

#![allow(clippy::items_after_statements, reason = "a step that one test alone has stands in it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use apalis_core::backend::ext::BackendExt as _;
use apalis_core::backend::ext::poll_strategy::{IntervalStrategy, PollWith};
use apalis_core::error::{AbortError, BoxDynError};
use apalis_core::task::task_fn::task_fn;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_sqlite::{Config, SqlitePool, SqlitePoolOptions, SqliteStorage};
use apalis_workflow::GraphFlow;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Events, Recording, expect};
use tasker_telemetry::trace::InMemorySpans;
use tasker_telemetry::{Backoff, RetryAdvice, Retryable};
use tasker_telemetry_apalis::{
    NewTask, Orchestration, ShapeError, StartError, TracedBackend, WorkerBuilderExt as _, start_task, start_task_after,
};

type Queue = TracedBackend<PollWith<SqliteStorage<Vec<u8>>, IntervalStrategy>>;

/// An engine of its own, with a telemetry of its own.
struct Engine {
    pool: SqlitePool,
    /// The database is there as long as anybody is connected: a worker that is dropped in the middle of a query takes the pool's
    /// one connection along.
    _keeper: SqliteConnection,
    recording: Recording,
    spans: InMemorySpans,
    workers: AtomicU32,
}

impl Engine {
    async fn new() -> Self {
        let database: SqliteConnectOptions = "sqlite::memory:".parse().unwrap(); // one of its own
        let keeper = database.connect().await.unwrap();
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(database).await.unwrap();
        SqliteStorage::setup(&pool).await.unwrap();
        let spans = InMemorySpans::default();
        let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone());
        Self { pool, _keeper: keeper, recording: Recording::with(builder).unwrap(), spans, workers: AtomicU32::new(0) }
    }

    fn queue(&self, name: &str) -> Queue {
        let config = Config::default().queue(name).heartbeat_interval(Duration::from_secs(1));
        let storage = SqliteStorage::new(&self.pool).with_config(config);
        TracedBackend::new(storage.poll_with_interval(Duration::from_millis(5))).queue_name(name)
    }

    /// Works until nothing is left.
    async fn work(&self, name: &str, graph: GraphFlow<Queue>) {
        let orchestration = Orchestration::of(&graph).unwrap();
        // Each has a name of its own: one of the same name may still count as alive.
        let number = self.workers.fetch_add(1, Ordering::Relaxed);
        let context = WorkerContext::new(&format!("worker {number} of {name}"));
        let worker = WorkerBuilder::new(&context).backend(self.queue(name)).telemetry(&orchestration).build(graph);
        let idle = async {
            let open = "SELECT COUNT(*) FROM Jobs WHERE status IN ('Pending', 'Queued', 'Running') \
                        OR (status = 'Failed' AND attempts < max_attempts)";
            while sqlx::query_scalar::<_, i64>(open).fetch_one(&self.pool).await.unwrap() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            while context.stop().is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(async { worker.run().await.expect("the worker runs") }, idle);
    }

    /// Starts one task and works until it is done.
    async fn run(&self, name: &str, graph: GraphFlow<Queue>, args: u32) -> Events {
        let work = async {
            start_task(&mut self.queue(name), NewTask::new(name).id("T-1"), args).await.unwrap();
            self.work(name, graph).await;
        };
        self.recording.scope(work).await;
        self.recording.telemetry().flush().await.unwrap();
        self.recording.events()
    }

    async fn statuses(&self) -> Vec<String> {
        let mut statuses: Vec<String> =
            sqlx::query_scalar("SELECT status FROM Jobs").fetch_all(&self.pool).await.unwrap();
        statuses.sort_unstable();
        statuses
    }
}

#[derive(Debug)]
struct Busy;

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("busy")
    }
}

impl std::error::Error for Busy {}

#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl Retryable for Refused {
    fn retry_advice(&self) -> RetryAdvice {
        RetryAdvice::Permanent
    }
}

#[step]
async fn add_one(n: u32) -> u32 {
    n + 1
}

#[step]
async fn branch(n: u32) -> u32 {
    n * 10
}

#[step]
async fn join(all: Vec<u32>) -> u32 {
    all.iter().sum()
}

#[step(retry_limit = 3, backoff = Backoff::fixed().base(Duration::from_millis(30)))]
async fn flaky(ran: Arc<AtomicU32>, fails: u32) -> Result<u32, Busy> {
    let ran = ran.fetch_add(1, Ordering::Relaxed);
    if ran < fails { Err(Busy) } else { Ok(ran) }
}

#[step(retry_limit = 5)]
async fn refuse(ran: Arc<AtomicU32>) -> Result<u32, Refused> {
    ran.fetch_add(1, Ordering::Relaxed);
    Err(Refused)
}

#[step(retry_limit = 5)]
async fn give_up(ran: Arc<AtomicU32>) -> Result<u32, BoxDynError> {
    ran.fetch_add(1, Ordering::Relaxed);
    Err(AbortError::new(Busy).into())
}

fn chain() -> GraphFlow<Queue> {
    let graph = GraphFlow::new("chain");
    let first = graph.add_node("first", task_fn(add_one));
    let _second = graph.add_node("second", task_fn(add_one)).depends_on(&first);
    graph
}

#[tokio::test]
async fn a_chain_tells_this_sequence() {
    let engine = Engine::new().await;
    let events = engine.run("chain", chain(), 1_u32).await;
    events.assert_sequence([
        expect("task.initialize_requested").with("task_id", "T-1").with("task_name", "chain"),
        expect("observability.task.enqueue").with("queue_name", "chain"),
        expect("task.start_requested"),
        expect("observability.task.start").with("worker_id", "worker 0 of chain"),
        expect("workflow.task_started").with("total_steps", 2),
        expect("step.execution_requested").with("step_name", "add_one").with("attempt_number", 1),
        expect("step.started"),
        expect("step.completed"),
        expect("workflow.step_completed").with("remaining_steps", 1),
        expect("workflow.viable_steps_discovered").with("step_count", 1).with("processing_mode", "sequential"),
        expect("step.execution_requested"),
        expect("step.started"),
        expect("step.completed"),
        expect("workflow.step_completed").with("remaining_steps", 0),
        expect("workflow.task_completed").with("success_rate", 1.0),
        expect("task.completed").with("total_steps", 2).with("completed_steps", 2),
    ]);
    // The engine and the steps speak of the same steps.
    let field = |name: &str, field: &str| -> Vec<_> {
        events.named(name).iter().map(|event| event.payload()[field].clone()).collect()
    };
    assert_eq!(field("workflow.step_completed", "step_id"), field("step.completed", "step_id"));
    assert_eq!(field("workflow.viable_steps_discovered", "step_ids")[0][0], field("step.started", "step_id")[1]);
}

#[tokio::test]
async fn a_fan_of_eight_runs_each_branch_once_and_waits_without_a_step() {
    let engine = Engine::new().await;
    let graph = GraphFlow::new("fan");
    let source = graph.add_node("source", task_fn(add_one));
    let branches: Vec<_> =
        (0..8).map(|n| graph.add_node(&format!("branch {n}"), task_fn(branch)).depends_on(&source)).collect();
    let _end = graph.add_node("join", task_fn(join)).depends_on(branches.iter().collect::<Vec<_>>());
    let events = engine.run("fan", graph, 1_u32).await;

    let steps =
        |name: &str| events.named(name).iter().map(|event| event.payload()["step_name"].clone()).collect::<Vec<_>>();
    let completed = steps("step.completed");
    assert_eq!((completed[0].clone(), completed[9].clone(), completed.len()), ("add_one".into(), "join".into(), 10));
    assert_eq!(steps("step.started").len(), 10, "a node that waits is no step");
    // Eight calls of the node that joins: seven only answer that they wait.
    assert_eq!(events.count("workflow.no_viable_steps"), 7);
    events.select("workflow.viable_steps_discovered").assert_contains([expect("workflow.viable_steps_discovered")
        .with("step_count", 8)
        .with("processing_mode", "concurrent")]);
    assert_eq!((events.count("task.start_requested"), events.count("task.completed")), (1, 1));
    // The wait for the others is time in the queue, not the step's.
    let join = events.named("step.completed")[9].payload()["execution_duration"].as_f64().unwrap();
    assert!(join < 0.4, "{join} s: the engine looks every 500 ms whether the others are done");

    let root = &engine.spans.named("tasker.task.execution")[0];
    let spans = engine.spans.named("tasker.step.execution");
    assert_eq!(spans.len(), 10);
    assert!(
        spans.iter().all(|span| span.trace_id() == root.trace_id() && span.parent_span_id() == Some(root.span_id()))
    );
    let mut ids: Vec<_> = spans.iter().map(tasker_telemetry::trace::Span::span_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 10);
}

#[tokio::test]
async fn a_failed_step_is_tried_again_by_the_engine_as_it_says_itself() {
    let engine = Engine::new().await;
    let ran = Arc::new(AtomicU32::new(0));
    let graph = GraphFlow::new("retry");
    let count = Arc::clone(&ran);
    let _node = graph.add_node("flaky", task_fn(move |_: u32| flaky(Arc::clone(&count), 2)));
    let events = engine.run("retry", graph, 1_u32).await;
    assert_eq!(ran.load(Ordering::Relaxed), 3, "nobody tried twice");
    let wait = || expect("observability.step.backoff").with("backoff_seconds", 0.03).with("backoff_type", "fixed");
    events.select("*").of_task("T-1").assert_contains([
        expect("step.started").with("attempt_number", 1).with("retry_limit", 3),
        expect("step.failed").with("retryable", true),
        expect("step.retry_requested"),
        wait(),
        expect("step.started").with("attempt_number", 2),
        expect("step.failed"),
        expect("step.retry_requested"),
        wait(),
        expect("step.started").with("attempt_number", 3),
        expect("step.completed"),
        expect("task.completed").with("total_steps", 1),
    ]);
    assert_eq!(engine.statuses().await, ["Done"]);
    // Time in the queue is the first attempt's; the waits between attempts are nobody's.
    let started = events.named("step.started");
    let queued = started[2].payload()["queue_time"].as_f64().unwrap_or_default();
    let since_first = started[2].timestamp().saturating_duration_since(started[0].timestamp());
    assert!(queued < since_first.as_secs_f64(), "queued {queued} s, {since_first:?} after the first");
    let attempts = engine.spans.named("tasker.step.execution");
    assert_eq!(attempts.iter().map(|span| span.links().len()).collect::<Vec<_>>(), [0, 1, 1]);
    // The engine really waited: an attempt begins no sooner than the one before said.
    for pair in attempts.windows(2) {
        assert!(pair[1].start().saturating_duration_since(pair[0].end()) >= Duration::from_millis(30));
    }
}

#[tokio::test]
async fn when_the_attempts_are_used_up_the_task_fails_once_and_nothing_follows() {
    let engine = Engine::new().await;
    let ran = Arc::new(AtomicU32::new(0));
    let graph = GraphFlow::new("exhausted");
    let count = Arc::clone(&ran);
    let first = graph.add_node("flaky", task_fn(move |_: u32| flaky(Arc::clone(&count), 9)));
    let _never = graph.add_node("never", task_fn(add_one)).depends_on(&first);
    let events = engine.run("exhausted", graph, 1_u32).await;
    assert_eq!(ran.load(Ordering::Relaxed), 3);
    assert_eq!((events.count("step.failed"), events.count("step.max_retries_reached")), (3, 1));
    events.select("task.*").assert_sequence([
        expect("task.initialize_requested"),
        expect("task.start_requested"),
        expect("task.failed").with("error_message", "busy").with("error_class", "graphs::Busy").with("failed_steps", 1),
    ]);
    assert_eq!(engine.statuses().await, ["Killed"], "the engine would try a failed job 25 times");
    assert_eq!(events.count("workflow.viable_steps_discovered"), 0);
}

#[tokio::test]
async fn a_permanent_error_and_an_abort_end_it_at_the_first_attempt() {
    for which in ["refuse", "give_up"] {
        let engine = Engine::new().await;
        let ran = Arc::new(AtomicU32::new(0));
        let graph = GraphFlow::new(which);
        let count = Arc::clone(&ran);
        if which == "refuse" {
            let _node = graph.add_node(which, task_fn(move |_: u32| refuse(Arc::clone(&count))));
        } else {
            let _node = graph.add_node(which, task_fn(move |_: u32| give_up(Arc::clone(&count))));
        }
        let events = engine.run(which, graph, 1_u32).await;
        assert_eq!((ran.load(Ordering::Relaxed), events.count("step.failed")), (1, 1), "{which}");
        assert_eq!((events.count("task.failed"), events.count("task.completed")), (1, 0), "{which}");
        assert_eq!(engine.statuses().await, ["Killed"], "{which}");
    }
}

#[tokio::test]
async fn a_graph_started_inside_a_step_is_a_task_of_its_own_and_linked() {
    let engine = Arc::new(Engine::new().await);
    #[step]
    async fn order_parts(engine: Arc<Engine>, parts: u32) -> Result<u32, BoxDynError> {
        start_task(&mut engine.queue("inner"), NewTask::new("inner").id("inner"), parts).await?;
        Ok(parts)
    }
    let outer = GraphFlow::new("outer");
    let starter = Arc::clone(&engine);
    let _node = outer.add_node("order_parts", task_fn(move |parts: u32| order_parts(Arc::clone(&starter), parts)));
    let inner = GraphFlow::new("inner");
    let _node = inner.add_node("part", task_fn(add_one));
    let work = async {
        start_task(&mut engine.queue("outer"), NewTask::new("outer").id("outer"), 3_u32).await.unwrap();
        tokio::join!(engine.work("outer", outer), engine.work("inner", inner));
    };
    engine.recording.scope(work).await;
    engine.recording.telemetry().flush().await.unwrap();
    let expected = [
        "task.initialize_requested",
        "observability.task.enqueue",
        "task.start_requested",
        "observability.task.start",
        "workflow.task_started",
        "step.execution_requested",
        "step.started",
        "step.completed",
        "workflow.step_completed",
        "workflow.task_completed",
        "task.completed",
    ];
    let events = engine.recording.events();
    for task in ["outer", "inner"] {
        assert_eq!(events.select("*").of_task(task).names(), expected, "{task}");
    }
    let roots = engine.spans.named("tasker.task.execution");
    let named = |name: &str| {
        let has = |span: &&tasker_telemetry::trace::Span| {
            span.attribute("tasker.task_name")
                .is_some_and(|value| value == tasker_telemetry::Value::from(name.to_owned()))
        };
        roots.iter().find(has).unwrap()
    };
    let (outer, inner) = (named("outer"), named("inner"));
    assert_ne!(outer.trace_id(), inner.trace_id());
    let steps = engine.spans.named("tasker.step.execution");
    let starter = steps.iter().find(|step| step.trace_id() == outer.trace_id()).unwrap();
    let link = &inner.links()[0];
    assert_eq!((link.trace_id(), link.span_id()), (outer.trace_id(), starter.span_id()));
}

#[tokio::test]
async fn a_delayed_task_waits_and_the_wait_is_nobodys_time() {
    let engine = Engine::new().await;
    let work = async {
        let task = NewTask::new("chain").id("T-1");
        start_task_after(&mut engine.queue("chain"), task, 1_u32, Duration::from_secs(1)).await.unwrap();
        engine.work("chain", chain()).await;
    };
    engine.recording.scope(work).await;
    let events = engine.recording.events();
    let at = |name: &str| events.named(name)[0].timestamp();
    let waited = at("task.start_requested").saturating_duration_since(at("observability.task.enqueue"));
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    let queued = events.named("step.started")[0].payload()["queue_time"].as_f64().unwrap();
    assert!(queued < waited.as_secs_f64() / 2.0, "queued {queued} s of {waited:?}");
    let took = events.named("task.completed")[0].payload()["execution_duration"].as_f64().unwrap();
    assert!(took < waited.as_secs_f64(), "{took}");
}

#[tokio::test]
async fn a_worker_that_stops_in_the_middle_cancels_the_attempt_and_another_goes_on() {
    #[step]
    async fn hang(ran: Arc<AtomicU32>) -> u32 {
        let ran = ran.fetch_add(1, Ordering::Relaxed);
        if ran == 0 {
            std::future::pending::<()>().await;
        }
        ran
    }
    let engine = Engine::new().await;
    let ran = Arc::new(AtomicU32::new(0));
    let graph = || {
        let graph = GraphFlow::new("hang");
        let count = Arc::clone(&ran);
        let _node = graph.add_node("hang", task_fn(move |_: u32| hang(Arc::clone(&count))));
        graph
    };
    let work = async {
        start_task(&mut engine.queue("hang"), NewTask::new("hang").id("T-1"), 1_u32).await.unwrap();
        let first = engine.work("hang", graph());
        let stuck = async {
            while ran.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! { () = first => unreachable!("it hangs"), () = stuck => {} } // the worker is dropped here
        // What the engine does when it has missed the worker's heartbeats for long enough.
        let lost = "UPDATE Jobs SET status = 'Pending', lock_by = NULL, attempts = attempts + 1";
        sqlx::query(lost).execute(&engine.pool).await.unwrap();
        let orchestration = Orchestration::of(&graph()).unwrap();
        assert_eq!(orchestration.node_count(), 1);
        let context = WorkerContext::new("another worker");
        let worker =
            WorkerBuilder::new(&context).backend(engine.queue("hang")).telemetry(&orchestration).build(graph());
        let done = async {
            while engine.statuses().await != ["Done"] {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            context.stop().unwrap();
        };
        tokio::join!(async { worker.run().await.unwrap() }, done);
    };
    engine.recording.scope(work).await;
    let events = engine.recording.events();
    events.select("step.*").assert_sequence([
        expect("step.execution_requested").with("attempt_number", 1),
        expect("step.started"),
        expect("step.cancelled"),
        expect("step.execution_requested").with("attempt_number", 2),
        expect("step.started"),
        expect("step.completed"),
    ]);
    events.select("task.*").assert_sequence([
        expect("task.initialize_requested"),
        expect("task.start_requested"),
        expect("task.completed"),
    ]);
}

#[tokio::test]
async fn a_node_that_ran_twice_enqueues_what_follows_once() {
    let engine = Engine::new().await;
    let work = async {
        start_task(&mut engine.queue("chain"), NewTask::new("chain").id("T-1"), 1_u32).await.unwrap();
        engine.work("chain", chain()).await;
        // As if the first worker had died between enqueuing the second node and acknowledging the first one.
        let again = "UPDATE Jobs SET status = 'Pending', lock_by = NULL WHERE json_extract(metadata, '$.\"apalis_workflow.graph.current_node\"') IS NULL";
        sqlx::query(again).execute(&engine.pool).await.unwrap();
        engine.work("chain", chain()).await;
    };
    engine.recording.scope(work).await;
    let events = engine.recording.events();
    let keys = |name: &str| {
        let key = |event: &&EventRecord| {
            let payload = event.payload();
            format!("{} {}", payload["step_id"], payload["attempt_number"])
        };
        events.named(name).iter().map(key).collect::<Vec<_>>()
    };
    let completed = keys("step.completed");
    assert_eq!(completed.len(), 3, "the first node ran twice, the second once");
    assert_eq!(completed[0].split(' ').next(), completed[2].split(' ').next(), "and is the same step both times");
    assert_eq!(events.count("task.completed"), 1);
}

#[tokio::test]
async fn a_task_that_the_backend_does_not_take_is_cancelled() {
    let mut engine = Engine::new().await;
    engine.pool = SqlitePoolOptions::new().max_connections(1).connect(":memory:").await.unwrap(); // without tables
    let mut queue = engine.queue("chain");
    let start = start_task(&mut queue, NewTask::new("chain").id("T-1"), 1_u32);
    let error = engine.recording.scope(start).await.unwrap_err();
    assert!(matches!(error, StartError::Backend(_)), "{error}");
    assert_eq!(engine.recording.events().names(), ["task.initialize_requested", "task.cancelled"]);
}

#[tokio::test]
async fn jobs_that_others_pushed_are_tasks_too() {
    use apalis_workflow::WorkflowSink as _;
    let engine = Engine::new().await;
    let work = async {
        engine.queue("chain").push_start(1_u32).await.unwrap();
        engine.work("chain", chain()).await;
    };
    engine.recording.scope(work).await;
    let events = engine.recording.events();
    assert_eq!((events.count("task.initialize_requested"), events.count("task.completed")), (1, 1));
    assert_eq!(events.count("step.completed"), 2);
    assert!(events.iter().all(|event| event.payload()["task_name"] == "chain"));
}

#[test]
fn a_graph_with_two_ends_is_refused_in_words() {
    let graph: GraphFlow<Queue> = GraphFlow::new("two ends");
    let first = graph.add_node("first", task_fn(add_one));
    let _one = graph.add_node("one", task_fn(add_one)).depends_on(&first);
    let _other = graph.add_node("other", task_fn(add_one)).depends_on(&first);
    let error = Orchestration::of(&graph).unwrap_err();
    assert_eq!(error, ShapeError::SeveralEnds { graph: "two ends".into(), ends: vec!["one".into(), "other".into()] });
}
