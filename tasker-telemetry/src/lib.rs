//! Instrumentation for work that comes in tasks and steps.
//!
//! Put [`#[step]`](macro@step) on a unit of work and [`#[task]`](macro@task) on the workflow around it. Each run then emits typed
//! events: which step ran, how often it was tried, how long it waited and took, why it failed. Subscribers receive them; the same
//! facts become one OpenTelemetry [trace] a task and [metrics]; a [`Catalog`] lists every event the program can emit; and
//! your functions stay what they were: same signature, same value, same panics, with telemetry on or off.
//!
//! ```
//! use tasker_telemetry::prelude::*;
//!
//! #[step(retry_limit = 3)]
//! async fn fetch_cart(cart_id: u64) -> Result<u64, String> {
//!     Ok(cart_id * 100)                                   // business logic only
//! }
//!
//! #[task(id = order)]
//! async fn order_process(order: u64) -> Result<u64, String> {
//!     fetch_cart(order).await
//! }
//!
//! #[derive(Default, Subscriber)]                          // registers itself
//! #[subscribe("task.failed", "step.completed")]
//! struct OnCall;
//! impl OnCall {
//!     fn handle_task_failed(&self, event: &event::task::Failed) {
//!         eprintln!("{} {}: {}", event.task_name, event.task_id, event.error_message);
//!     }
//!     async fn handle_step_completed(&self, event: &event::step::Completed) -> Result<(), std::fmt::Error> {
//!         println!("{} took {:.3} s", event.step_name, event.execution_duration);
//!         Ok(())
//!     }
//! }
//!
//! # tasker_telemetry::testing::block_on(async {
//! let telemetry = Telemetry::builder().service_name("shop").install()?;
//! order_process(7).await?;
//! telemetry.shutdown().await?;                            // flushes; dropping it does, too, with a time limit
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # Words
//! | word | meaning |
//! | --- | --- |
//! | task | one run of a workflow |
//! | step | one unit of work in a task; may be tried several times |
//! | attempt | one try of a step, from 1 |
//! | event | a named, typed fact: `task.failed`; *system* events are the library's, *custom* events yours |
//! | payload | the fields of an event |
//! | subscriber | code of yours that receives events |
//! | catalog | every event, step, task and subscriber linked into a binary |
//! | scope | the task and step that code finds itself in: [`TaskScope`], [`StepScope`] |
//!
//! # What a step may be
//! `async fn` and `fn`, methods with any receiver, trait methods, `#[async_trait]`, generics, borrowed arguments, `impl Trait` in
//! both positions, any return type. What counts as failure is decided by the type in the signature: a `Result` under any alias
//! that is an `Err`, or a panic. A step outside any task runs as a task of its own. A dropped future is a cancelled step;
//! one that is never polled is nothing.
//!
//! # Testing
//! [`testing::record`] runs code with a telemetry of its own and gives you the events: no globals, so tests run side by side.
//!
//! # Features
//! | feature | default | what it does |
//! | --- | --- | --- |
//! | `api` | no | steps that call an HTTP service: [`api::ApiStepHandler`], over reqwest |
//! | `json-lines`, `pagerduty`, `slack`, `sentry` | no | subscribers that stand ready: `subscribers` |
//! | `secrecy` | no | `SecretString` and `SecretBox` of the `secrecy` crate are masked without being asked: fields of events and `fields(..)` |
//! | `config` | yes | settings from `tasker.toml`: [`Telemetry::from_file`], [`settings`] |
//! | `console` | yes | waterfalls of tasks in the terminal: [`Builder::console`], [`trace::Waterfall`] |
//! | `otel` | yes | a step's span is the current context of the `opentelemetry` crate (0.33) while its body is polled |
//! | `otlp` | yes | spans, logs and metrics over OTLP with HTTP and protobuf: [`Builder::otlp`] |
//! | `tokio` | yes | waits between attempts use tokio's timer under a tokio runtime (and so its paused clock); async handlers run inside the runtime in which the telemetry was built |
//! | `grpc` | no | spans and logs over gRPC: [`trace::Otlp::grpc`], `OTEL_EXPORTER_OTLP_PROTOCOL` |
//! | `logs` | no | lines of logs, as JSON or text, that say of which task and step they are: [`logs`] |
//! | `metrics-bridge` | no | to and from the facade `metrics` |
//! | `otel-sdk` | no | exporters and processors of spans for the `opentelemetry_sdk` crate: [`Builder::span_exporter`] |
//! | `serve` | no | `/metrics` and `/health` over HTTP: [`metrics::serve`] |
//! | `sqlite`, `postgres` | no | tasks, steps, attempts and errors in a database: [`store`] |
//! | `statsd` | no | metrics to `StatsD` and `DogStatsD` |
//! | `tls` | no | OTLP over https, `PostgreSQL` over TLS |
//!
//! No runtime is assumed: without the feature, and outside tokio, everything works on plain threads and any executor.
//!
//! # What it costs
//! With telemetry off a step costs a load and a branch; with telemetry on and nobody listening, some tens of nanoseconds; neither
//! allocates. Figures beside the peers, and the command that reproduces them: `docs/benchmarks.md` in the repository.
//!
//! # What it does not do
//! It is no engine: it does not schedule, queue or distribute work. It keeps nothing: an event that nobody subscribes to is not
//! even built. A crate that is linked but never named contributes nothing to the catalog: see [`link!`].

