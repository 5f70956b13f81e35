//! Ready-made values of an event, for metrics and alerts: the same names and defaults whatever the event is.

use serde_json::Value as Json;

use super::{Event, EventRecord};

/// Durations and step counts of an event; what it does not carry is 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TimingMetrics {
    /// Seconds.
    pub execution_duration: f64,
    /// The event's `total_steps`.
    pub step_count: u64,
    /// How many steps ended well.
    pub completed_steps: u64,
    /// How many steps failed.
    pub failed_steps: u64,
}

/// What an event says about an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorMetrics {
    /// The category of the error: see [`error_type`].
    pub error_type: String,
    /// The error's class; `UnknownError` when the event carries none.
    pub error_class: String,
    /// From 1.
    pub attempt_number: u32,
    /// Whether another attempt makes sense.
    pub is_retryable: bool,
    /// Whether no other attempt follows: not retryable, or the last of the step's attempts.
    pub final_failure: bool,
}

/// Resources and waits of an event; what it does not carry is 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PerformanceMetrics {
    /// Bytes.
    pub memory_usage: u64,
    /// Seconds of processor time.
    pub cpu_time: f64,
    /// Seconds waited before the body.
    pub queue_time: f64,
    /// Seconds spent in the body.
    pub processing_time: f64,
    /// Seconds to wait before the next attempt.
    pub retry_delay: f64,
}

/// Helper values on every event: typed ones and [`EventRecord`]s.
///
/// ```
/// use tasker_telemetry::prelude::*;
/// let failed = event::step::Failed {
///     error_class: "shop::GatewayTimeout".into(), attempt_number: 2, retry_limit: 3, retryable: true, ..Default::default()
/// };
/// let error = failed.error();
/// assert_eq!((error.error_type.as_str(), error.attempt_number, error.final_failure), ("timeout", 2, false));
/// assert_eq!(failed.numeric("retry_limit", 0.0), 3.0);
/// ```
pub trait EventExt {
    /// The event as flat JSON.
    #[doc(hidden)]
    fn __json(&self) -> Json;

    /// Durations and step counts.
    fn timing(&self) -> TimingMetrics {
        let json = self.__json();
        TimingMetrics {
            execution_duration: number(&json, "execution_duration"),
            step_count: count(&json, "total_steps"),
            completed_steps: count(&json, "completed_steps"),
            failed_steps: count(&json, "failed_steps"),
        }
    }

    /// What the event says about an error.
    fn error(&self) -> ErrorMetrics {
        let json = self.__json();
        let class = json.get("error_class").and_then(Json::as_str).filter(|class| !class.trim().is_empty());
        let attempt_number = u32::try_from(count(&json, "attempt_number")).unwrap_or(u32::MAX).max(1);
        let limit = count(&json, "retry_limit").max(1);
        let is_retryable = json.get("retryable").and_then(Json::as_bool).unwrap_or(false);
        let own = json.get("error_type").and_then(Json::as_str).filter(|own| !own.is_empty());
        ErrorMetrics {
            error_type: own.unwrap_or_else(|| error_type(class)).to_owned(),
            error_class: class.unwrap_or("UnknownError").to_owned(),
            attempt_number,
            is_retryable,
            final_failure: !is_retryable || u64::from(attempt_number) >= limit,
        }
    }

    /// Resources and waits.
    fn performance(&self) -> PerformanceMetrics {
        let json = self.__json();
        PerformanceMetrics {
            memory_usage: count(&json, "memory_usage"),
            cpu_time: number(&json, "cpu_time"),
            queue_time: number(&json, "queue_time"),
            processing_time: number(&json, "processing_time"),
            retry_delay: ["retry_delay", "backoff_seconds"]
                .into_iter()
                .find_map(|name| json.get(name).and_then(numeric))
                .unwrap_or_default(),
        }
    }

    /// `key:value` tags, in the order `task: step: environment: source: retryable: attempt: priority:`; absent ones are
    /// left out.
    fn metric_tags(&self) -> Vec<String> {
        let json = self.__json();
        [
            ("task", "task_name"),
            ("step", "step_name"),
            ("environment", "environment"),
            ("source", "source"),
            ("retryable", "retryable"),
            ("attempt", "attempt_number"),
            ("priority", "priority"),
        ]
        .into_iter()
        .filter_map(|(tag, field)| {
            let value = json.get(field).or_else(|| json.get("context")?.get(field))?;
            let text = match value {
                Json::String(text) if !text.is_empty() => text.clone(),
                Json::Number(_) | Json::Bool(_) => value.to_string(),
                _ => return None,
            };
            Some(format!("{tag}:{text}"))
        })
        .collect()
    }

    /// The field as a number: numbers and numeric texts; `default` for anything else.
    fn numeric(&self, field: &str, default: f64) -> f64 {
        self.__json().get(field).and_then(numeric).unwrap_or(default)
    }
}

impl<E: Event> EventExt for E {
    fn __json(&self) -> Json {
        serde_json::to_value(self).unwrap_or(Json::Null)
    }
}

impl EventExt for EventRecord {
    fn __json(&self) -> Json {
        self.payload().clone()
    }
}

