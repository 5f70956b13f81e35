//! Handing one event to one subscriber, without queue or thread.

use std::sync::Arc;

use crate::event::{__Stamp, Category, ErasedEvent, Event, EventKind, EventRecord, Header, Payload};
use crate::filter::MaskedFields;
use crate::id;
use crate::subscriber::{Dispatch, DynSubscriber, Subscriber};
use crate::time::Timestamp;

/// What became of an event handed to a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A handler took it.
    Handled,
    /// A handler took it and failed with this.
    Failed(String),
    /// The subscriber does not subscribe to it, or its filter declined.
    NotSubscribed,
}

/// Hands the event to the handler that it is for, and waits for it. The event's empty ids and times are filled in.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::testing::{Delivery, deliver};
///
/// #[derive(Default, Subscriber)]
/// #[subscribe("step.failed")]
/// struct Alarm { rung: AtomicU32 }
/// impl Alarm {
///     fn handle_step_failed(&self, event: &event::step::Failed) -> Result<(), String> {
///         if event.step_name.is_empty() { return Err("which step?".into()) }
///         self.rung.fetch_add(1, Ordering::Relaxed);
///         Ok(())
///     }
/// }
///
/// let alarm = Alarm::default();
/// let failed = event::step::Failed { step_name: "charge".into(), ..Default::default() };
/// assert_eq!(deliver(&alarm, failed), Delivery::Handled);
/// assert_eq!(alarm.rung.load(Ordering::Relaxed), 1);
/// assert_eq!(deliver(&alarm, event::step::Failed::default()), Delivery::Failed("which step?".into()));
/// assert_eq!(deliver(&alarm, event::step::Started::default()), Delivery::NotSubscribed);
/// ```
pub fn deliver<S: Subscriber, E: Event>(subscriber: &S, mut event: E) -> Delivery {
    let timestamp = Timestamp::now();
    let event_id = id::event_id(timestamp, id::stray_nonce(), id::stray_sequence());
    let header = Header { event_id, timestamp, task: None, step: None, trace_id: None, span_id: None };
    event.__stamp(&__Stamp(&header));
    let kind = EventKind::of_name(E::NAME).unwrap_or(EventKind::Custom);
    let event: Arc<dyn ErasedEvent> = Arc::new(event);
    let payload = match Category::of(E::NAME) {
        Category::Custom => Payload::Custom { event, masked: MaskedFields::none(), mask: "".into() },
        _ => Payload::System(event),
    };
    let record = EventRecord::new(kind, E::SPEC, header, payload);
    let result = match subscriber.dispatch(&record) {
        None | Some(Dispatch::Untyped) => return Delivery::NotSubscribed,
        Some(Dispatch::Done(result)) => result,
        Some(Dispatch::Later(future)) => super::block_on(future),
    };
    match result {
        Ok(()) => Delivery::Handled,
        Err(error) => Delivery::Failed(error.message().to_owned()),
    }
}