// Macros find the library by this name, in its own tests, too.
#[cfg(all(test, feature = "console"))]
extern crate self as tasker_telemetry;

#[cfg(feature = "api")]
pub mod api;
mod capture;
mod catalog;
mod classify;
mod correlation;
mod credentials;
mod drive;
pub mod driver;
pub mod event;
mod failure;
mod filter;
pub mod handler;
mod id;
mod lifecycle;
mod log_span;
pub mod logs;
mod mask;
pub mod metrics;
pub mod observe;
mod otel;
#[cfg(feature = "otlp")]
mod otlp;
pub mod prelude;
mod publish;
mod publisher;
#[cfg_attr(not(any(feature = "otlp", feature = "otel-sdk")), allow(dead_code, reason = "only exporters read it"))]
mod resource;
mod retry;
mod retry_arg;
mod scope;
pub mod settings;
pub mod state;
#[cfg(feature = "_store")]
pub mod store;
mod subscriber;
#[cfg(any(feature = "json-lines", feature = "_post", feature = "sentry", feature = "statsd"))]
pub mod subscribers;
mod table;
mod telemetry;
pub mod testing;
mod time;
#[cfg_attr(
    not(all(feature = "otlp", feature = "otel-sdk")),
    allow(dead_code, unused_imports, unused_variables, reason = "what only exporters that are off would use")
)]
pub mod trace;
mod value;
mod variables;

#[doc(hidden)]
pub mod __private;

pub use self::catalog::{
    Catalog, CatalogEvent, CatalogField, CatalogProblem, EventSpec, FieldSpec, FiredBy, Source, StepSpec,
    SubscriberSpec, TaskSpec,
};
pub use self::classify::{ErrorKind, RetryAdvice, Retryable};
pub use self::correlation::{CorrelationId, InCorrelation, InvalidCorrelationId};
pub use self::event::{Category, Event, EventExt, EventKind, EventRecord, error_type, metric_name};
pub use self::filter::{DEFAULT_FILTER_MASK, DEFAULT_FILTER_PARAMETERS, FilterRule};
#[doc(inline)]
pub use self::handler::StepHandler;
pub use self::lifecycle::ResumedTask;
pub use self::metrics::MetricsBackend;
pub use self::publish::{PublishError, publish, publish_event, publish_with};
pub use self::publisher::{Health, QueueHealth, SubscriberHealth};
pub use self::retry::Backoff;
pub use self::scope::{InCurrentScope, InScope, StepScope, TaskScope, with_current_scope};
pub use self::subscriber::Subscriber;
pub use self::telemetry::{BuildError, Builder, FlushError, Telemetry};
pub use self::time::Timestamp;
pub use self::value::Value;
pub use self::variables::InvalidVariable;

/// A regular expression, for [`FilterRule`]s and [`Builder::filter_values`].
pub use regex::Regex;
pub use tasker_telemetry_macros::{Event, Subscriber, step, task};
