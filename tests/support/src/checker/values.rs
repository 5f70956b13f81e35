//! Whether the value of an attribute is that of an event's field.

use serde_json::Value as Json;

use crate::span::{Fidelity, Value};

/// Whether they are the same. What has parts may come as JSON text, too.
#[allow(clippy::cast_precision_loss, reason = "a float that a receiver shows as a whole number")]
pub(super) fn agree(expected: &Json, seen: Option<&Value>, fidelity: Fidelity) -> bool {
    let Some(seen) = seen else { return expected.is_null() };
    match (expected, seen) {
        (Json::Null, Value::Empty) => true,
        (Json::Bool(expected), Value::Bool(seen)) => expected == seen,
        (Json::String(expected), Value::Str(seen)) => expected == seen,
        (Json::Number(expected), Value::Int(seen)) if expected.is_f64() => {
            !fidelity.number_types && near(expected.as_f64(), *seen as f64)
        }
        (Json::Number(expected), Value::Int(seen)) => expected.as_i64() == Some(*seen),
        (Json::Number(expected), Value::Double(seen)) => {
            (expected.is_f64() || !fidelity.number_types) && near(expected.as_f64(), *seen)
        }
        // A number that OTLP's integers do not hold.
        (Json::Number(expected), Value::Str(seen)) => expected.as_i64().is_none() && expected.to_string() == *seen,
        (Json::Array(expected), Value::List(seen)) => {
            expected.len() == seen.len()
                && expected.iter().zip(seen).all(|(expected, seen)| agree(expected, Some(seen), fidelity))
        }
        (Json::Object(expected), Value::Map(seen)) => {
            expected.len() == seen.len()
                && expected.iter().all(|(name, expected)| agree(expected, seen.get(name), fidelity))
        }
        (Json::Array(_) | Json::Object(_), Value::Str(seen)) => {
            serde_json::from_str::<Json>(seen).is_ok_and(|seen| seen == *expected)
        }
        _ => false,
    }
}

/// A value as a failure shows it.
pub(super) fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| format!("{value:?}"))
}

/// Durations are computed in nanoseconds and written as floats: a billionth is their last digit.
fn near(expected: Option<f64>, seen: f64) -> bool {
    expected.is_some_and(|expected| (expected - seen).abs() <= 1e-9 * expected.abs().max(1.0))
}
