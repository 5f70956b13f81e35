//! What most programs need: `use tasker_telemetry::prelude::*;`.

pub use crate::event::{self, EventExt, EventRecord};
pub use crate::handler::{Handle, StepHandler};
pub use crate::metrics::{Counter, Gauge, Histogram};
pub use crate::{
    Backoff, ErrorKind, Event, InCurrentScope, RetryAdvice, Retryable, StepScope, Subscriber, TaskScope, Telemetry,
    publish, publish_event, step, task,
};
#[doc(no_inline)]
pub use serde::Serialize;
