//! A plain function may return a future in a box (`BoxFuture`, `Pin<Box<dyn Future>>`): then the step is that future, not the
//! making of it. Decided by type, in the same way as [`probe`](super::probe).

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use super::probe::{Classify, Probe};
use crate::__private::{Fields, StepSpec, TaskIdArg, TaskSpec, run_step_sync, run_step_with, run_task, run_task_sync};

/// The type that a plain function returns.
pub struct Returned<R>(PhantomData<fn() -> R>);

impl<R> Returned<R> {
    /// Of what a closure gives.
    #[must_use]
    pub const fn of<F: FnOnce() -> R>(_: &F) -> Self {
        Self(PhantomData)
    }
}

impl<R> fmt::Debug for Returned<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Returned<{}>", std::any::type_name::<R>())
    }
}

/// How a plain function's value is run.
pub trait ReturnedValue {
    /// What the function returns.
    type Returned;
    /// What counts as its result: the future's output, or the value itself.
    type Value;
    /// Whether the whole body can be run again.
    type Again;

    /// The result's type, to be classified.
    fn probe(&self) -> Probe<Self::Value>;

    /// Runs a step.
    fn run_step<F: FnOnce() -> Self::Returned>(
        &self,
        spec: &'static StepSpec,
        fields: Fields,
        body: F,
        class: Classify<Self::Value>,
    ) -> Self::Returned;

    /// Runs a task.
    fn run_task<F: FnOnce() -> Self::Returned>(
        &self,
        spec: &'static TaskSpec,
        id: TaskIdArg,
        fields: Fields,
        body: F,
        class: Classify<Self::Value>,
    ) -> Self::Returned;

    /// Compiles only where the body can be run again.
    fn is_retriable(&self)
    where
        Self::Again: Retriable,
    {
    }
}

/// What a step with `retry_limit > 1` may return.
#[diagnostic::on_unimplemented(
    message = "`retry_limit > 1` needs the body, not a finished future: make this function an `async fn`",
    label = "this future can be made only once"
)]
pub trait Retriable {}

/// A value.
#[derive(Debug)]
pub enum Value {}

/// A future that stands ready.
#[derive(Debug)]
pub enum BoxedFuture {}

#[diagnostic::do_not_recommend]
impl Retriable for Value {}

macro_rules! boxed_future {
    ($($future:ty),*) => { $(
        impl<'a, T: 'a> ReturnedValue for Returned<Pin<Box<$future>>> {
            type Returned = Pin<Box<$future>>;
            type Value = T;
            type Again = BoxedFuture;

            fn probe(&self) -> Probe<T> {
                Probe::OF_TYPE
            }

            fn run_step<F: FnOnce() -> Self::Returned>(
                &self,
                spec: &'static StepSpec,
                fields: Fields,
                body: F,
                class: Classify<T>,
            ) -> Self::Returned {
                Box::pin(run_step_with(spec, fields, class, body()))
            }

            fn run_task<F: FnOnce() -> Self::Returned>(
                &self,
                spec: &'static TaskSpec,
                id: TaskIdArg,
                fields: Fields,
                body: F,
                class: Classify<T>,
            ) -> Self::Returned {
                Box::pin(run_task(spec, id, fields, class, body()))
            }
        }
    )* };
}
boxed_future!(dyn Future<Output = T> + 'a, dyn Future<Output = T> + Send + 'a);

impl<R> ReturnedValue for &Returned<R> {
    type Returned = R;
    type Value = R;
    type Again = Value;

    fn probe(&self) -> Probe<R> {
        Probe::OF_TYPE
    }

    fn run_step<F: FnOnce() -> R>(&self, spec: &'static StepSpec, fields: Fields, body: F, class: Classify<R>) -> R {
        run_step_sync(spec, fields, body, class)
    }

    fn run_task<F: FnOnce() -> R>(
        &self,
        spec: &'static TaskSpec,
        id: TaskIdArg,
        fields: Fields,
        body: F,
        class: Classify<R>,
    ) -> R {
        run_task_sync(spec, id, fields, body, class)
    }
}
