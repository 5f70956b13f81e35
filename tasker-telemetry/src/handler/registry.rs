//! Handlers by the name of their step: what an engine asks, that knows a name and an input and no type.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::driven;
use super::{Attempted, DeclaredStep, ResultOf, StepAttempt, StepHandler};
use crate::catalog::{Source, StepSpec};
use crate::failure::Failure;
use crate::scope;

/// A boxed future that may change threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A [`StepHandler`] of any type: every one whose output is `Serialize` is one.
///
/// The same as [`Handle`](super::Handle), with outputs as JSON and errors as [`HandlerError`].
pub trait DynStepHandler: Send + Sync {
    /// The step.
    fn spec(&self) -> &'static StepSpec;

    /// Runs the step, retries included: [`Handle::handle`](super::Handle::handle).
    fn handle_json(&self) -> BoxFuture<'_, Result<Json, HandlerError>>;

    /// Runs one attempt of the step: [`Handle::handle_attempt`](super::Handle::handle_attempt).
    fn handle_attempt_json(&self, attempt: StepAttempt) -> BoxFuture<'_, Attempted<Json, HandlerError>>;
}

impl<H> DynStepHandler for H
where
    H: StepHandler,
    H::Output: Serialize,
{
    fn spec(&self) -> &'static StepSpec {
        H::declared_by_step().spec
    }

    fn handle_json(&self) -> BoxFuture<'_, Result<Json, HandlerError>> {
        Box::pin(async move { erased::<H>(driven::handle(self).await) })
    }

    fn handle_attempt_json(&self, attempt: StepAttempt) -> BoxFuture<'_, Attempted<Json, HandlerError>> {
        Box::pin(async move {
            match driven::handle_attempt(self, attempt).await {
                Attempted::Retry { error, wait, next } => {
                    Attempted::Retry { error: HandlerError::of::<H>(error), wait, next }
                }
                Attempted::Failed(error) => Attempted::Failed(HandlerError::of::<H>(error)),
                Attempted::Completed(output) => match erased::<H>(Ok(output)) {
                    Ok(json) => Attempted::Completed(json),
                    Err(error) => Attempted::Failed(error),
                },
            }
        })
    }
}

impl fmt::Debug for dyn DynStepHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DynStepHandler").field(&self.spec().name).finish()
    }
}

fn erased<H: StepHandler<Output: Serialize>>(result: ResultOf<H>) -> Result<Json, HandlerError> {
    let output = result.map_err(HandlerError::of::<H>)?;
    serde_json::to_value(output).map_err(|error| HandlerError {
        message: format!("the step's output cannot be written as JSON: {error}"),
        class: std::any::type_name::<serde_json::Error>().to_owned(),
    })
}

/// What a handler of unknown type failed with, in words: masked as in events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HandlerError {
    message: String,
    class: String,
}

impl HandlerError {
    fn of<H: StepHandler>(error: H::Error) -> Self {
        let returned: ResultOf<H> = Err(error);
        let DeclaredStep { classify, .. } = H::declared_by_step();
        // The scope around the step: what was masked in its task is masked here.
        let task = scope::with_current(|scope| scope.task().cloned());
        let failure = classify.failure(&returned).map(|view| Failure::of_error(&view, None, false, task.as_deref()));
        let Failure { message, class, .. } = failure.unwrap_or_default();
        Self { message, class }
    }

    /// The error's text.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The error's class, `shop::PaymentError::Declined`: `error_class` of the events.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.class
    }
}

/// How a handler is made of its input; the error says why not.
type Make = fn(Json) -> Result<Box<dyn DynStepHandler>, HandlerError>;

/// A handler, as [`register_handlers!`](crate::register_handlers) hands it in. Not public API.
#[doc(hidden)]
pub struct HandlerEntry {
    spec: fn() -> &'static StepSpec,
    type_name: fn() -> &'static str,
    make: Make,
    source: Source,
}
inventory::collect!(HandlerEntry);

impl HandlerEntry {
    /// A handler that is made of its input by `Deserialize`.
    #[must_use]
    pub const fn deserialized<H>(source: Source) -> Self
    where
        H: StepHandler<Output: Serialize> + DeserializeOwned + 'static,
    {
        let make = |input: Json| made(serde_json::from_value::<H>(input));
        Self { spec: spec_of::<H>, type_name: std::any::type_name::<H>, make, source }
    }

    /// A handler that a function makes.
    #[must_use]
    pub const fn made_by<H>(make: Make, source: Source) -> Self
    where
        H: StepHandler<Output: Serialize> + 'static,
    {
        Self { spec: spec_of::<H>, type_name: std::any::type_name::<H>, make, source }
    }
}

fn spec_of<H: StepHandler>() -> &'static StepSpec {
    H::declared_by_step().spec
}

