//! Metrics over OTLP, decoded by the schema's own types: cumulative and delta, each equal to what the JSON export says.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]

use std::collections::BTreeMap;
use std::time::Duration;

use integration_tests::metrics::{histogram, value};
use integration_tests::posted::{Posted, Request};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, metric, number_data_point};
use prost::Message as _;
use tasker_telemetry::metrics::MetricsBackend;
use tasker_telemetry::metrics::otlp::{OtlpMetrics, Temporality};
use tasker_telemetry::metrics::pushgateway::Pushgateway;
use tasker_telemetry::prelude::*;

const HOUR: Duration = Duration::from_hours(1);
const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

#[step]
fn pays(fails: bool) -> Result<(), String> {
    if fails { Err("timeout".to_owned()) } else { Ok(()) }
}

#[task(id = "0190a5b6-7c8d-7e9f-8a0b-1c2d3e4f5061")]
fn order(fails: bool) -> Result<(), String> {
    pays(fails)
}

fn telemetry(to: OtlpMetrics) -> Telemetry {
    Telemetry::builder().auto_subscribers(false).service_name("shop").otlp_metrics_with(to.every(HOUR)).build().unwrap()
}

fn fill(telemetry: &Telemetry) -> MetricsBackend {
    for fails in [false, false, true] {
        let _ = telemetry.in_scope(|| order(fails));
    }
    let metrics = telemetry.metrics();
    metrics.counter("shop_sent_bytes_total", &[("to", "eu")]).unwrap().add(7);
    metrics.describe("shop.sent", "What was sent.").unwrap();
    metrics.gauge("shop_level", &[]).unwrap().set(-2.5);
    metrics.histogram_with_buckets("shop_wait_seconds", &[], &[0.5, 1.0]).unwrap().record(0.25);
    metrics
}

fn decoded(request: &Request) -> (Vec<KeyValue>, BTreeMap<String, Metric>) {
    let mut message = ExportMetricsServiceRequest::decode(&*request.body).unwrap();
    let mut of_resource = message.resource_metrics.remove(0);
    assert!(message.resource_metrics.is_empty() && of_resource.scope_metrics.len() == 1);
    let of_scope = of_resource.scope_metrics.remove(0);
    assert_eq!(of_scope.scope.unwrap().name, "tasker-telemetry");
    let metrics = of_scope.metrics.into_iter().map(|metric| (metric.name.clone(), metric));
    (of_resource.resource.unwrap().attributes, metrics.collect())
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key).and_then(|found| found.value.clone());
    match found.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

/// The points of a counter: status or other first label, number, and the times.
fn sums(metrics: &BTreeMap<String, Metric>, name: &str, label: &str) -> BTreeMap<String, (i64, u64, u64)> {
    let Some(metric::Data::Sum(sum)) = metrics[name].data.clone() else { panic!("{name}") };
    assert!(sum.is_monotonic);
    let points = sum.data_points.into_iter().map(|point| {
        let Some(number_data_point::Value::AsInt(number)) = point.value else { panic!("{point:?}") };
        (text(&point.attributes, label), (number, point.start_time_unix_nano, point.time_unix_nano))
    });
    points.collect()
}

