//! The outermost level of a typed event: which of its fields hold something to be masked.

use serde::Serialize;
use serde::ser::{Impossible, SerializeStruct, Serializer};

use super::keys::Place;
use super::scan::{Scan, Stop};
use super::walk::Walk;
use crate::catalog::FieldSpec;

/// What was found in an event's fields, by their index in the spec.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Something inside has to be masked.
    pub(super) found: Vec<usize>,
    /// Could not be looked through.
    pub(super) unseen: Vec<usize>,
}

/// Looks at those fields of a struct for which `places` has a place. The error: it is no struct with the fields of the spec.
pub(super) struct Top<'a, 'f> {
    pub(super) walk: &'a mut Walk<'f>,
    pub(super) fields: &'static [FieldSpec],
    pub(super) places: &'a [Option<Place>],
    pub(super) seen: &'a mut Seen,
    /// Where the next field is probably found.
    pub(super) next: usize,
}

impl SerializeStruct for Top<'_, '_> {
    type Ok = ();
    type Error = Stop;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Stop> {
        let index = (self.next..self.fields.len())
            .chain(0..self.next)
            .find(|index| self.fields.get(*index).is_some_and(|field| field.name == key));
        let Some(index) = index else { return Err(Stop::Failed) };
        self.next = index + 1;
        let Some(Some(place)) = self.places.get(index).copied() else { return Ok(()) };
        let place = self.walk.enter(place, key);
        match value.serialize(Scan { walk: self.walk, at: place, depth: 1 }) {
            Ok(()) => {}
            Err(Stop::Found) => self.seen.found.push(index),
            Err(Stop::TooMuch | Stop::Failed) => self.seen.unseen.push(index),
        }
        Ok(())
    }

    fn end(self) -> Result<(), Stop> {
        Ok(())
    }
}

macro_rules! refused {
    ($($method:ident($($argument:ty),*) $(<$generic:ident>)? -> $ok:ty;)*) => { $(
        fn $method $(<$generic: Serialize + ?Sized>)? (self, $(_: $argument),*) -> Result<$ok, Stop> {
            Err(Stop::Failed)
        }
    )* };
}

type No = Impossible<(), Stop>;

impl Serializer for Top<'_, '_> {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = Self;
    type SerializeStructVariant = No;

    refused! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_some(&T) <T> -> ();
        serialize_unit() -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_newtype_struct(&'static str, &T) <T> -> ();
        serialize_newtype_variant(&'static str, u32, &'static str, &T) <T> -> ();
        serialize_seq(Option<usize>) -> No;
        serialize_tuple(usize) -> No;
        serialize_tuple_struct(&'static str, usize) -> No;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No;
        serialize_map(Option<usize>) -> No;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No;
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Stop> {
        Ok(()) // an event without fields
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Stop> {
        Ok(self)
    }
}
