//! The helper values of events, row by row: what is read from names and numbers. Real errors: `known_errors.rs`.

use serde_json::{Value as Json, json};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::record_sync;
use tasker_telemetry::{declare_event, error_type};

/// Class name and category: first hit, in any case.
const CLASSES: [(&str, &str); 44] = [
    ("TimeoutError", "timeout"),
    ("net::ConnectionTimeout", "timeout"),
    ("GATEWAYTIMEOUT", "timeout"),
    ("shop::Gateway::timeout", "timeout"),
    ("Http404Timeout", "timeout"),
    ("ConnectionRefused", "network"),
    ("shop::NetworkDown", "network"),
    ("NetworkNotFound", "network"),
    ("connectionReset", "network"),
    ("ActiveRecord::RecordNotFound", "not_found"),
    ("shop::ProductMissing", "not_found"),
    ("missingKey", "not_found"),
    ("Http404", "not_found"),
    ("Unauthorized", "auth"),
    ("ForbiddenInvalid", "auth"),
    ("Http401", "auth"),
    ("Http403", "auth"),
    ("RateLimited", "rate_limit"),
    ("TooManyRequests", "rate_limit"),
    ("Http429", "rate_limit"),
    ("BadRequest", "client_error"),
    ("RecordInvalid", "client_error"),
    ("shop::InvalidAmount", "client_error"),
    ("Http400", "client_error"),
    ("ServerError", "server_error"),
    ("InternalError", "server_error"),
    ("InternalServerError", "server_error"),
    ("Http500", "server_error"),
    ("StandardError", "runtime"),
    ("RuntimeError", "runtime"),
    ("TokioRuntime", "runtime"),
    ("ArgumentError", "other"),
    ("IOError", "other"),
    ("Http502", "other"),
    ("Http503", "other"),
    ("shop::PaymentError::Declined", "other"),
    ("Time out", "other"),
    ("Not_Found", "other"),
    ("rate_limit", "other"),
    ("Too Many Requests", "other"),
    ("alloc::string::String", "other"),
    ("panic", "other"),
    ("", "unknown"),
    ("  \t", "unknown"),
];

#[test]
fn the_category_is_read_from_the_name_of_the_class() {
    for (class, expected) in CLASSES {
        assert_eq!(error_type(Some(class)), expected, "{class}");
        let failed = event::step::Failed { error_class: class.to_owned(), ..Default::default() };
        assert_eq!(failed.error().error_type, expected, "{class}");
        let shown = if class.trim().is_empty() { "UnknownError" } else { class };
        assert_eq!(failed.error().error_class, shown);
    }
    assert_eq!(error_type(None), "unknown");
}

declare_event!("helper.values", "An event with fields of any kind.");

/// The event with that payload, as a subscriber gets it.
fn event_of(payload: Json) -> EventRecord {
    let run = record_sync(|| publish_event("helper.values", payload).unwrap());
    run.named("helper.values")[0].clone()
}

#[test]
#[allow(clippy::float_cmp, reason = "the figures are read, not computed")]
fn numbers_are_read_from_numbers_and_numeric_texts() {
    for (value, expected) in [
        (json!(10), 10.0),
        (json!(2.5), 2.5),
        (json!(-3), -3.0),
        (json!(0), 0.0),
        (json!(u64::MAX), 18_446_744_073_709_551_615.0),
        (json!("10"), 10.0),
        (json!(" 7.5 "), 7.5),
        (json!("-0"), 0.0),
        (json!("1e3"), 1_000.0),
        (json!("12abc"), 99.0),
        (json!("abc"), 99.0),
        (json!(""), 99.0),
        (json!("."), 99.0),
        (json!("NaN"), 99.0),
        (json!("inf"), 99.0),
        (json!(null), 99.0),
        (json!(true), 99.0),
        (json!([1]), 99.0),
        (json!({"a": 1}), 99.0),
    ] {
        let event = event_of(json!({"figure": value}));
        assert_eq!(event.numeric("figure", 99.0), expected, "{value}");
    }
    assert_eq!(event_of(json!({})).numeric("figure", 99.0), 99.0);
}

#[test]
#[allow(clippy::float_cmp, reason = "the figures are read, not computed")]
fn timing_performance_and_finality_are_read_with_their_defaults() {
    for (payload, timing) in [
        (json!({}), (0.0, 0, 0, 0)),
        (
            json!({"execution_duration": 45.2, "total_steps": 5, "completed_steps": 4, "failed_steps": 1}),
            (45.2, 5, 4, 1),
        ),
        (json!({"execution_duration": "30.5", "total_steps": "5"}), (30.5, 5, 0, 0)),
        (json!({"execution_duration": null, "total_steps": "five", "failed_steps": -2}), (0.0, 0, 0, 0)),
    ] {
        let read = event_of(payload.clone()).timing();
        let read = (read.execution_duration, read.step_count, read.completed_steps, read.failed_steps);
        assert_eq!(read, timing, "{payload}");
    }
    for (payload, performance) in [
        (json!({}), (0, 0.0, 0.0, 0.0, 0.0)),
        (
            json!({"memory_usage": 1024, "cpu_time": 2.5, "queue_time": 0.1, "processing_time": 1.8, "retry_delay": 4}),
            (1024, 2.5, 0.1, 1.8, 4.0),
        ),
        (json!({"memory_usage": "2048", "backoff_seconds": 8}), (2048, 0.0, 0.0, 0.0, 8.0)),
        (json!({"memory_usage": "much", "cpu_time": "fast"}), (0, 0.0, 0.0, 0.0, 0.0)),
    ] {
        let read = event_of(payload.clone()).performance();
        let read = (read.memory_usage, read.cpu_time, read.queue_time, read.processing_time, read.retry_delay);
        assert_eq!(read, performance, "{payload}");
    }
    for (attempt_number, retry_limit, retryable, is_final) in [
        (1, 3, true, false),
        (2, 3, true, false),
        (3, 3, true, true),
        (4, 3, true, true),
        (1, 3, false, true),
        (1, 1, true, true),
    ] {
        let failed = event::step::Failed { attempt_number, retry_limit, retryable, ..Default::default() };
        let error = failed.error();
        assert_eq!((error.attempt_number, error.is_retryable), (attempt_number, retryable));
        assert_eq!(error.final_failure, is_final, "{attempt_number} of {retry_limit}, {retryable}");
    }
}

#[test]
fn tags_stand_in_their_order_and_absent_ones_are_left_out() {
    for (payload, tags) in [
        (json!({}), &[][..]),
        (json!({"source": "web", "environment": "live"}), &["environment:live", "source:web"]),
        (json!({"retryable": false, "priority": 3, "environment": ""}), &["retryable:false", "priority:3"]),
        (json!({"context": {"priority": "high", "source": "api"}}), &["source:api", "priority:high"]),
        (json!({"priority": null, "source": ["a"]}), &[]),
    ] {
        assert_eq!(event_of(payload.clone()).metric_tags(), tags, "{payload}");
    }
    let failed = event::step::Failed {
        task_name: "order".into(),
        step_name: "charge".into(),
        attempt_number: 2,
        retryable: true,
        ..Default::default()
    };
    assert_eq!(failed.metric_tags(), ["task:order", "step:charge", "retryable:true", "attempt:2"]);
}
