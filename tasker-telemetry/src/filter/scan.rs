//! Looking at a typed value through its `Serialize`, before anything is made of it: does it hold something to be masked?
//!
//! Nothing is built and nothing is kept, and the limits of [`Walk`] hold, so that also a value that would not fit into memory
//! as JSON is an answer.

use std::fmt::Display;

use serde::Serialize;
use serde::ser::{self, Serializer};
use serde_json::Value as Json;

use super::keys::{Place, Verdict};
use super::walk::{DEEPEST, TooLarge, Walk};

/// Why looking ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Something has to be masked.
    Found,
    /// It is too deep or too large.
    TooMuch,
    /// Its own `Serialize` failed.
    Failed,
}

impl Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the filter looks no further")
    }
}

impl std::error::Error for Stop {}

impl ser::Error for Stop {
    fn custom<T: Display>(_: T) -> Self {
        Self::Failed
    }
}

impl From<TooLarge> for Stop {
    fn from(TooLarge: TooLarge) -> Self {
        Self::TooMuch
    }
}

/// A value that is looked at.
pub(super) struct Scan<'w, 'f> {
    pub(super) walk: &'w mut Walk<'f>,
    pub(super) at: Place,
    pub(super) depth: usize,
}

type Answer = Result<(), Stop>;

impl<'f> Scan<'_, 'f> {
    fn inner(&mut self, at: Place) -> Scan<'_, 'f> {
        Scan { walk: self.walk, at, depth: self.depth + 1 }
    }

    fn text(self, text: &str) -> Answer {
        self.walk.spend(text.len() + 1)?;
        if self.walk.rules.texts.is_found_in(text) { Err(Stop::Found) } else { Ok(()) }
    }

    fn number(self, number: impl Display) -> Answer {
        self.walk.spend(1)?;
        let texts = &self.walk.rules.texts;
        if !texts.is_empty() && texts.is_found_in(&number.to_string()) { Err(Stop::Found) } else { Ok(()) }
    }

    fn key(&mut self, key: &str) -> Result<Place, Stop> {
        let verdict = self.walk.key(self.at, key)?;
        match verdict {
            Verdict::Below(place) if !self.walk.rules.texts.is_found_in(key) => Ok(place),
            _ => Err(Stop::Found),
        }
    }

    /// Goes into something that has parts.
    fn open(self, at: Place) -> Result<Parts<Self>, Stop> {
        self.walk.spend(1)?;
        if self.depth >= DEEPEST { Err(Stop::TooMuch) } else { Ok(Parts { scan: self, at, key: None }) }
    }

    /// Goes into a variant, which is a key of its own.
    fn variant(mut self, name: &'static str) -> Result<Parts<Self>, Stop> {
        let at = self.key(name)?;
        self.open(at)
    }
}

/// The parts of a value: elements, fields or entries.
pub(super) struct Parts<S> {
    scan: S,
    at: Place,
    key: Option<Place>,
}

impl Parts<Scan<'_, '_>> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Answer {
        value.serialize(self.scan.inner(self.at))
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Answer {
        let mut inner = Scan { walk: &mut *self.scan.walk, at: self.at, depth: self.scan.depth + 1 };
        let at = inner.key(key)?;
        inner.at = at;
        value.serialize(inner)
    }
}

macro_rules! numbers {
    ($($method:ident: $number:ty),* $(,)?) => { $(
        fn $method(self, value: $number) -> Answer {
            self.number(value)
        }
    )* };
}

impl Serializer for Scan<'_, '_> {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Parts<Self>;
    type SerializeTuple = Parts<Self>;
    type SerializeTupleStruct = Parts<Self>;
    type SerializeTupleVariant = Parts<Self>;
    type SerializeMap = Parts<Self>;
    type SerializeStruct = Parts<Self>;
    type SerializeStructVariant = Parts<Self>;

    numbers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_f32: f32, serialize_f64: f64,
    }

    fn serialize_bool(self, _: bool) -> Answer {
        Ok(self.walk.spend(1)?)
    }

    fn serialize_char(self, value: char) -> Answer {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Answer {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Answer {
        Ok(self.walk.spend(value.len() + 1)?)
    }

    fn serialize_none(self) -> Answer {
        Ok(self.walk.spend(1)?)
    }

    fn serialize_some<T: Serialize + ?Sized>(mut self, value: &T) -> Answer {
        // A level of its own: what holds itself by `Option<Box<..>>` ends, too.
        self.walk.spend(1)?;
        if self.depth >= DEEPEST {
            return Err(Stop::TooMuch);
        }
        self.depth += 1;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Answer {
        Ok(self.walk.spend(1)?)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Answer {
        Ok(self.walk.spend(1)?)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Answer {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Answer {
        self.serialize_some(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Answer {
        self.variant(variant)?.element(value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<Self>, Stop> {
        let at = self.at;
        self.open(at)
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<Self>, Stop> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<Self>, Stop> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<Self>, Stop> {
        self.variant(variant)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<Self>, Stop> {
        self.serialize_seq(None)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<Self>, Stop> {
        self.serialize_seq(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<Self>, Stop> {
        self.variant(variant)
    }
}

macro_rules! elements {
    ($($part:ident: $method:ident),* $(,)?) => { $(
        impl ser::$part for Parts<Scan<'_, '_>> {
            type Ok = ();
            type Error = Stop;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Answer {
                self.element(value)
            }

            fn end(self) -> Answer {
                Ok(())
            }
        }
    )* };
}
elements! {
    SerializeSeq: serialize_element, SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field,
}

macro_rules! fields {
    ($($part:ident),* $(,)?) => { $(
        impl ser::$part for Parts<Scan<'_, '_>> {
            type Ok = ();
            type Error = Stop;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Answer {
                self.field(key, value)
            }

            fn end(self) -> Answer {
                Ok(())
            }
        }
    )* };
}
fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Parts<Scan<'_, '_>> {
    type Ok = ();
    type Error = Stop;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Answer {
        key.serialize(self.scan.inner(self.at))?; // within the limits
        let text = match serde_json::to_value(key) {
            Ok(Json::String(text)) => text,
            Ok(Json::Array(_) | Json::Object(_)) | Err(_) => return Err(Stop::Failed),
            Ok(plain) => plain.to_string(),
        };
        let mut inner = Scan { walk: &mut *self.scan.walk, at: self.at, depth: self.scan.depth + 1 };
        self.key = Some(inner.key(&text)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Answer {
        let at = self.key.take().unwrap_or(self.at);
        value.serialize(self.scan.inner(at))
    }

    fn end(self) -> Answer {
        Ok(())
    }
}
