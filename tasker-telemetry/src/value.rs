//! The values of `fields(..)`: what a task's `context` and a step's `step_inputs` hold.
//!
//! How a Rust expression becomes a value is decided in `capture.rs`.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

/// The value of one field, typed as exporters want it.
///
/// ```
/// use tasker_telemetry::Value;
/// assert_eq!(serde_json::to_string(&Value::from(2.5)).unwrap(), "2.5");
/// assert_eq!(serde_json::to_string(&Value::from("a")).unwrap(), "\"a\"");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A floating-point number.
    F64(f64),
    /// A text.
    Str(Cow<'static, str>),
    /// Anything with an inner structure.
    Json(serde_json::Value),
}

/// The values of the `fields(..)` of one task or step, in the order of the spec's field names; `None` when nobody listens.
#[doc(hidden)]
pub type Fields = Option<Box<[Value]>>;

impl Value {
    /// The value as JSON. Numbers that JSON cannot express (NaN, infinities) become their text.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Bool(v) => (*v).into(),
            Self::I64(v) => (*v).into(),
            Self::U64(v) => (*v).into(),
            Self::F64(v) => serde_json::Number::from_f64(*v).map_or_else(|| v.to_string().into(), Into::into),
            Self::Str(v) => v.as_ref().into(),
            Self::Json(v) => v.clone(),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Str(v) => serializer.serialize_str(v),
            other => other.to_json().serialize(serializer),
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident as $to:ty),* $(,)?) => { $(
        impl From<$from> for Value {
            fn from(value: $from) -> Self { Self::$variant(<$to>::from(value)) }
        }
    )* };
}
from! {
    bool => Bool as bool, i8 => I64 as i64, i16 => I64 as i64, i32 => I64 as i64, i64 => I64 as i64,
    u8 => U64 as u64, u16 => U64 as u64, u32 => U64 as u64, u64 => U64 as u64, f32 => F64 as f64, f64 => F64 as f64,
    &'static str => Str as Cow<'static, str>, String => Str as Cow<'static, str>,
    serde_json::Value => Json as serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_cannot_express_become_text() {
        assert_eq!(Value::F64(f64::NAN).to_json(), serde_json::json!("NaN"));
        assert_eq!(Value::F64(f64::INFINITY).to_json(), serde_json::json!("inf"));
        assert_eq!(Value::U64(u64::MAX).to_json(), serde_json::json!(u64::MAX));
    }
}
