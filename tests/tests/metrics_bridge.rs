//! What code records through the facade `metrics` is in our exports, and what we record is in its exporter's.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]

use std::time::Duration;

use integration_tests::metrics::{histogram, value};
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_facade as facade;
use tasker_telemetry::metrics::Format;
use tasker_telemetry::metrics::bridge::{Recorder, ToFacade};
use tasker_telemetry::prelude::*;

fn telemetry() -> Telemetry {
    Telemetry::builder().auto_subscribers(false).build().unwrap()
}

#[test]
fn the_facade_records_into_ours() {
    let telemetry = telemetry();
    let recorder = Recorder::new(telemetry.metrics()).buckets(&[1.0, 10.0]);
    facade::with_local_recorder(&recorder, || {
        facade::describe_counter!("http.requests", facade::Unit::Count, "Requests that came.");
        for method in ["GET", "POST", "GET"] {
            facade::counter!("http.requests", "method" => method).increment(2);
        }
        facade::counter!("polls").absolute(7);
        facade::counter!("polls").absolute(5);
        facade::counter!("polls").absolute(9);
        let depth = facade::gauge!("queue-depth", "queue name" => "a");
        depth.set(5.0);
        depth.increment(2.5);
        depth.decrement(1.0);
        facade::histogram!("took").record(0.5);
        facade::histogram!("took").record_many(5.0, 3);
    });
    let metrics = telemetry.metrics();
    assert_eq!(value(&metrics, "http.requests", &[("method", "GET")]), 4.0);
    assert_eq!(value(&metrics, "polls", &[]), 9.0);
    assert_eq!(value(&metrics, "queue.depth", &[("queue_name", "a")]), 6.5);
    assert_eq!(histogram(&metrics, "took", &[]), (4, 15.5));
    let page = metrics.render(Format::Prometheus);
    assert!(page.contains("# HELP http_requests_total Requests that came.\n"), "{page}");
    assert!(page.contains("took_bucket{le=\"1\"} 1\ntook_bucket{le=\"10\"} 4\n"), "{page}");
    assert_eq!(recorder.refused(), 0);
}

#[test]
fn series_of_one_name_may_have_other_labels_and_stay_one_metric() {
    let telemetry = telemetry();
    let recorder = Recorder::new(telemetry.metrics());
    facade::with_local_recorder(&recorder, || {
        facade::counter!("jobs").increment(1);
        facade::counter!("jobs", "queue" => "a").increment(2);
        facade::counter!("jobs", "queue" => "a", "kind" => "b").increment(4);
        facade::counter!("jobs", "kind" => "b", "queue" => "a").increment(8);
        facade::gauge!("jobs").set(1.0); // another metric: a gauge of that name is not `jobs_total`
        facade::gauge!("jobs_total").set(1.0); // but no gauge may be called so
    });
    let page = telemetry.metrics().render(Format::Prometheus);
    for line in ["jobs_total 1", "jobs_total{queue=\"a\"} 2", "jobs_total{kind=\"b\",queue=\"a\"} 12", "jobs 1"] {
        assert!(page.contains(&format!("\n{line}\n")), "{line}: {page}");
    }
    assert_eq!(page.matches("# TYPE jobs_total counter").count(), 1, "{page}");
    assert_eq!(recorder.refused(), 1);
    // Ours stay strict.
    assert!(telemetry.metrics().counter("jobs_total", &[("other", "x")]).is_err());
}

#[test]
fn series_and_metrics_are_bounded() {
    let telemetry = telemetry();
    let recorder = Recorder::new(telemetry.metrics());
    facade::with_local_recorder(&recorder, || {
        for id in 0..12_000 {
            facade::counter!("seen", "id" => id.to_string()).increment(1);
            facade::counter!(format!("seen_{id}")).increment(1);
        }
    });
    assert_eq!(value(&telemetry.metrics(), "seen", &[]), 12_000.0);
    let page = telemetry.metrics().render(Format::Prometheus);
    assert_eq!(page.lines().filter(|line| line.starts_with("seen_total{")).count(), 2_000);
    assert_eq!(page.lines().filter(|line| line.starts_with("# TYPE seen")).count(), 10_000);
    assert_eq!(recorder.refused(), 12_000 - 9_999);
}

#[step]
fn works(fails: bool) -> Result<(), String> {
    if fails { Err("timeout".to_owned()) } else { Ok(()) }
}

#[test]
fn ours_are_in_the_facades_exporter() {
    let exporter = PrometheusBuilder::new().set_buckets(&[0.1, 1.0, 10.0]).unwrap().build_recorder();
    let handle = exporter.handle();
    let to = ToFacade::recorder(exporter);
    let telemetry =
        Telemetry::builder().auto_subscribers(false).push_metrics(to, Duration::from_hours(1)).build().unwrap();
    let wait = telemetry.metrics().histogram_with_buckets("shop_wait_seconds", &[("queue", "a")], &[0.1, 1.0]).unwrap();
    for _ in 0..2 {
        for fails in [true, false, false] {
            let _ = telemetry.in_scope(|| works(fails));
        }
        wait.record(0.05);
        wait.record(0.5);
        telemetry.flush_blocking().unwrap();
    }
    handle.run_upkeep();
    let page = handle.render();
    for line in [
        "tasker_step_executions_total{task_name=\"works\",step_name=\"works\",status=\"failure\"} 2",
        "tasker_step_executions_total{task_name=\"works\",step_name=\"works\",status=\"success\"} 4",
        "tasker_tasks_in_progress{task_name=\"works\"} 0",
        "shop_wait_seconds_bucket{queue=\"a\",le=\"0.1\"} 2",
        "shop_wait_seconds_bucket{queue=\"a\",le=\"1\"} 4",
        "shop_wait_seconds_count{queue=\"a\"} 4",
    ] {
        assert!(page.contains(&format!("{line}\n")), "{line}: {page}");
    }
    let sum = page.lines().find_map(|line| line.strip_prefix("shop_wait_seconds_sum{queue=\"a\"} ")).unwrap();
    assert!((sum.parse::<f64>().unwrap() - 1.1).abs() < 1e-9, "{sum}");
    assert!(page.contains("# HELP tasker_step_executions_total Attempts of steps"), "{page}");
}