/// Joins the parts of a metric's name with one dot.
///
/// ```
/// use tasker_telemetry::metric_name;
/// assert_eq!(metric_name("tasker.task", "completed"), "tasker.task.completed");
/// assert_eq!(metric_name("tasker.task.", ".completed"), "tasker.task.completed");
/// ```
#[must_use]
pub fn metric_name(base: &str, kind: &str) -> String {
    [base, kind]
        .into_iter()
        .flat_map(|part| part.split('.'))
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(".")
}

/// The category of an error, by its class name, first hit, case-insensitive; `unknown` without a class.
///
/// ```
/// use tasker_telemetry::error_type;
/// assert_eq!(error_type(Some("net::ConnectionTimeout")), "timeout");
/// assert_eq!(error_type(Some("shop::ProductMissing")), "not_found");
/// assert_eq!(error_type(Some("shop::OddError")), "other");
/// assert_eq!(error_type(None), "unknown");
/// ```
#[must_use]
pub fn error_type(class: Option<&str>) -> &'static str {
    const TABLE: [(&str, &[&str]); 8] = [
        ("timeout", &["timeout"]),
        ("network", &["connection", "network"]),
        ("not_found", &["notfound", "missing", "404"]),
        ("auth", &["unauthorized", "forbidden", "401", "403"]),
        ("rate_limit", &["ratelimit", "toomanyrequests", "429"]),
        ("client_error", &["badrequest", "invalid", "400"]),
        ("server_error", &["servererror", "internalerror", "500"]),
        ("runtime", &["standarderror", "runtimeerror", "runtime"]),
    ];
    let Some(class) = class.map(str::trim).filter(|class| !class.is_empty()) else {
        return "unknown";
    };
    // Compared without a copy in lower case: metrics ask at every failure, and must not allocate.
    let contains =
        |word: &&str| class.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()));
    TABLE.iter().find(|(_, words)| words.iter().any(contains)).map_or("other", |(kind, _)| kind)
}

fn numeric(value: &Json) -> Option<f64> {
    match value {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

fn number(json: &Json, field: &str) -> f64 {
    json.get(field).and_then(numeric).unwrap_or_default()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as casts saturate, which is what is meant")]
fn count(json: &Json, field: &str) -> u64 {
    json.get(field)
        .and_then(|value| value.as_u64().or_else(|| numeric(value).map(|number| number as u64)))
        .unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the figures are read, not computed")]
mod tests {
    use super::*;
    use crate::event::{observability, step, task};

    #[test]
    fn values_an_event_does_not_carry_are_zero() {
        let event = step::Started::default();
        assert_eq!(event.timing(), TimingMetrics::default());
        assert_eq!(event.performance(), PerformanceMetrics::default());
        assert_eq!(event.numeric("no_such", 7.5), 7.5);
    }

    #[test]
    fn timing_and_performance_are_read_from_the_fields() {
        let done = task::Completed {
            execution_duration: 45.2,
            total_steps: 5,
            completed_steps: 4,
            failed_steps: 1,
            ..Default::default()
        };
        let timing = done.timing();
        assert_eq!(
            (timing.execution_duration, timing.step_count, timing.completed_steps, timing.failed_steps),
            (45.2, 5, 4, 1)
        );
        let used = observability::StepProcessing::new(1.8, 0.1, Some(2.5), Some(1024));
        let performance = used.performance();
        assert_eq!((performance.memory_usage, performance.cpu_time), (1024, 2.5));
        assert_eq!((performance.queue_time, performance.processing_time), (0.1, 1.8));
        assert_eq!(observability::StepBackoff::new(4.0, "fixed".into()).performance().retry_delay, 4.0);
    }

    #[test]
    fn a_failure_is_final_when_not_retryable_or_out_of_attempts() {
        let failed = |attempt_number, retryable| {
            step::Failed { attempt_number, retry_limit: 3, retryable, ..Default::default() }.error().final_failure
        };
        assert!(!failed(1, true));
        assert!(!failed(2, true));
        assert!(failed(3, true));
        assert!(failed(1, false));
        assert_eq!(task::Failed::default().error().error_type, "unknown");
    }

    #[test]
    fn tags_stand_in_their_order() {
        let event = step::Failed {
            task_name: "order".into(),
            step_name: "charge".into(),
            attempt_number: 2,
            retryable: false,
            ..Default::default()
        };
        assert_eq!(event.metric_tags(), ["task:order", "step:charge", "retryable:false", "attempt:2"]);
    }

    #[test]
    fn error_types_by_first_hit() {
        for (class, expected) in [
            ("GatewayTIMEOUT", "timeout"),
            ("ConnectionTimeout", "timeout"),
            ("ConnectionRefused", "network"),
            ("shop::NotFound", "not_found"),
            ("Http404", "not_found"),
            ("Http403", "auth"),
            ("TooManyRequests", "rate_limit"),
            ("InvalidInput", "client_error"),
            ("Http500", "server_error"),
            ("RuntimeError", "runtime"),
            ("Whatever", "other"),
            ("  ", "unknown"),
        ] {
            assert_eq!(error_type(Some(class)), expected, "{class}");
        }
    }
}
