//! The work as a span of each peer: one more level of `async fn` around it, eight attributes, status OK where the peer has one.

use std::sync::OnceLock;

use fastrace::future::FutureExt as _;
use opentelemetry::trace::{FutureExt as _, Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use super::work::work;
use crate::work::Refused;

/// Without anything: what the others are compared with.
///
/// # Errors
/// As [`work`].
pub async fn plain<const AWAITS: usize>(id: u64, name: &str) -> Result<u64, Refused> {
    work::<AWAITS>(id, name).await
}

/// The tracer of [`otel`]: one a process, as programs have it.
pub static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// The OpenTelemetry API by hand, its span the current context while the work is polled.
///
/// # Errors
/// As [`work`].
///
/// # Panics
/// When there is no [`TRACER`].
pub async fn otel<const AWAITS: usize>(id: u64, name: &str) -> Result<u64, Refused> {
    let tracer = TRACER.get().expect("it is set up");
    let span = tracer
        .span_builder("charge")
        .with_kind(SpanKind::Internal)
        .with_attributes([
            KeyValue::new("id", id.cast_signed()),
            KeyValue::new("name", name.to_owned()),
            KeyValue::new("attempt", 1_i64),
            KeyValue::new("limit", 3_i64),
            KeyValue::new("amount", 12.5),
            KeyValue::new("currency", "EUR"),
            KeyValue::new("retry", false),
            KeyValue::new("queue", 0.25),
        ])
        .start(tracer);
    let context = Context::current_with_span(span);
    let result = work::<AWAITS>(id, name).with_context(context.clone()).await;
    let span = context.span();
    match &result {
        Ok(_) => span.set_status(Status::Ok),
        Err(error) => span.set_status(Status::error(error.to_string())),
    }
    span.end();
    result
}

/// So many calls of [`otel`] in one trace.
///
/// # Panics
/// When there is no [`TRACER`].
pub async fn otel_task<F: Future<Output = u64>>(calls: F) -> u64 {
    let tracer = TRACER.get().expect("it is set up");
    let mut span = tracer.start("task");
    span.set_status(Status::Ok);
    calls.with_context(Context::current_with_span(span)).await
}

/// `#[tracing::instrument]`.
///
/// # Errors
/// As [`work`].
#[tracing::instrument(
    name = "charge",
    skip_all,
    fields(id, name, attempt = 1_u64, limit = 3_u64, amount = 12.5, currency = "EUR", retry = false, queue = 0.25)
)]
pub async fn instrument<const AWAITS: usize>(id: u64, name: &str) -> Result<u64, Refused> {
    work::<AWAITS>(id, name).await
}

/// So many calls of [`instrument`] in one trace.
#[tracing::instrument(name = "task", skip_all)]
pub async fn instrument_task<F: Future<Output = u64>>(calls: F) -> u64 {
    calls.await
}

/// fastrace by hand: `in_span`.
///
/// # Errors
/// As [`work`].
pub async fn in_span<const AWAITS: usize>(id: u64, name: &str) -> Result<u64, Refused> {
    let span = fastrace::Span::enter_with_local_parent("charge").with_properties(|| {
        [
            ("id", id.to_string()),
            ("name", name.to_owned()),
            ("attempt", "1".to_owned()),
            ("limit", "3".to_owned()),
            ("amount", "12.5".to_owned()),
            ("currency", "EUR".to_owned()),
            ("retry", "false".to_owned()),
            ("queue", "0.25".to_owned()),
        ]
    });
    work::<AWAITS>(id, name).in_span(span).await
}

/// `#[fastrace::trace]`.
///
/// # Errors
/// As [`work`].
#[fastrace::trace(name = "charge", properties = {
    "id": "{id}", "name": "{name}", "attempt": "1", "limit": "3", "amount": "12.5", "currency": "EUR", "retry": "false",
    "queue": "0.25"
})]
pub async fn trace<const AWAITS: usize>(id: u64, name: &str) -> Result<u64, Refused> {
    work::<AWAITS>(id, name).await
}

/// So many calls of [`in_span`] or [`trace`] in one trace.
pub async fn fastrace_task<F: Future<Output = u64>>(calls: F) -> u64 {
    calls.in_span(fastrace::Span::root("task", fastrace::prelude::SpanContext::random())).await
}
