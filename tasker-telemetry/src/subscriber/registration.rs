//! How a subscriber reaches the publisher: by itself through the catalog, or as an instance; behind the queue, or inline.

use std::fmt;
use std::sync::Arc;

use super::{DynSubscriber, Subscriber};
use crate::catalog::SubscriberSpec;

/// What the publisher takes.
pub enum Registration {
    /// Behind the queue. Built on the worker that will run it, so that it need not be `Send` itself.
    Queued(Box<dyn FnOnce() -> Box<dyn DynSubscriber> + Send>, &'static SubscriberSpec),
    /// On whatever thread publishes.
    Inline(Arc<dyn DynSubscriber + Send + Sync>),
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queued(_, spec) => f.debug_tuple("Queued").field(&spec.name).finish(),
            Self::Inline(subscriber) => f.debug_tuple("Inline").field(&subscriber.spec().name).finish(),
        }
    }
}

/// Place of a subscriber: behind the queue.
#[derive(Debug)]
pub struct Queued;

/// Place of a subscriber: on the publishing thread.
#[derive(Debug)]
pub struct Inline;

/// A place that can run an `S` made there.
pub trait Host<S> {
    /// Registers the `S` that `make` makes.
    fn host(make: fn() -> S) -> Registration;
}

impl<S: Subscriber> Host<S> for Queued {
    fn host(make: fn() -> S) -> Registration {
        Registration::Queued(Box::new(move || Box::new(make())), S::SPEC)
    }
}

impl<S: Subscriber + Send + Sync> Host<S> for Inline {
    fn host(make: fn() -> S) -> Registration {
        Registration::Inline(Arc::new(make()))
    }
}

/// A place that can run an `S` made elsewhere.
pub trait Accept<S> {
    /// Registers that one.
    fn accept(subscriber: S) -> Registration;
}

impl<S: Subscriber + Send> Accept<S> for Queued {
    fn accept(subscriber: S) -> Registration {
        Registration::Queued(Box::new(move || Box::new(subscriber)), S::SPEC)
    }
}

impl<S: Subscriber + Send + Sync> Accept<S> for Inline {
    fn accept(subscriber: S) -> Registration {
        Registration::Inline(Arc::new(subscriber))
    }
}

/// [`Default`] under a name of ours, because only so the message can say what to do about it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't register itself: it isn't `Default`",
    label = "needs `Default`, or `#[subscriber(manual)]`",
    note = "derive `Default`; or write `#[subscriber(manual)]` and pass an instance to `Telemetry::builder().subscriber(..)`"
)]
pub trait SelfMade {
    /// Makes one.
    fn make() -> Self;
}

#[diagnostic::do_not_recommend]
impl<S: Default> SelfMade for S {
    fn make() -> Self {
        Self::default()
    }
}

/// How a type without `#[subscriber(manual)]` registers itself.
#[must_use]
pub fn auto<S>() -> Registration
where
    S: SelfMade + Subscriber,
    S::Place: Host<S>,
{
    S::Place::host(S::make)
}

/// How an instance is registered.
#[must_use]
pub fn registration<S>(subscriber: S) -> Registration
where
    S: Subscriber,
    S::Place: Accept<S>,
{
    S::Place::accept(subscriber)
}