fn points(metrics: &BTreeMap<String, Metric>, name: &str) -> (i32, Vec<HistogramDataPoint>) {
    match metrics.get(name).and_then(|metric| metric.data.clone()) {
        Some(metric::Data::Histogram(histogram)) => (histogram.aggregation_temporality, histogram.data_points),
        None => (0, Vec::new()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn cumulative_sums_are_those_of_the_other_exports() {
    let server = Posted::start();
    let telemetry = telemetry(OtlpMetrics::new().endpoint(server.url()).header("x-key", "s3cret").gzip(true));
    let metrics = fill(&telemetry);
    for round in 1..=2 {
        telemetry.flush_blocking().unwrap();
        let requests = server.take();
        let [request] = requests.as_slice() else { panic!("{requests:?}") };
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/metrics"));
        assert!(request.headers.iter().any(|header| header.eq_ignore_ascii_case("x-key: s3cret")), "{request:?}");
        let (resource, seen) = decoded(request);
        assert_eq!(
            (text(&resource, "service.name"), text(&resource, "service.framework")),
            ("shop".to_owned(), "tasker".to_owned())
        );

        for (status, (number, start, time)) in sums(&seen, "tasker.step.executions", "status") {
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let number = number as f64;
            assert_eq!(number, value(&metrics, "tasker.step.executions", &[("status", &status)]), "{status} {round}");
            assert!(start > 0 && start <= time);
        }
        assert_eq!(sums(&seen, "shop.sent", "to")["eu"].0, 7);
        assert_eq!((seen["shop.sent"].unit.as_str(), seen["shop.sent"].description.as_str()), ("By", "What was sent."));
        let Some(metric::Data::Gauge(level)) = &seen["shop.level"].data else { panic!() };
        assert_eq!(level.data_points[0].value, Some(number_data_point::Value::AsDouble(-2.5)));

        let (temporality, took) = points(&seen, "tasker.step.duration");
        let (count, sum) = histogram(&metrics, "tasker.step.duration", &[]);
        assert_eq!((temporality, took[0].count, took[0].sum), (CUMULATIVE, count, Some(sum)));
        assert_eq!(seen["tasker.step.duration"].unit, "s");
        assert_eq!(took[0].bucket_counts.len(), took[0].explicit_bounds.len() + 1);
        assert_eq!(took[0].bucket_counts.iter().sum::<u64>(), count);
        let exemplar = &took[0].exemplars[0];
        assert_eq!(exemplar.trace_id, 0x0190_a5b6_7c8d_7e9f_8a0b_1c2d_3e4f_5061_u128.to_be_bytes());
        let wait = &points(&seen, "shop.wait").1[0];
        assert_eq!((&wait.bucket_counts[..], &wait.explicit_bounds[..]), (&[1, 0, 0][..], &[0.5, 1.0][..]));
    }
}

#[test]
fn deltas_add_up_also_when_a_push_fails() {
    let server = Posted::start();
    let telemetry = telemetry(OtlpMetrics::new().endpoint(server.url()).temporality(Temporality::Delta));
    let mut total: BTreeMap<String, i64> = BTreeMap::new();
    let (mut counted, mut time_before) = (0, 0);
    for round in 0..5 {
        let metrics = fill(&telemetry);
        server.status(if round == 2 { 503 } else { 200 });
        let pushed = telemetry.flush_blocking();
        let requests = server.take();
        if round == 2 {
            assert_eq!(pushed.unwrap_err().failed_pushes(), ["otlp"]);
            continue;
        }
        pushed.unwrap();
        let (_, seen) = decoded(requests.last().unwrap());
        for (status, (number, start, time)) in sums(&seen, "tasker.step.executions", "status") {
            // Each interval begins where the last that arrived ended.
            assert!(start < time && (round == 0 || start == time_before), "{status}");
            *total.entry(status).or_default() += number;
        }
        time_before = sums(&seen, "shop.sent", "to")["eu"].2;
        assert_eq!(sums(&seen, "shop.sent", "to")["eu"].0, if round == 3 { 14 } else { 7 });
        let (temporality, took) = points(&seen, "tasker.step.duration");
        assert_eq!(temporality, DELTA);
        counted += took[0].count;
        assert_eq!(counted, histogram(&metrics, "tasker.step.duration", &[]).0);
    }
    let total = |status: &str| total.get(status).copied().unwrap_or_default();
    assert_eq!((total("success"), total("failure"), total("cancelled")), (10, 5, 0));
    // Nothing new: nothing said but gauges.
    telemetry.flush_blocking().unwrap();
    let (_, seen) = decoded(&server.take()[0]);
    assert!(!seen.contains_key("tasker.step.executions") && !seen.contains_key("tasker.step.duration"), "{seen:?}");
    assert!(seen.contains_key("shop.level"));
}

#[test]
fn the_last_push_is_tried_again_and_variables_are_obeyed() {
    let server = Posted::start();
    server.status(503);
    let telemetry = Telemetry::builder()
        .auto_subscribers(false)
        .variables([("OTEL_EXPORTER_OTLP_ENDPOINT", server.url().as_str()), ("OTEL_SERVICE_NAME", "env")])
        .otlp_metrics()
        .build()
        .unwrap();
    let ends = std::thread::spawn(move || telemetry.shutdown_blocking());
    while server.take().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    server.status(200);
    ends.join().unwrap().unwrap();
    let last = server.take().pop().unwrap();
    assert_eq!(text(&decoded(&last).0, "service.name"), "env");
    let wrong = Telemetry::builder()
        .auto_subscribers(false)
        .variables([("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")])
        .otlp_metrics()
        .build();
    assert!(wrong.unwrap_err().to_string().contains("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=grpc"));
}

#[test]
fn what_is_refused_for_good_is_not_tried_again() {
    let server = Posted::start();
    server.status(400);
    let telemetry = telemetry(OtlpMetrics::new().endpoint(server.url()));
    assert_eq!(telemetry.shutdown_blocking().unwrap_err().failed_pushes(), ["otlp"]);
    assert_eq!(server.take().len(), 1);
    assert!(telemetry.health().metric_pushes[0].last_error.as_deref().unwrap().contains("400"));
}

#[test]
fn the_pushgateway_is_sent_the_text_format_for_its_group() {
    let server = Posted::start();
    let gateway = Pushgateway::new(&server.url(), "nightly")
        .unwrap()
        .label("instance", "a/b")
        .header("authorization", "Bearer x");
    let telemetry = Telemetry::builder().auto_subscribers(false).push_metrics(gateway, HOUR).build().unwrap();
    let metrics = fill(&telemetry);
    telemetry.shutdown_blocking().unwrap();
    let requests = server.take();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/metrics/job/nightly/instance@base64/YS9i"));
    assert!(request.headers.iter().any(|header| header.eq_ignore_ascii_case("authorization: Bearer x")));
    let body = String::from_utf8(request.body.clone()).unwrap();
    assert!(body.contains("shop_sent_bytes_total{to=\"eu\"} 7\n"), "{body}");
    assert_eq!(value(&metrics, "shop.sent", &[]), 7.0);
}
