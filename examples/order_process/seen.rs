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

    /// The values of an object, for instance of `fields(..)`.
    pub(crate) fn values(&self, field: &str) -> Vec<String> {
        self.json[field].as_object().into_iter().flatten().map(readable).collect()
    }

    /// The values that a custom event carries of its own.
    pub(crate) fn payload(&self) -> Vec<String> {
        let fields = self.json.as_object().into_iter().flatten();
        fields.filter(|(name, _)| !COMMON.contains(&name.as_str())).map(readable).collect()
    }
}

/// Texts speak for themselves, other values need their name.
fn readable((name, value): (&String, &Value)) -> String {
    value.as_str().map_or_else(|| format!("{name}={value}"), str::to_owned)
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
