//! The figures computed from spans are those of the life cycle: rate, errors and duration, for each task and step.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]

use std::time::Duration;

use integration_tests::metrics::{histogram, value};
use opentelemetry::trace::{Span as _, Status, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tasker_telemetry::metrics::span_metrics::SpanMetrics;
use tasker_telemetry::metrics::{Format, MetricsBackend};
use tasker_telemetry::prelude::*;
use tasker_telemetry::trace::Sampling;

#[step(retry_limit = 3)]
async fn pays(number: u32) -> Result<(), String> {
    tokio::time::sleep(Duration::from_micros(u64::from(number % 10) * 400)).await;
    if number.is_multiple_of(4) { Err("timeout".to_owned()) } else { Ok(()) }
}

#[step]
async fn waits() {
    std::future::pending::<()>().await;
}

#[task(id = format!("order {number}"))]
async fn order(number: u32) -> Result<(), String> {
    pays(number).await?;
    if number.is_multiple_of(7) {
        waits().await;
    }
    Ok(())
}

async fn run(telemetry: &Telemetry) {
    for number in 1..=60 {
        let _ = tokio::time::timeout(Duration::from_millis(20), telemetry.scope(order(number))).await;
    }
    telemetry.flush().await.unwrap();
}

/// Each pair of figures, ours first.
fn assert_same(metrics: &MetricsBackend) {
    for (what, span) in [("task", "tasker.task.execution"), ("step", "tasker.step.execution")] {
        for status in ["success", "failure", "cancelled"] {
            let ours = value(metrics, &format!("tasker.{what}.executions"), &[("status", status)]);
            let theirs = value(metrics, "span.calls", &[("span_name", span), ("status", status)]);
            assert!(ours > 0.0);
            assert_eq!(theirs, ours, "{what} {status}");
        }
        let (count, sum) = histogram(metrics, &format!("tasker.{what}.duration"), &[]);
        let (their_count, their_sum) = histogram(metrics, "span.duration", &[("span_name", span)]);
        assert_eq!(their_count, count, "{what}");
        // A span's times are of one clock, a duration of another: a microsecond each.
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let tolerance = 1e-6 * count as f64;
        assert!((their_sum - sum).abs() <= tolerance, "{what}: {their_sum}, ours {sum}");
    }
    let errors = [("error_type", "other"), ("step_name", "pays")];
    assert_eq!(value(metrics, "span.errors", &errors), value(metrics, "tasker.step.errors", &[]));
    let page = metrics.render(Format::OpenMetrics);
    let exemplar =
        page.lines().find(|line| line.starts_with("span_duration_seconds_bucket") && line.contains("trace_id"));
    assert!(exemplar.is_some(), "{page}");
    assert!(page.contains("# HELP span_calls Finished spans"), "{page}");
}

#[tokio::test]
async fn beside_the_exporters_of_our_own_spans() {
    let telemetry = Telemetry::builder().auto_subscribers(false).span_metrics().build().unwrap();
    run(&telemetry).await;
    assert_same(&telemetry.metrics());
    let weak_enough = telemetry.metrics();
    drop(telemetry);
    assert!(value(&weak_enough, "span.calls", &[]) > 0.0);
}

#[tokio::test]
async fn as_a_processor_of_the_sdk_fed_by_us() {
    // Figures in a telemetry of their own, whose life cycle records nothing.
    let figures = Telemetry::builder().auto_subscribers(false).build().unwrap();
    let processor = SpanMetrics::new(figures.metrics());
    let telemetry = Telemetry::builder().auto_subscribers(false).span_processor(processor).build().unwrap();
    run(&telemetry).await;
    let (ours, theirs) = (telemetry.metrics(), figures.metrics());
    for status in ["success", "failure", "cancelled"] {
        let step = [("span_name", "tasker.step.execution"), ("status", status), ("step_name", "pays")];
        let expected = value(&ours, "tasker.step.executions", &[("status", status), ("step_name", "pays")]);
        assert_eq!(value(&theirs, "span.calls", &step), expected, "{status}");
    }
    assert_eq!(
        histogram(&theirs, "span.duration", &[("step_name", "pays")]).0,
        histogram(&ours, "tasker.step.duration", &[]).0
    );
}

#[test]
fn spans_of_others_have_their_name_and_status() {
    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    let metrics = telemetry.metrics();
    let provider = SdkTracerProvider::builder().with_span_processor(SpanMetrics::new(metrics.clone())).build();
    let tracer = provider.tracer("other");
    tracer.start("GET /cart").end();
    let mut failed = tracer.start("GET /cart");
    failed.set_attribute(opentelemetry::KeyValue::new("error.type", "500"));
    failed.set_status(Status::error("no"));
    failed.end();
    let calls = |status| value(&metrics, "span.calls", &[("span_name", "GET /cart"), ("status", status)]);
    assert_eq!((calls("success"), calls("failure"), calls("cancelled")), (1.0, 1.0, 0.0));
    assert_eq!(value(&metrics, "span.errors", &[("error_type", "500")]), 1.0);
    assert_eq!(histogram(&metrics, "span.duration", &[]).0, 2);
    // Names of spans are not closed sets: they are bounded as all series are.
    for number in 0..3_000 {
        tracer.start(format!("GET /cart/{number}")).end();
    }
    assert_eq!(value(&metrics, "span.calls", &[]), 3_002.0);
    let page = metrics.render(Format::Prometheus);
    assert_eq!(page.lines().filter(|line| line.starts_with("span_calls_total{")).count(), 2_000);
}

#[tokio::test]
async fn spans_that_were_not_sampled_are_in_no_figure() {
    let telemetry =
        Telemetry::builder().auto_subscribers(false).sampling(Sampling::none()).span_metrics().build().unwrap();
    telemetry.scope(order(1)).await.unwrap();
    telemetry.flush().await.unwrap();
    assert_eq!(value(&telemetry.metrics(), "span.calls", &[]), 0.0);
    assert_eq!(value(&telemetry.metrics(), "tasker.step.executions", &[]), 1.0);
}
