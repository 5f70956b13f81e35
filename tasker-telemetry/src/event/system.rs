//! The payloads of the system events: one struct each, its JSON flat, with exactly the names of the contract.
//!
//! The structs are data. They are made by `lifecycle` (through `publisher::build`) and by those who write a driver.

#[macro_use]
mod define;
pub mod observability;
pub mod step;
pub mod task;
pub mod workflow;

use serde::Serialize;

use super::{__Stamp, ByHand, Event, EventKind, Header};
use crate::catalog::{EventEntry, EventSpec, FieldSpec, Source};
use crate::id;
use crate::mask::{Masked, Shape, Shaped};
use crate::time::Timestamp;

/// The values of `fields(..)`, by name.
type Map = serde_json::Map<String, serde_json::Value>;

/// Whether a field's type, as text, is an `Option`.
const fn is_optional(ty: &str) -> bool {
    let (ty, prefix) = (ty.as_bytes(), b"Option");
    let mut i = 0;
    while i < prefix.len() {
        if i >= ty.len() || ty[i] != prefix[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// The last segment of an event's name.
pub(crate) const fn event_type(name: &'static str) -> &'static str {
    let bytes = name.as_bytes();
    let mut start = bytes.len();
    while start > 0 && bytes[start - 1] != b'.' {
        start -= 1;
    }
    name.split_at(start).1
}

/// A system event that can be written over one that nobody needs any more: an event has eight texts, and allocating and freeing
/// them takes longer than writing them.
pub(crate) trait Rewrite: Event + Clone + Default {
    /// Writes what every event has. `is_same_task`: what the last event said of its task holds for this one, too.
    fn rewrite(&mut self, header: &Header, is_same_task: bool);
}

fn write_over(to: &mut String, text: &str) {
    to.clear();
    to.push_str(text);
}

fn write_option(to: &mut Option<String>, text: Option<&str>) {
    match text {
        Some(text) => write_over(to.get_or_insert_default(), text),
        None => *to = None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_flat_with_the_names_of_the_contract() {
        let json = serde_json::to_value(step::Failed::default()).unwrap();
        let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        for name in "event event_id event_type timestamp task_id task_name correlation_id step_id step_name attempt_number \
                     retry_limit started_at completed_at execution_duration error_message error_class error_chain backtrace \
                     retryable"
            .split_whitespace()
        {
            assert!(names.contains(&name), "{name} is missing in {names:?}");
        }
        assert_eq!(json["event"], "step.failed");
        assert_eq!(json["event_type"], "failed");
        assert!(!names.contains(&"trace_id"), "absent when not traced");
    }

    #[test]
    fn specs_say_what_the_structs_hold() {
        let json = serde_json::to_value(observability::StepProcessing {
            trace_id: Some(String::new()),
            span_id: Some(String::new()),
            ..Default::default()
        })
        .unwrap();
        let spec = observability::StepProcessing::SPEC;
        let names: Vec<&str> = spec.fields.iter().map(|field| field.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let mut keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        keys.sort_unstable();
        assert_eq!(sorted, keys);
        assert!(spec.fields.iter().any(|field| field.name == "cpu_time" && field.optional));
        assert_eq!(spec.description, "The resources that an attempt of a step used.");
    }
}
