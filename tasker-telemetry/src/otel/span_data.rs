//! Our spans as `SpanData`, what exporters and processors of the `opentelemetry_sdk` crate take.
//!
//! It says the same as the OTLP that we write ourselves, field by field: `tests/tests/otlp_agrees.rs` compares them.

use std::time::SystemTime;

use opentelemetry::trace::{
    Event, Link as OtelLink, SpanContext, SpanKind as OtelKind, Status, TraceFlags, TraceState,
};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId as OtelSpanId, StringValue, TraceId as OtelTraceId, Value as OtelValue,
};
use opentelemetry_sdk::Resource as OtelResource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::resource::Resource;
use crate::trace::{AttributeValue, Link, Span, SpanId, SpanKind, TraceId};

/// Who made the spans.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME")).with_version(env!("CARGO_PKG_VERSION")).build()
}

/// Where they come from.
pub(super) fn resource(resource: &Resource) -> OtelResource {
    let attributes = resource.attributes().iter();
    let attributes = attributes.map(|(key, value)| KeyValue::new(key.clone(), of_value(AttributeValue::from(value))));
    OtelResource::builder_empty().with_attributes(attributes).build()
}

/// The span.
pub(super) fn span_data(span: &Span, scope: &InstrumentationScope) -> SpanData {
    let mut attributes = Vec::with_capacity(16);
    span.visit_attributes(&mut |key, value| attributes.push(key_value(key, value)));
    let mut events = SpanEvents::default();
    span.visit_events(&mut |name, at, visit| {
        let mut attributes = Vec::new();
        visit(&mut |key, value| attributes.push(key_value(key, value)));
        events.events.push(Event::new(name.to_owned(), SystemTime::from(at), attributes, 0));
    });
    events.dropped_count = span.dropped_events();
    let mut links = SpanLinks::default();
    span.visit_links(&mut |link| links.links.push(of_link(link)));
    SpanData {
        span_context: context(span.trace_id(), span.span_id(), true, false, span.tracestate()),
        parent_span_id: span.parent_span_id().map_or(OtelSpanId::INVALID, of_span_id),
        parent_span_is_remote: span.is_parent_remote(),
        span_kind: match span.kind() {
            SpanKind::Internal => OtelKind::Internal,
            SpanKind::Client => OtelKind::Client,
            SpanKind::Consumer => OtelKind::Consumer,
        },
        name: span.name().to_owned().into(),
        start_time: span.start().into(),
        end_time: span.end().into(),
        attributes,
        dropped_attributes_count: 0,
        events,
        links,
        status: match span.status_parts() {
            (0, _) => Status::Unset,
            (1, _) => Status::Ok,
            (_, message) => Status::error(message.to_owned()),
        },
        instrumentation_scope: scope.clone(),
    }
}

fn key_value(key: &str, value: AttributeValue<'_>) -> KeyValue {
    KeyValue::new(key.to_owned(), of_value(value))
}

fn of_value(value: AttributeValue<'_>) -> OtelValue {
    match value {
        AttributeValue::Str(text) => text.to_owned().into(),
        AttributeValue::I64(number) => OtelValue::I64(number),
        AttributeValue::F64(number) => OtelValue::F64(number),
        AttributeValue::Big(number) => number.to_string().into(),
        AttributeValue::Bool(is) => OtelValue::Bool(is),
        // The crate has no maps.
        AttributeValue::Json(json) => json.to_string().into(),
        AttributeValue::Uuid(uuid) => uuid.to_string().into(),
        AttributeValue::Path(module, function) => OtelValue::String(StringValue::from(format!("{module}::{function}"))),
    }
}

fn of_link(link: Link<'_>) -> OtelLink {
    OtelLink::with_context(context(link.trace, link.span, link.sampled, link.remote, link.state))
}

fn context(trace: TraceId, span: SpanId, sampled: bool, remote: bool, state: &str) -> SpanContext {
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let state = if state.is_empty() { TraceState::NONE } else { state.parse().unwrap_or(TraceState::NONE) };
    SpanContext::new(OtelTraceId::from_bytes(trace.to_bytes()), of_span_id(span), flags, remote, state)
}

fn of_span_id(id: SpanId) -> OtelSpanId {
    OtelSpanId::from_bytes(id.to_bytes())
}
