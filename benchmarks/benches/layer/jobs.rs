//! The jobs: as a real worker saw them, one task after another.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apalis_core::backend::ext::BackendExt as _;
use apalis_core::backend::ext::poll_strategy::{IntervalStrategy, PollWith};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::metadata::{MetadataStore, TracingContext};
use apalis_core::task::task_fn::task_fn;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_sqlite::{Config, SqlitePoolOptions, SqliteStorage};
use apalis_workflow::GraphFlow;
use tasker_telemetry::driver;
use tasker_telemetry_apalis::{NewTask, Orchestration, TracedBackend, WorkerBuilderExt as _, start_task};
use tower::util::MapRequestLayer;

type Queue = TracedBackend<PollWith<SqliteStorage<Vec<u8>>, IntervalStrategy>>;

const GRAPH: &str = "order_process";
/// Where the library's carrier stands. [`Jobs::seen`] says so if it does not.
const CARRIER: &str = "tasker_telemetry.carrier";

/// What the jobs are made of.
pub(crate) struct Jobs {
    metadata: MetadataStore,
    /// The graph that they belong to.
    pub(crate) orchestration: Orchestration,
}

impl Jobs {
    /// Lets a real worker run a graph of three nodes once, and keeps what the job of the second brought along.
    pub(crate) fn seen() -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        runtime.block_on(Self::see()).map_err(|error| error.to_string())
    }

    async fn see() -> Result<Self, Box<dyn std::error::Error>> {
        // One connection: another one to `:memory:` would be another database.
        let pool = SqlitePoolOptions::new().max_connections(1).connect(":memory:").await?;
        SqliteStorage::setup(&pool).await?;
        let storage = SqliteStorage::new(&pool).with_config(Config::default().queue(GRAPH));
        let mut queue: Queue = TracedBackend::new(storage.poll_with_interval(Duration::from_millis(5)));
        start_task(&mut queue, NewTask::new(GRAPH), 7_u32).await?;

        let graph = GraphFlow::new(GRAPH);
        let fetched = graph.add_node("fetch", task_fn(async |amount: u32| amount));
        let charged = graph.add_node("charge", task_fn(async |amount: u32| amount)).depends_on(&fetched);
        let end = async |amount: u32, worker: WorkerContext| {
            worker.stop().expect("it runs");
            amount
        };
        let _sent = graph.add_node("send", task_fn(end)).depends_on(&charged);
        let orchestration = Orchestration::of(&graph)?;

        let seen = Arc::new(Mutex::new(Vec::new()));
        let watch = {
            let seen = Arc::clone(&seen);
            MapRequestLayer::new(move |job: Task<Vec<u8>>| {
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(job.metadata().clone());
                job
            })
        };
        WorkerBuilder::new("worker").backend(queue).telemetry(&orchestration).layer(watch).build(graph).run().await?;
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        let metadata = seen.into_iter().nth(1).ok_or("the worker ran one node only")?;
        if !metadata.contains_key(CARRIER) {
            return Err(format!("no `{CARRIER}` among the metadata of a job").into());
        }
        Ok(Self { metadata, orchestration })
    }

    /// So many jobs, each of a task of its own, with a context for apalis's own span, too.
    pub(crate) fn make(&self, count: u32) -> Result<Vec<Task<u64>>, String> {
        let worker = WorkerContext::new("worker");
        let job = |number: u64| -> Result<Task<u64>, String> {
            let carrier = driver::begin(NewTask::new(GRAPH).id(format!("ORD-{number}"))).hand_over();
            let mut metadata = self.metadata.clone();
            metadata.replace(CARRIER, serde_json::to_string(&carrier).map_err(|error| error.to_string())?);
            let context = TracingContext::new()
                .with_trace_id(format!("{:032x}", number + 1))
                .with_span_id(format!("{:016x}", number + 1))
                .with_trace_flags(1);
            let id = TaskId::from_string(format!("01KB0000000000000000{number:06}"));
            let job = TaskBuilder::new(number).with_metadata(metadata).metadata(&context).task_id(id);
            Ok(job.data(worker.clone()).build())
        };
        (0..u64::from(count)).map(job).collect()
    }
}
