//! One line of a log, as it may be shown: fields in their order, masked.

use serde_json::Value as Json;

#[cfg(feature = "otlp")]
use crate::event::EventRecord;
use crate::time::Timestamp;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct LogLine {
    pub(crate) at: Timestamp,
    pub(crate) level: tracing::Level,
    pub(crate) target: String,
    pub(crate) message: String,
    /// Where it was logged, then its own.
    pub(crate) fields: Vec<(String, Json)>,
}

/// The fields of a record of the life cycle, in their order.
#[cfg(feature = "otlp")]
const FIELDS: [&str; 20] = [
    "correlation_id",
    "task_id",
    "step_id",
    "trace_id",
    "span_id",
    "task_name",
    "step_name",
    "attempt_number",
    "retry_limit",
    "execution_duration",
    "queue_time",
    "backoff_seconds",
    "total_steps",
    "completed_steps",
    "failed_steps",
    "error_class",
    "error_type",
    "error_message",
    "reason",
    "event_id",
];

#[cfg(feature = "otlp")]
impl LogLine {
    /// That of an event.
    pub(super) fn of_event(event: &EventRecord, level: tracing::Level, target: &str, message: String) -> Self {
        let payload = event.payload();
        let said = |name: &&str| match payload.get(*name) {
            None | Some(Json::Null) => None,
            Some(Json::String(text)) if text.is_empty() => None,
            Some(value) => Some(((*name).to_owned(), value.clone())),
        };
        let fields = FIELDS.iter().filter_map(said).collect();
        Self { at: event.timestamp(), level, target: target.to_owned(), message, fields }
    }
}
