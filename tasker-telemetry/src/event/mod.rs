//! Events: named, typed facts.
//!
//! The system events stand in [`task`], [`step`], [`workflow`] and [`observability`], one struct each; users add their own
//! with `#[derive(Event)]`. An event of either sort that is on its way is an [`EventRecord`]. Who gets it is the
//! publisher's business, not this module's.

mod helpers;
mod kind;
mod record;
mod system;

pub use self::helpers::{ErrorMetrics, EventExt, PerformanceMetrics, TimingMetrics, error_type, metric_name};
pub use self::kind::{Category, EventKind};
pub use self::record::EventRecord;
pub(crate) use self::record::{ErasedEvent, HEADER_FIELDS, Header, PassingEvent, Payload, TaskHeader};
pub(crate) use self::system::Rewrite;
pub use self::system::{observability, step, task, workflow};

use serde::Serialize;

use crate::catalog::EventSpec;
#[doc(hidden)]
pub use crate::mask::Shape as __Shape;

/// A typed event. Derive it: `#[derive(Serialize, Event)] #[event("payment.risk_flagged")]`.
///
/// ```
/// use tasker_telemetry::prelude::*;
///
/// /// A payment needs a human.
/// #[derive(Serialize, Event)]
/// #[event("payment.risk_flagged")]
/// struct RiskFlagged {
///     /// Our payment number.
///     payment_id: String,
///     #[event(sensitive)]
///     card_number: String,
/// }
/// assert_eq!(RiskFlagged::NAME, "payment.risk_flagged");
/// assert_eq!(RiskFlagged::SPEC.description, "A payment needs a human.");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "derive it: `#[derive(Serialize, Event)] #[event(\"namespace.name\")]`"
)]
pub trait Event: Serialize + Send + Sync + 'static {
    /// What the catalog knows of the event.
    const SPEC: &'static EventSpec;
    /// The event's name.
    const NAME: &'static str = Self::SPEC.name;

    /// Masks the field with that index in [`SPEC`](Self::SPEC), in place. `false`: its type has no masked form.
    #[doc(hidden)]
    fn __mask(&mut self, index: usize, mask: &str) -> bool;

    /// What the filter has to know of the type of the field with that index.
    #[doc(hidden)]
    fn __shape(&self, index: usize) -> __Shape {
        let _ = index;
        __Shape::Nested
    }

    /// Fills in what the publisher knows: ids and times. Only system events have places for it.
    #[doc(hidden)]
    fn __stamp(&mut self, header: &__Stamp<'_>) {
        let _ = header;
    }
}

/// An event that user code may publish: its own, and `workflow.*` and `observability.*` for those who write a driver.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be published by hand",
    label = "not an event that user code publishes",
    note = "`task.*` and `step.*` come from the life cycle alone; your own events derive `Event`: `#[derive(Serialize, Event)] #[event(\"namespace.name\")]`"
)]
pub trait Publishable: Event {}

/// What `#[derive(Event)]` says beside [`Event`]. Apart from it, so that a mistake in the event is one error, not two.
#[doc(hidden)]
pub trait ByHand {}

#[diagnostic::do_not_recommend]
impl<E: Event + ByHand> Publishable for E {}

/// What [`Event::__stamp`] is given. Hidden: generated code passes it on, nobody else needs it.
#[doc(hidden)]
#[derive(Debug)]
pub struct __Stamp<'a>(pub(crate) &'a Header);
