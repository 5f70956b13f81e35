//! An event that was seen: when, and its flat JSON. What the views are drawn from, so that they can be tested with events
//! written by hand.

use serde_json::Value;
use tasker_telemetry::EventRecord;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// In seconds since 1970.
    pub(crate) at: f64,
    json: Value,
}

impl Seen {
    pub(crate) fn new(at: f64, json: Value) -> Self {
        Self { at, json }
    }

    pub(crate) fn name(&self) -> &str {
        self.text("event")
    }

    pub(crate) fn task_id(&self) -> &str {
        self.text("task_id")
    }

    /// A field's text; empty when there is none.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_default()
    }

    /// A field's number; zero when there is none.
    pub(crate) fn number(&self, field: &str) -> f64 {
        self.json[field].as_f64().unwrap_or_default()
    }

    /// A field that counts something.
    pub(crate) fn count(&self, field: &str) -> u64 {
        self.json[field].as_u64().unwrap_or_default()
    }

    /// The first of a field's texts.
    pub(crate) fn first(&self, field: &str) -> &str {
        self.json[field][0].as_str().unwrap_or_default()
    }

    /// The names and values of an object, `fields(..)` for instance. Without a name: what a custom event carries of its own.
    pub(crate) fn pairs(&self, field: Option<&str>) -> Vec<(String, String)> {
        let object = field.map_or(&self.json, |field| &self.json[field]);
        let pairs = object.as_object().into_iter().flatten();
        pairs
            .filter(|(name, _)| field.is_some() || !COMMON.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect()
    }
}

/// What every event carries.
const COMMON: [&str; 12] = [
    "event",
    "event_id",
    "event_type",
    "timestamp",
    "task_id",
    "task_name",
    "correlation_id",
    "trace_id",
    "span_id",
    "step_id",
    "step_name",
    "attempt_number",
];

impl From<&EventRecord> for Seen {
    #[allow(clippy::cast_precision_loss, reason = "a double counts the microseconds of centuries")]
    fn from(event: &EventRecord) -> Self {
        Self::new((event.timestamp().as_unix_nanos() / 1_000) as f64 / 1e6, event.payload().clone())
    }
}
