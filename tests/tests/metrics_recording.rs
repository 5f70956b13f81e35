//! Recording is exact and bounded, whatever reads meanwhile: 16 threads, renderings in a loop, 100,000 label values.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use std::time::Duration;

use integration_tests::metrics::{histogram, value};
use tasker_telemetry::metrics::serve::Pages;
use tasker_telemetry::metrics::{Format, MetricError};
use tasker_telemetry::prelude::*;

const THREADS: u64 = 16;
const RECORDS: u64 = 1_000_000;

static HITS: Counter<3> = Counter::with_labels("exact_hits_total", "Hits.", ["a", "b", "c"]);
static PLAIN: Counter = Counter::new("exact_plain_total", "Hits without labels.");
static SPREAD: Histogram<1> = Histogram::with_labels("exact_spread_seconds", "Spread.", ["a"]);
static LEVEL: Gauge = Gauge::new("exact_level", "Goes up and down.");

#[test]
fn sixteen_threads_while_exports_read() {
    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    let metrics = telemetry.metrics();
    let (done, renderings, scrapes) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    SPREAD.with(["x"]);
    let server = Pages::new(telemetry.metrics()).serve("127.0.0.1:0").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // `histogram` checks on each reading that no histogram is at odds with itself.
                let (count, _) = histogram(&metrics, "exact.spread", &[]);
                assert!(count <= THREADS * RECORDS);
                for format in Format::ALL {
                    assert!(!metrics.render(format).is_empty());
                }
                renderings.fetch_add(1, Ordering::Relaxed);
            }
        });
        // And a hundred scrapes a second, as far as the machine can.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let (mut stream, mut page) = (TcpStream::connect(server.local_addr()).unwrap(), String::new());
                write!(stream, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
                stream.read_to_string(&mut page).unwrap();
                assert!(page.contains("exact_spread_seconds_count"), "{page}");
                scrapes.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let series = HITS.with(["x", "y", "z"]);
                    let spread = SPREAD.with(["x"]);
                    for record in 0..RECORDS {
                        series.inc();
                        PLAIN.inc();
                        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
                        spread.record((record % 12) as f64 + 0.5);
                        LEVEL.inc();
                        if record % 100 == thread {
                            HITS.with(["looked", "up", "again"]).inc();
                        }
                        LEVEL.dec();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let all = THREADS * RECORDS;
    assert!(renderings.load(Ordering::Relaxed) > 0 && scrapes.load(Ordering::Relaxed) > 0);
    assert_eq!((HITS.with(["x", "y", "z"]).value(), PLAIN.value()), (all, all));
    assert_eq!(HITS.with(["looked", "up", "again"]).value(), THREADS * RECORDS / 100);
    assert_eq!(LEVEL.value(), 0.0);
    let (count, sum) = histogram(&metrics, "exact.spread", &[]);
    assert_eq!(count, all);
    // 0.5 to 11.5: halves are exact.
    let one_thread: u64 = (0..RECORDS).map(|record| (record % 12) * 2 + 1).sum();
    #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
    let expected = (one_thread * THREADS) as f64 / 2.0;
    assert_eq!(sum, expected);
}

#[test]
fn a_hundred_thousand_label_values_are_bounded() {
    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    let metrics = telemetry.metrics();
    for id in 0..100_000 {
        metrics.counter("bounded_total", &[("id", &id.to_string()), ("kind", "x")]).unwrap().inc();
    }
    let page = metrics.render(Format::Prometheus);
    assert_eq!(page.lines().filter(|line| line.starts_with("bounded_total{")).count(), 2_000);
    assert_eq!(value(&metrics, "bounded", &[]), 100_000.0);
    assert!(page.contains("\nbounded_total{otel_metric_overflow=\"true\"} 98001\n"));
    // A series that is there stays itself.
    metrics.counter("bounded_total", &[("kind", "x"), ("id", "5")]).unwrap().inc();
    assert_eq!(value(&metrics, "bounded", &[("id", "5")]), 2.0);
}

#[test]
fn the_limit_can_be_set() {
    let telemetry = Telemetry::builder().auto_subscribers(false).metrics_series_limit(10).build().unwrap();
    let metrics = telemetry.metrics();
    for id in 0..50 {
        metrics.gauge("limited", &[("id", &id.to_string())]).unwrap().inc();
        LIMITED.with([&id.to_string()]).inc();
    }
    let page = metrics.render(Format::Prometheus);
    for (start, overflow) in [
        ("limited{", "limited{otel_metric_overflow=\"true\"} 41"),
        ("limited_static_total{", "limited_static_total{otel_metric_overflow=\"true\"} 46"),
    ] {
        let series = page.lines().filter(|line| line.starts_with(start)).count();
        assert!(page.contains(overflow), "{start} {series}");
    }
    assert!(Telemetry::builder().auto_subscribers(false).metrics_series_limit(1).build().is_err());
}

static LIMITED: Counter<1> = Counter::with_labels("limited_static", "", ["id"]).series_limit(5);

#[test]
fn a_metric_is_one_thing() {
    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    let metrics = telemetry.metrics();
    metrics.counter("one_thing_total", &[("a", "1")]).unwrap().inc();
    metrics.counter("one.thing", &[("a", "1")]).unwrap().inc();
    assert_eq!(value(&metrics, "one.thing", &[]), 2.0);
    let labels = metrics.counter("one_thing_total", &[("b", "1")]).unwrap_err();
    assert_eq!(labels.to_string(), "the metric `one_thing_total` has the labels [a], not [b]");
    metrics.gauge("thing", &[]).unwrap();
    assert!(matches!(metrics.histogram("thing", &[]), Err(MetricError::Conflict { kind: "gauge", .. })));
    metrics.histogram_with_buckets("spread", &[], &[1.0]).unwrap();
    assert!(matches!(metrics.histogram_with_buckets("spread", &[], &[2.0]), Err(MetricError::Conflict { .. })));
    for bounds in [&[][..], &[1.0, 1.0], &[2.0, 1.0], &[f64::NAN], &[f64::INFINITY]] {
        assert!(
            matches!(metrics.histogram_with_buckets("odd", &[], bounds), Err(MetricError::Buckets { .. })),
            "{bounds:?}"
        );
    }
}

static SHARED: Counter<2> = Counter::with_labels("shared_total", "Of a static.", ["z", "a"]);

#[test]
fn a_static_is_found_by_its_name_too() {
    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    SHARED.with(["1", "2"]).inc();
    telemetry.metrics().counter("shared_total", &[("a", "2"), ("z", "1")]).unwrap().inc();
    assert_eq!(SHARED.with(["1", "2"]).value(), 2);
    assert!(matches!(telemetry.metrics().counter("shared_total", &[("a", "2")]), Err(MetricError::Labels { .. })));
}

static REGISTERED: Counter = Counter::new("registered_before_use_total", "Zero until used.");
tasker_telemetry::register_metrics!(REGISTERED);

#[test]
fn a_registered_static_is_exported_before_its_first_use() {
    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    assert!(telemetry.metrics().render(Format::Prometheus).contains("\nregistered_before_use_total 0\n"));
}
