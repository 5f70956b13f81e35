//! From OTLP's messages to [`ReceivedSpan`].

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::span::{Attributes, Kind, Link, ReceivedSpan, SpanEvent, StatusCode, Value};

/// All spans of a request, in its order.
pub(crate) fn spans(request: ExportTraceServiceRequest) -> Vec<ReceivedSpan> {
    let mut received = Vec::new();
    for of_resource in request.resource_spans {
        let mut resource_problems = Vec::new();
        let resource = of_resource.resource.map(|resource| resource.attributes).unwrap_or_default();
        let resource = attributes(resource, "resource", &mut resource_problems);
        for of_scope in of_resource.scope_spans {
            let scope = of_scope.scope.unwrap_or_default();
            for span in of_scope.spans {
                let mut span = decoded(span);
                span.problems.extend(resource_problems.iter().cloned());
                span.resource.clone_from(&resource);
                span.scope_name.clone_from(&scope.name);
                span.scope_version.clone_from(&scope.version);
                received.push(span);
            }
        }
    }
    received
}

fn decoded(span: Span) -> ReceivedSpan {
    let mut problems = Vec::new();
    let p = &mut problems;
    let status = span.status.unwrap_or_default();
    let dropped = span.dropped_attributes_count + span.dropped_events_count + span.dropped_links_count;
    ReceivedSpan {
        trace_id: id(&span.trace_id, 16, "trace id", p),
        span_id: id(&span.span_id, 8, "span id", p),
        parent_span_id: if span.parent_span_id.is_empty() {
            String::new()
        } else {
            id(&span.parent_span_id, 8, "parent span id", p)
        },
        trace_state: span.trace_state,
        flags: span.flags,
        name: span.name,
        kind: kind(span.kind, p),
        status: status_code(status.code, p),
        status_message: status.message,
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        attributes: attributes(span.attributes, "span", p),
        events: span
            .events
            .into_iter()
            .map(|event| SpanEvent {
                time: event.time_unix_nano,
                attributes: attributes(event.attributes, &event.name, p),
                name: event.name,
            })
            .collect(),
        links: span
            .links
            .into_iter()
            .map(|link| Link {
                trace_id: id(&link.trace_id, 16, "link's trace id", p),
                span_id: id(&link.span_id, 8, "link's span id", p),
                trace_state: link.trace_state,
                attributes: attributes(link.attributes, "link", p),
            })
            .collect(),
        dropped,
        problems,
        ..ReceivedSpan::default()
    }
}

fn id(bytes: &[u8], length: usize, what: &str, problems: &mut Vec<String>) -> String {
    if bytes.len() != length {
        problems.push(format!("{what} has {} bytes, not {length}", bytes.len()));
    } else if bytes.iter().all(|byte| *byte == 0) {
        problems.push(format!("{what} is all zero"));
    }
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn kind(number: i32, problems: &mut Vec<String>) -> Kind {
    match number {
        0 => Kind::Unspecified,
        1 => Kind::Internal,
        2 => Kind::Server,
        3 => Kind::Client,
        4 => Kind::Producer,
        5 => Kind::Consumer,
        other => {
            problems.push(format!("there is no span kind {other}"));
            Kind::Unspecified
        }
    }
}

fn status_code(number: i32, problems: &mut Vec<String>) -> StatusCode {
    match number {
        0 => StatusCode::Unset,
        1 => StatusCode::Ok,
        2 => StatusCode::Error,
        other => {
            problems.push(format!("there is no status code {other}"));
            StatusCode::Unset
        }
    }
}

fn attributes(list: Vec<KeyValue>, whose: &str, problems: &mut Vec<String>) -> Attributes {
    let mut map = Attributes::new();
    for pair in list {
        if pair.key.is_empty() {
            problems.push(format!("{whose}: an attribute without name"));
        }
        let value = value(pair.value, whose, problems);
        if map.insert(pair.key.clone(), value).is_some() {
            problems.push(format!("{whose}: attribute {} is given twice", pair.key));
        }
    }
    map
}

fn value(value_: Option<AnyValue>, whose: &str, problems: &mut Vec<String>) -> Value {
    use any_value::Value as Wire;
    match value_.and_then(|any| any.value) {
        None => Value::Empty,
        Some(Wire::StringValue(text)) => Value::Str(text),
        Some(Wire::BoolValue(is)) => Value::Bool(is),
        Some(Wire::IntValue(number)) => Value::Int(number),
        Some(Wire::DoubleValue(number)) => Value::Double(number),
        Some(Wire::BytesValue(bytes)) => Value::Bytes(bytes),
        Some(Wire::ArrayValue(list)) => {
            Value::List(list.values.into_iter().map(|one| value(Some(one), whose, problems)).collect())
        }
        Some(Wire::KvlistValue(list)) => Value::Map(attributes(list.values, whose, problems)),
        #[allow(unreachable_patterns, reason = "OTLP grows")]
        Some(_) => {
            problems.push(format!("{whose}: an attribute of a type that this kit does not know"));
            Value::Empty
        }
    }
}
