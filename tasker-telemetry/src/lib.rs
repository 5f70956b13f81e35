//! Instrumentation for work that comes in tasks and steps.

mod capture;
mod catalog;
mod classify;
pub mod event;
mod failure;
mod filter;
mod id;
mod lifecycle;
mod mask;
pub mod prelude;
mod publish;
mod publisher;
mod retry;
mod retry_arg;
mod scope;
pub mod state;
mod subscriber;
mod telemetry;
pub mod testing;
mod time;
mod value;

#[doc(hidden)]
pub mod __private;

pub use self::catalog::{
    Catalog, CatalogEvent, CatalogField, CatalogProblem, EventSpec, FieldSpec, FiredBy, Source, StepSpec, SubscriberSpec, TaskSpec,
};
pub use self::classify::{ErrorKind, RetryAdvice, Retryable};
pub use self::event::{Category, Event, EventExt, EventKind, EventRecord, error_type, metric_name};
pub use self::filter::{DEFAULT_FILTER_MASK, DEFAULT_FILTER_PARAMETERS};
pub use self::publish::{PublishError, publish, publish_event};
pub use self::publisher::{Health, QueueHealth, SubscriberHealth};
pub use self::retry::Backoff;
pub use self::scope::{InCurrentScope, InScope, StepScope, TaskScope, with_current_scope};
pub use self::subscriber::Subscriber;
pub use self::telemetry::{BuildError, Builder, FlushError, Telemetry};
pub use self::time::Timestamp;
pub use self::value::Value;

pub use tasker_telemetry_macros::{Event, Subscriber, step, task};