/// A handler that was made, or not. Not public API.
#[doc(hidden)]
#[allow(clippy::missing_errors_doc, reason = "the error says that the handler was not made, and why")]
pub fn made<H, E>(result: Result<H, E>) -> Result<Box<dyn DynStepHandler>, HandlerError>
where
    H: StepHandler<Output: Serialize> + 'static,
    E: fmt::Display,
{
    match result {
        Ok(handler) => Ok(Box::new(handler)),
        Err(error) => Err(HandlerError { message: error.to_string(), class: std::any::type_name::<E>().to_owned() }),
    }
}

impl fmt::Debug for HandlerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandlerEntry").field(&(self.type_name)()).finish()
    }
}

/// A handler in the [`Catalog`](crate::Catalog).
#[derive(Clone, Copy)]
pub struct CatalogHandler {
    /// Its step.
    pub spec: &'static StepSpec,
    /// Its type, with the path.
    pub type_name: &'static str,
    /// Where it was registered.
    pub source: Source,
    make: Make,
}

impl CatalogHandler {
    /// A handler for that input: by `Deserialize`, unless it was registered with a function.
    ///
    /// # Errors
    /// [`HandlerError`] when no handler can be made of the input.
    pub fn make(&self, input: Json) -> Result<Box<dyn DynStepHandler>, HandlerError> {
        (self.make)(input)
    }
}

impl fmt::Debug for CatalogHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogHandler")
            .field("step", &self.spec.name)
            .field("type_name", &self.type_name)
            .finish_non_exhaustive()
    }
}

/// All handlers that are linked in, by the name of their step.
pub(crate) fn gather() -> Vec<CatalogHandler> {
    let mut handlers: Vec<_> = inventory::iter::<HandlerEntry>
        .into_iter()
        .map(|entry| CatalogHandler {
            spec: (entry.spec)(),
            type_name: (entry.type_name)(),
            source: entry.source,
            make: entry.make,
        })
        .collect();
    handlers.sort_unstable_by_key(|handler| (handler.spec.name, handler.type_name, handler.source));
    handlers
}

/// The handlers as they stand in the catalog's JSON.
pub(crate) fn json_handlers(handlers: &[CatalogHandler]) -> Json {
    let json = |handler: &CatalogHandler| serde_json::json!({ "step": handler.spec.name, "type": handler.type_name });
    handlers.iter().map(json).collect()
}

/// Enters handlers into the [`Catalog`](crate::Catalog), so that an engine finds them by the name of their step:
/// [`Catalog::handler`](crate::Catalog::handler).
///
/// A type alone is made of its input by `Deserialize`: what an engine stored for the step is the handler. `Type => function` has
/// a function `fn(Json) -> Result<Type, E>` make it, for handlers that need what no input holds.
///
/// ```
/// use serde::Deserialize;
/// use serde_json::{Value, json};
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::{Catalog, register_handlers};
///
/// #[derive(Deserialize)]
/// struct Charge { amount: u64 }
///
/// impl StepHandler for Charge {
///     type Output = u64;
///     type Error = std::fmt::Error;
///     #[step(name = "doc.charge")]
///     async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<u64, std::fmt::Error> {
///         Ok(self.amount)
///     }
/// }
///
/// struct Refund { pool: usize, amount: u64 }
///
/// fn refund(input: Value) -> Result<Refund, String> {
///     Ok(Refund { pool: 5, amount: input["amount"].as_u64().ok_or("no amount")? })
/// }
/// # impl StepHandler for Refund {
/// #     type Output = u64;
/// #     type Error = std::fmt::Error;
/// #     #[step(name = "doc.refund")]
/// #     async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<u64, std::fmt::Error> {
/// #         Ok(self.amount + self.pool as u64)
/// #     }
/// # }
///
/// register_handlers!(Charge, Refund => refund);
///
/// # tasker_telemetry::testing::block_on(async {
/// let charge = Catalog::handler("doc.charge").unwrap().make(json!({"amount": 7}))?;
/// assert_eq!(charge.handle_json().await?, json!(7));
/// # Ok::<(), tasker_telemetry::handler::HandlerError>(())
/// # }).unwrap();
/// ```
#[macro_export]
macro_rules! register_handlers {
    ($($handler:ty $(=> $make:path)?),+ $(,)?) => {
        $($crate::__register_handler!($handler $(=> $make)?);)+
    };
}

/// One handler. Not public API.
#[doc(hidden)]
#[macro_export]
macro_rules! __register_handler {
    ($handler:ty) => {
        $crate::__private::inventory::submit! {
            $crate::__private::HandlerEntry::deserialized::<$handler>($crate::__here!())
        }
    };
    ($handler:ty => $make:path) => {
        $crate::__private::inventory::submit! {
            $crate::__private::HandlerEntry::made_by::<$handler>(
                |input| $crate::__private::made::<$handler, _>($make(input)),
                $crate::__here!(),
            )
        }
    };
}

/// This place of the source. Not public API.
#[doc(hidden)]
#[macro_export]
macro_rules! __here {
    () => {
        $crate::__private::Source { module: ::core::module_path!(), file: ::core::file!(), line: ::core::line!() }
    };
}
