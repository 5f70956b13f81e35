//! A request made by hand, with everything that the spans of a task have: to try receivers and readers with.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span, status};

use crate::span::{Fidelity, ReceivedSpan, Value};

/// A task with two attempts of one step, the first failed. It happens now, since receivers may forget what is old.
#[must_use]
pub fn request() -> ExportTraceServiceRequest {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let begun = u64::try_from(now).unwrap_or(0) - 1_000_000_000;
    let (trace_id, root, first, second) = (trace_id(begun), vec![1, 2, 3, 4, 5, 6, 7, 8], vec![9; 8], vec![10; 8]);
    let span = |span_id: &[u8], name: &str, offset: u64, took: u64| Span {
        trace_id: trace_id.clone(),
        span_id: span_id.to_vec(),
        parent_span_id: root.clone(),
        name: name.to_owned(),
        kind: span::SpanKind::Internal.into(),
        start_time_unix_nano: begun + offset,
        end_time_unix_nano: begun + offset + took,
        ..Span::default()
    };
    let failed = Span {
        attributes: vec![
            string("tasker.step_name", "charge"),
            int("tasker.attempt_number", 1),
            string("tasker.error", "declined (by \"the bank\")\n  -> second line)"),
        ],
        events: vec![
            Event { time_unix_nano: begun + 1_000_123, name: "step.started".to_owned(), ..Event::default() },
            Event {
                time_unix_nano: begun + 41_000_456,
                name: "exception".to_owned(),
                attributes: vec![
                    string("exception.type", "shop::PaymentError::Declined"),
                    string("exception.message", "declined\nSpan #7"),
                ],
                ..Event::default()
            },
        ],
        status: Some(Status { code: status::StatusCode::Error.into(), message: "declined\n  twice)".to_owned() }),
        ..span(&first, "tasker.step.execution", 1_000_123, 40_000_333)
    };
    let retried = Span {
        attributes: vec![
            string("tasker.step_name", "charge"),
            int("tasker.attempt_number", 2),
            attribute("tasker.execution_duration", any_value::Value::DoubleValue(0.034_370_599)),
        ],
        links: vec![Link {
            trace_id: trace_id.clone(),
            span_id: first.clone(),
            attributes: vec![string("tasker.link", "previous attempt")],
            ..Link::default()
        }],
        status: Some(Status { code: status::StatusCode::Ok.into(), message: String::new() }),
        ..span(&second, "tasker.step.execution", 50_000_789, 34_370_599)
    };
    let task = Span {
        parent_span_id: Vec::new(),
        kind: span::SpanKind::Consumer.into(),
        attributes: vec![
            string("tasker.task_id", "ORD-1"),
            int("tasker.total_steps", 1),
            attribute("tasker.execution_duration", any_value::Value::DoubleValue(1.0)),
            attribute("resumed", any_value::Value::BoolValue(true)),
            attribute("tags", any_value::Value::ArrayValue(ArrayValue { values: vec![text("a, b"), text("c")] })),
        ],
        status: Some(Status { code: status::StatusCode::Ok.into(), message: String::new() }),
        ..span(&root, "tasker.task.execution", 0, 90_000_000)
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![string("service.name", "shop"), string("service.framework", "tasker")],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "tasker-telemetry".to_owned(),
                    version: "0.1.0".to_owned(),
                    ..InstrumentationScope::default()
                }),
                spans: vec![failed, retried, task],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// The spans of a request, as a receiver of that fidelity shows them.
#[must_use]
pub fn as_received(request: ExportTraceServiceRequest, fidelity: Fidelity) -> Vec<ReceivedSpan> {
    let mut spans = crate::decode::spans(request);
    if !fidelity.number_types {
        for span in &mut spans {
            let lists = span.events.iter_mut().map(|event| &mut event.attributes);
            let lists = lists.chain(span.links.iter_mut().map(|link| &mut link.attributes));
            for value in lists.chain([&mut span.attributes]).flat_map(|list| list.values_mut()) {
                #[allow(clippy::cast_possible_truncation, reason = "whole, and small")]
                match *value {
                    Value::Double(number) if number.fract() == 0.0 => *value = Value::Int(number as i64),
                    _ => {}
                }
            }
        }
    }
    spans
}

/// One that no other request has.
fn trace_id(time: u64) -> Vec<u8> {
    let mut id = time.to_be_bytes().to_vec();
    id.extend(u64::from(std::process::id()).to_be_bytes());
    id
}

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) }
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn string(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}
