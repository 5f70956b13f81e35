//! How an expression in `fields(..)` becomes a [`Value`]: as closely to its type as can be.
//!
//! By method calls that fit more or less closely, as in `classify::probe`: plain values keep their type, then comes
//! `Serialize`, then `Display`, then `Debug`.

use std::borrow::Cow;
use std::fmt::{Debug, Display};

use serde::Serialize;

use crate::filter;
use crate::value::Value;

/// A borrowed field value, to be asked what it can be recorded as.
pub struct Capture<'a, T: ?Sized>(pub &'a T);

impl<T: ?Sized> Debug for Capture<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Capture")
    }
}

/// Values that have a type of their own in every exporter.
pub trait Plain {
    /// The value.
    fn plain(&self) -> Value;
}

macro_rules! plain {
    ($($variant:ident($to:ty): $($from:ty)*;)*) => { $( $(
        impl Plain for $from {
            fn plain(&self) -> Value {
                Value::$variant(<$to>::from(*self))
            }
        }
    )* )* };
}
plain! {
    Bool(bool): bool;
    I64(i64): i8 i16 i32 i64;
    U64(u64): u8 u16 u32 u64;
    F64(f64): f32 f64;
}

impl Plain for usize {
    fn plain(&self) -> Value {
        // No platform has a wider one; saturating is the way to say so without a panic.
        Value::U64(u64::try_from(*self).unwrap_or(u64::MAX))
    }
}

impl Plain for isize {
    fn plain(&self) -> Value {
        Value::I64(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

macro_rules! text {
    ($($from:ty)*) => { $(
        impl Plain for $from {
            fn plain(&self) -> Value {
                display(self)
            }
        }
    )* };
}
// Wider numbers than any exporter takes are written out.
text!(str String char Cow<'_, str> Box<str> i128 u128);

/// A secret is not even read: neither shown nor searched for.
#[cfg(feature = "secrecy")]
impl<T: secrecy::zeroize::Zeroize + ?Sized> Plain for secrecy::SecretBox<T> {
    fn plain(&self) -> Value {
        Value::Str(Cow::Borrowed(filter::DEFAULT_FILTER_MASK))
    }
}

#[cfg(feature = "secrecy")]
impl<T: secrecy::zeroize::Zeroize + ?Sized> Plain for Option<secrecy::SecretBox<T>> {
    fn plain(&self) -> Value {
        self.as_ref().map_or(Value::Json(serde_json::Value::Null), Plain::plain)
    }
}

impl<T: Plain + ?Sized> Plain for &T {
    fn plain(&self) -> Value {
        (**self).plain()
    }
}

impl<T: Plain + ?Sized> Plain for &mut T {
    fn plain(&self) -> Value {
        (**self).plain()
    }
}

/// Records a value in the closest form its type has.
pub trait CaptureValue {
    /// A type that is `Recordable` when this form can be used.
    type Form: ?Sized;

    /// The value.
    fn value(&self) -> Value
    where
        Self::Form: Recordable;
}

/// What can be recorded by `fields(..)`. The bound exists for its error message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded: it is neither `Serialize` nor `Display` nor `Debug`",
    label = "this field has no value to show",
    note = "record a part of it, `fields(name = it.part)`, or derive `Debug`"
)]
pub trait Recordable {}

/// A form that exists.
#[derive(Debug)]
pub enum Exists {}

#[diagnostic::do_not_recommend]
impl Recordable for Exists {}

impl<T: Plain + ?Sized> CaptureValue for &&&&Capture<'_, T> {
    type Form = Exists;

    fn value(&self) -> Value {
        self.0.plain()
    }
}

impl<T: Serialize + ?Sized> CaptureValue for &&&Capture<'_, T> {
    type Form = Exists;

    fn value(&self) -> Value {
        if !filter::fits(self.0) {
            return Value::Str(Cow::Borrowed(filter::DEFAULT_FILTER_MASK)); // deeper or larger than a filter looks through
        }
        match serde_json::to_value(self.0) {
            Ok(json) => flattened(json),
            Err(_) => Value::Str(Cow::Borrowed("[unserializable]")),
        }
    }
}

impl<T: Display + ?Sized> CaptureValue for &&Capture<'_, T> {
    type Form = Exists;

    fn value(&self) -> Value {
        display(self.0)
    }
}

impl<T: Debug + ?Sized> CaptureValue for &Capture<'_, T> {
    type Form = Exists;

    fn value(&self) -> Value {
        debug(self.0)
    }
}

impl<T: ?Sized> CaptureValue for Capture<'_, T> {
    type Form = T;

    fn value(&self) -> Value
    where
        T: Recordable,
    {
        Value::Str(Cow::Borrowed("[unrecordable]"))
    }
}

/// `%`: the `Display` text.
#[must_use]
pub fn display<T: Display + ?Sized>(value: &T) -> Value {
    Value::Str(Cow::Owned(value.to_string()))
}

/// `?`: the `Debug` text.
#[must_use]
pub fn debug<T: Debug + ?Sized>(value: &T) -> Value {
    Value::Str(Cow::Owned(format!("{value:?}")))
}

/// JSON that is a plain value is one.
fn flattened(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::String(value) => Value::Str(Cow::Owned(value)),
        serde_json::Value::Number(value) => match (value.as_i64(), value.as_u64(), value.as_f64()) {
            (Some(value), ..) => Value::I64(value),
            (_, Some(value), _) => Value::U64(value),
            (.., Some(value)) => Value::F64(value),
            _ => Value::Json(serde_json::Value::Number(value)),
        },
        structured => Value::Json(structured),
    }
}

/// The [`Value`] of an expression.
#[doc(hidden)]
#[macro_export]
macro_rules! __capture {
    ($value:expr) => {{
        #[allow(unused_imports)]
        use $crate::__private::CaptureValue as _;
        (&&&&&$crate::__private::Capture(&$value)).value()
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shown;
    impl Display for Shown {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("shown")
        }
    }

    #[derive(Debug)]
    struct Debugged;

    #[derive(Serialize)]
    struct Point {
        x: u8,
    }

    macro_rules! value {
        ($value:expr) => {
            (&&&&&Capture(&$value)).value()
        };
    }

    #[test]
    fn the_closest_form_is_taken() {
        assert_eq!(value!(7_u8), Value::U64(7));
        assert_eq!(value!(-7_isize), Value::I64(-7));
        assert_eq!(value!(&&true), Value::Bool(true));
        assert_eq!(value!(1.5_f32), Value::F64(1.5));
        assert_eq!(value!("a"), Value::Str("a".into()));
        assert_eq!(value!(*"a"), Value::Str("a".into()));
        assert_eq!(value!(String::from("a")), Value::Str("a".into()));
        assert_eq!(value!('a'), Value::Str("a".into()));
        assert_eq!(value!(u128::MAX), Value::Str(u128::MAX.to_string().into()));
        assert_eq!(value!(Some(3_u32)), Value::I64(3));
        assert_eq!(value!(None::<u8>), Value::Json(serde_json::Value::Null));
        assert_eq!(value!(Point { x: 1 }), Value::Json(serde_json::json!({"x": 1})));
        assert_eq!(value!(Shown), Value::Str("shown".into()));
        assert_eq!(value!(Debugged), Value::Str("Debugged".into()));
    }

    #[test]
    fn what_cannot_be_serialised_says_so() {
        let map = std::collections::BTreeMap::from([(vec![1_u8], 1)]);
        assert_eq!(value!(map), Value::Str("[unserializable]".into()));
    }
}
