//! Subscribers: user code that receives events.
//!
//! What `#[derive(Subscriber)]` expands to, and how a record finds the handler it is for. Queues, threads, time budgets and
//! what becomes of an error are the publisher's business, not this module's.

mod dispatch;
mod handler;
pub(crate) mod pattern;
mod payload;
mod registration;
mod route;

pub use self::dispatch::{Dispatch, HandlerError};
pub use self::handler::{returned, returned_inline};
pub use self::pattern::is_repeated;
pub use self::payload::{Named, payload_of_name, payload_of_type};
pub use self::registration::{Accept, Inline, Queued, Registration, auto, registration};
pub use self::route::{DynSubscriber, Route};

use crate::catalog::SubscriberSpec;
use crate::event::EventRecord;

/// A type with handlers for events. Derive it; the handlers are methods of the type, one for each subscription.
///
/// | subscription | handler |
/// | --- | --- |
/// | `"task.failed"` | `handle_task_failed(&self, event: &event::task::Failed)` |
/// | `"payment.risk_flagged"` | `handle_payment_risk_flagged(&self, event: &RiskFlagged)` |
/// | `RiskFlagged` (the type) | `handle_risk_flagged(&self, event: &RiskFlagged)` |
/// | `"task.*"`, `"*"` | `handle_event(&self, event: &EventRecord)` |
///
/// A handler of any one event may take `&EventRecord` instead of the payload. It is a `fn` or an `async fn` and returns
/// `()` or `Result<(), E>` with any `E`; its future need not be `Send`. Of several subscriptions that match an event, the
/// one that names it wins, else the first wildcard: an event is handled once.
///
/// A type that implements [`Default`] registers itself. Its options:
///
/// - `#[subscriber(manual)]`: register an instance with `Telemetry::builder().subscriber(instance)` instead.
/// - `#[subscriber(inline)]`: the handlers, none of them async, run on the publishing thread.
/// - `#[subscriber(filter = path)]`: only events for which `fn(&EventRecord) -> bool` says so.
///
/// ```
/// use tasker_telemetry::prelude::*;
///
/// #[derive(Default, Subscriber)]
/// #[subscribe("task.failed", "step.*")]
/// struct OnCall;
///
/// impl OnCall {
///     fn handle_task_failed(&self, event: &event::task::Failed) {
///         println!("{} failed", event.task_name);
///     }
///
///     async fn handle_event(&self, event: &EventRecord) -> Result<(), std::fmt::Error> {
///         println!("{}", event.name());
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a subscriber",
    label = "not a subscriber",
    note = "derive it: `#[derive(Subscriber)] #[subscribe(\"task.failed\")]`"
)]
pub trait Subscriber: Sized + 'static {
    /// What the catalog knows of the subscriber.
    const SPEC: &'static SubscriberSpec;

    /// One route for each pattern of [`SPEC`](Self::SPEC), in its order.
    #[doc(hidden)]
    const ROUTES: &'static [Route<Self>];

    /// The function of `#[subscriber(filter = path)]`.
    #[doc(hidden)]
    const FILTER: Option<fn(&EventRecord) -> bool> = None;

    /// [`Queued`], or [`Inline`] after `#[subscriber(inline)]`.
    #[doc(hidden)]
    type Place;
}
