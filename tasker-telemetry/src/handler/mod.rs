//! Steps as objects: a value with what one step needs, and a `process` that does it.
//!
//! A `#[step]` function is run where it is called. A [`StepHandler`] is a value that somebody else may run: an engine that found
//! it by the step's name in the [`Catalog`](crate::Catalog), or code that passes steps around.
//!
//! ```
//! use tasker_telemetry::prelude::*;
//!
//! struct Charge { amount: u64 }
//!
//! impl StepHandler for Charge {
//!     type Output = u64;
//!     type Error = String;
//!
//!     /// Charges the card.
//!     #[step(name = "charge", retry_limit = 3, fields(amount = self.amount))]
//!     async fn process(&self, task: &TaskScope, step: &StepScope) -> Result<u64, String> {
//!         // business logic only
//!         # let _ = task;
//!         if step.attempt_number() == 1 { Err("busy".into()) } else { Ok(self.amount) }
//!     }
//! }
//!
//! # tasker_telemetry::testing::block_on(async {
//! let run = tasker_telemetry::testing::record(async { Charge { amount: 100 }.handle().await }).await;
//! assert_eq!(run.output, Ok(100));
//! assert_eq!(run.count("step.retry_requested"), 1);
//! # });
//! ```
//!
//! # Who does what
//! | method | who writes it | what it is |
//! | --- | --- | --- |
//! | [`process`](StepHandler::process) | you | one attempt: business logic only. Called by hand it is a plain method: no events, no retries |
//! | [`process_results`](StepHandler::process_results) | you, if you like | the last word on what an attempt gave; a part of it |
//! | [`handle`](Handle::handle) | nobody: it cannot be overridden | the step: its attempts, their events, spans and metrics, the waits between them |
//! | [`handle_attempt`](Handle::handle_attempt) | nobody | the same for one attempt, when an engine owns the retries |
//!
//! # Who retries
//! Exactly one of two. In process, `handle` runs the attempts that `retry_limit` allows and waits between them as `backoff` says. An
//! engine that keeps a queue of its own calls `handle_attempt` instead: it says which [`StepAttempt`] this is, and is told whether
//! another is to follow and when ([`Attempted`]). `retry_limit`, `backoff`, `retry_if` and [`Retryable`](crate::Retryable) decide in
//! both cases, and the events are the same.
//!
//! A handler that calls an HTTP service is an `ApiStepHandler` (feature `api`).

mod driven;
mod registry;

use std::fmt;
use std::future::Future;
use std::time::Duration;

pub use self::registry::{BoxFuture, CatalogHandler, DynStepHandler, HandlerError};
#[doc(hidden)]
pub use self::registry::{HandlerEntry, made};
pub(crate) use self::registry::{gather, json_handlers};
use crate::catalog::StepSpec;
use crate::classify::Classify;
pub use crate::lifecycle::StepAttempt;
use crate::scope::{StepScope, TaskScope};
use crate::value::Fields;

/// A step as an object: see the [module](self) for an example.
///
/// `#[step(name = "..")]` on `process` declares the step: name, `retry_limit`, `backoff`, `retry_if`, `fields(..)` over `self`. It
/// takes the place of the methods here that are not yours.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a step handler",
    label = "not a step handler",
    note = "`#[step]` on a `process(&self, task: &TaskScope, step: &StepScope)` belongs into `impl StepHandler for ..`; for a step of its own give the method another name"
)]
pub trait StepHandler: Send + Sync {
    /// What the step gives.
    type Output;
    /// What it fails with; any type. What it may say of itself: [`Retryable`](crate::Retryable),
    /// [`ErrorKind`](crate::ErrorKind).
    type Error;

