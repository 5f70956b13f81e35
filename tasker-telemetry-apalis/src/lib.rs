//! `tasker-telemetry` for workflows that [apalis](https://docs.rs/apalis-core) runs: your `#[step]` functions become the nodes of a
//! `GraphFlow`, any number of processes work on it, and every task still is one trace, one set of events, one set of metrics.
//!
//! - [`TracedBackend`] around the backend: what must travel with a task travels from node to node, and no node is enqueued twice.
//! - [`start_task`] begins a task and enqueues its first node.
//! - [`WorkerBuilderExt::telemetry`] on the worker: each node runs in its task's scope, a failed step is tried again as it says
//!   itself, the task ends once.
//!
//! ```
//! use std::time::Duration;
//!
//! use apalis_core::backend::ext::BackendExt as _;
//! use apalis_core::task::task_fn::task_fn;
//! use apalis_core::worker::{builder::WorkerBuilder, context::WorkerContext};
//! use apalis_sqlite::{Config, SqlitePool, SqliteStorage};
//! use apalis_workflow::GraphFlow;
//! use tasker_telemetry::prelude::*;
//! use tasker_telemetry_apalis::{NewTask, Orchestration, TracedBackend, WorkerBuilderExt as _, start_task};
//!
//! #[step(retry_limit = 3)]
//! async fn fetch_cart(cart: u32) -> Result<u32, std::io::Error> { Ok(cart * 100) }
//!
//! #[step]
//! async fn charge(amount: u32) -> u32 { amount }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let telemetry = Telemetry::builder().service_name("shop").install()?;
//! let pool = SqlitePool::connect(":memory:").await?;
//! SqliteStorage::setup(&pool).await?;
//! let storage = SqliteStorage::new(&pool).with_config(Config::default().queue("orders"));
//! let mut backend = TracedBackend::new(storage.poll_with_interval(Duration::from_millis(50)));
//!
//! // Anywhere: begin a task.
//! start_task(&mut backend, NewTask::new("order_process").id("ORD-7"), 7_u32).await?;
//!
//! // In as many processes as you like: work.
//! let graph = GraphFlow::new("order_process");
//! let cart = graph.add_node("fetch_cart", task_fn(fetch_cart));
//! let _charged = graph.add_node("charge", task_fn(async |amount: u32, worker: WorkerContext| {
//!     worker.stop().expect("the worker runs"); // the example's end
//!     charge(amount).await
//! })).depends_on(&cart);
//! let orchestration = Orchestration::of(&graph)?;
//! WorkerBuilder::new("worker-1").backend(backend).telemetry(&orchestration).build(graph).run().await?;
//! telemetry.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it relies on
//! Tried on apalis 1.0: a layer below the retries sees each attempt, numbered from 0; nothing but the graph's own metadata goes
//! from node to node; a node that waits for others is called once for each of them and mostly answers
//! `WaitingForDependencies`; an error in a node reaches the engine wrapped, so that its own `AbortError` is not found there; the
//! next node is enqueued before the one before is acknowledged, so a process that dies in between makes a node run twice.
//!
//! # Ending once
//! A process may die after it told a task's end and before the engine knew, and two branches of a graph may both fail. With a
//! store ([`Orchestration::store`], features `sqlite` and `postgres`) the processes agree there: one tells the end, and of a task that
//! an operator cancelled no further node is run. Without one an end may be told twice, under the same task and root span.
//!
//! # What it does not do
//! It is no engine: apalis fetches, waits, acknowledges and re-enqueues. A graph has one node at its end ([`Orchestration::of`]
//! says so if not), for a task ends once.

#![forbid(unsafe_code)]

mod backend;
mod ends;
mod error;
mod graph;
mod layer;
mod metadata;
mod retry;
mod start;
mod told;
mod worker;

pub use tasker_telemetry::driver::NewTask;

pub use self::backend::TracedBackend;
pub use self::error::{AttemptError, StartError};
pub use self::graph::{Orchestration, ShapeError};
pub use self::layer::{AttemptLayer, AttemptService};
pub use self::retry::RetryByVerdict;
pub use self::start::{Started, start_task, start_task_after};
pub use self::worker::{Instrumented, WorkerBuilderExt};
