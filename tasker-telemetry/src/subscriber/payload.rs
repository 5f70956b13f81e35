//! From a record to what a handler takes.
//!
//! The type is inferred from the handler; the two traits here decide whether it is one that the subscription allows. They
//! stand in the runtime, although a trait written beside the subscription could name it in its message: attributes of
//! `diagnostic` cannot be written under the user's `no_implicit_prelude`.

use std::any::Any;

use crate::event::EventRecord;

/// What the handler of a subscription to a type of event, `Payload`, may take. `How` keeps the impls apart.
#[diagnostic::on_unimplemented(
    message = "this handler takes `{Self}`, but the payload of its event is `{Payload}`",
    label = "this subscription",
    note = "a handler takes the payload of its event, or `&EventRecord`"
)]
pub trait PayloadIs<Payload, How>: Any {}

/// The handler takes the payload.
#[derive(Debug)]
pub struct Typed;

/// The handler takes the record.
#[derive(Debug)]
pub struct Whole;

// Not recommended, here and below: otherwise rustc lists these impls as if the user could choose among them.
#[diagnostic::do_not_recommend]
impl<P: Any> PayloadIs<P, Typed> for P {}

#[diagnostic::do_not_recommend]
impl<P> PayloadIs<P, Whole> for EventRecord {}

/// What the handler of a subscription to the name of an event may take. `TAG` stands for the name: a hash, since a string
/// cannot be a const parameter.
#[diagnostic::on_unimplemented(
    message = "this handler takes `{Self}`, which is not the payload of its event",
    label = "this subscription",
    note = "a handler takes a reference to the type whose `#[event(\"..\")]` has the name, or `&EventRecord`"
)]
pub trait PayloadNamed<const TAG: u64>: Any {}

#[diagnostic::do_not_recommend]
impl<const TAG: u64, P: Named<TAG> + Any> PayloadNamed<TAG> for P {}

/// The type of the event of that name, and [`EventRecord`] whatever the name. `#[derive(Event)]` implements it.
pub trait Named<const TAG: u64> {}

impl<const TAG: u64> Named<TAG> for EventRecord {}

/// The argument of a handler that is subscribed to the type `E`.
///
/// Asks no `E: Event`: the catalog does, and a second bound would be a second error for the same mistake.
#[must_use]
pub fn payload_of_type<E, P: PayloadIs<E, How>, How>(record: &EventRecord) -> Option<&P> {
    payload(record)
}

/// The argument of a handler that is subscribed to a name.
#[must_use]
pub fn payload_of_name<const TAG: u64, P: PayloadNamed<TAG>>(record: &EventRecord) -> Option<&P> {
    payload(record)
}

/// The record's payload as a `P`, or the record itself as one.
fn payload<P: Any>(record: &EventRecord) -> Option<&P> {
    (record as &dyn Any).downcast_ref().or_else(|| record.value()?.downcast_ref())
}