    /// One attempt of the step. An `async fn` whose future is `Send`, since engines move it between threads.
    fn process(
        &self,
        task: &TaskScope,
        step: &StepScope,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;

    /// The last word on what `process` gave: checks it, or makes something else of it. A part of the attempt, so an error here
    /// is one of the attempt.
    ///
    /// # Errors
    /// Those of the handler's own.
    fn process_results(&self, step: &StepScope, output: Self::Output) -> Result<Self::Output, Self::Error> {
        let _ = step;
        Ok(output)
    }

    /// Made by `#[step]` on `process`: where this one is missing, the attribute is.
    #[doc(hidden)]
    fn declared_by_step() -> DeclaredStep<Self>
    where
        Self: Sized;

    /// Made by `fields(..)`.
    #[doc(hidden)]
    fn fields_of_step(&self) -> Fields {
        None
    }
}

/// What `#[step]` says of a handler. Not public API.
#[doc(hidden)]
pub struct DeclaredStep<H: StepHandler> {
    pub(crate) spec: &'static StepSpec,
    pub(crate) classify: Classify<ResultOf<H>>,
}

/// What one attempt of a handler gives. Not public API.
#[doc(hidden)]
pub type ResultOf<H> = Result<<H as StepHandler>::Output, <H as StepHandler>::Error>;

impl<H: StepHandler> DeclaredStep<H> {
    /// Of a step's static, and of how to read what it returns.
    #[must_use]
    pub const fn new(spec: &'static StepSpec, classify: Classify<ResultOf<H>>) -> Self {
        Self { spec, classify }
    }
}

impl<H: StepHandler> fmt::Debug for DeclaredStep<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeclaredStep").field("spec", self.spec).finish_non_exhaustive()
    }
}

/// Runs a [`StepHandler`]. Every handler has it, and none can override it.
pub trait Handle: StepHandler {
    /// Runs the step, retries included, in the task that the calling code runs in (outside any, as a task of its own). Works
    /// with telemetry off, too: `process` then gets scopes of a task that nobody is told of.
    ///
    /// # Errors
    /// What the last attempt failed with.
    fn handle(&self) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send
    where
        Self: Sized;

    /// Runs one attempt of the step, for an engine that owns the retries. No wait, no other attempt: what is to follow is in the
    /// answer, and has been told of (`step.retry_requested`, `observability.step.backoff`).
    ///
    /// Call it in the scope of the task, [`ResumedTask::scope`](crate::ResumedTask::scope).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tasker_telemetry::prelude::*;
    /// use tasker_telemetry::handler::{StepAttempt, Attempted};
    ///
    /// struct Charge;
    /// impl StepHandler for Charge {
    ///     type Output = u32;
    ///     type Error = String;
    ///     #[step(name = "charge", retry_limit = 3, backoff = "fixed")]
    ///     async fn process(&self, _: &TaskScope, step: &StepScope) -> Result<u32, String> {
    ///         if step.attempt_number() < 2 { Err("busy".into()) } else { Ok(7) }
    ///     }
    /// }
    ///
    /// # tasker_telemetry::testing::block_on(async {
    /// let first = Charge.handle_attempt(StepAttempt::FIRST).await;
    /// let Attempted::Retry { error, wait, next } = first else { panic!("{first:?}") };
    /// assert_eq!((error.as_str(), wait, next.attempt_number()), ("busy", Duration::from_secs(1), 2));
    /// // .. the engine waits, its own way ..
    /// assert_eq!(Charge.handle_attempt(next).await, Attempted::Completed(7));
    /// # });
    /// ```
    fn handle_attempt(&self, attempt: StepAttempt) -> impl Future<Output = Attempted<Self::Output, Self::Error>> + Send
    where
        Self: Sized;
}

impl<H: StepHandler> Handle for H {
    fn handle(&self) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send {
        driven::handle(self)
    }

    fn handle_attempt(
        &self,
        attempt: StepAttempt,
    ) -> impl Future<Output = Attempted<Self::Output, Self::Error>> + Send {
        driven::handle_attempt(self, attempt)
    }
}

/// How an attempt that an engine asked for ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "whether another attempt is to follow is in it"]
pub enum Attempted<T, E> {
    /// Well.
    Completed(T),
    /// With an error, and another attempt is to follow.
    Retry {
        /// What it failed with.
        error: E,
        /// How long to wait first: what the error asked for, else the step's `backoff`; at most 300 s.
        wait: Duration,
        /// What to pass to the next call.
        next: StepAttempt,
    },
    /// With an error, and no other attempt is to follow: it is permanent, or was the last.
    Failed(E),
}
