//! What is pushed arrives: over OTLP at two receivers of other projects, read back and equal, and at a real Pushgateway that a
//! real Prometheus scrapes. Run by `scripts/test-services`.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]
#![cfg(feature = "services")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use integration_tests::services::{Prometheus, request, wait_for};
use serde_json::Value as Json;
use tasker_telemetry::metrics::otlp::{OtlpMetrics, Temporality};
use tasker_telemetry::metrics::pushgateway::Pushgateway;
use tasker_telemetry::metrics::{Format, MetricsBackend};
use tasker_telemetry::prelude::*;
use trace_kit::receivers::{Autotel, Rotel};
use trace_kit::server::Server;

const HOUR: Duration = Duration::from_hours(1);

#[step(retry_limit = 2)]
fn pays(number: u32) -> Result<(), String> {
    std::thread::sleep(Duration::from_micros(u64::from(number % 20) * 700));
    if number.is_multiple_of(5) { Err("timeout".to_owned()) } else { Ok(()) }
}

#[task(id = format!("order {number}"))]
fn order(number: u32) -> Result<(), String> {
    pays(number)
}

fn fill(telemetry: &Telemetry) {
    for number in 1..=50 {
        let _ = telemetry.in_scope(|| order(number));
    }
    let metrics = telemetry.metrics();
    metrics.gauge("shop_level", &[("size", "big \"quoted\" 💥")]).unwrap().set(-2.5);
    metrics.counter("shop_sent_bytes_total", &[]).unwrap().add(1 << 40);
}

/// Name and labels of a series, and its number; of a histogram its sum and the counts of its buckets.
type Figures = BTreeMap<String, (f64, Vec<u64>)>;

fn key<'a>(name: &str, labels: impl Iterator<Item = (&'a str, String)>) -> String {
    let labels: BTreeMap<&str, String> = labels.collect();
    format!("{name}{labels:?}")
}

/// What our JSON says.
fn ours(metrics: &MetricsBackend) -> Figures {
    let json: Json = serde_json::from_str(&metrics.render(Format::Json)).unwrap();
    let mut figures = Figures::new();
    for list in ["counters", "gauges", "histograms"] {
        for series in json["metrics"][list].as_array().unwrap() {
            let labels = series["labels"].as_object().unwrap().iter();
            let labels = labels.map(|(name, value)| (name.as_str(), value.as_str().unwrap().to_owned()));
            let key = key(series["name"].as_str().unwrap(), labels);
            if list == "histograms" {
                let cumulative =
                    series["buckets"].as_array().unwrap().iter().map(|bucket| bucket["count"].as_u64().unwrap());
                let counts = cumulative.scan(0, |before, count| Some(count - std::mem::replace(before, count)));
                figures.insert(key, (series["sum"].as_f64().unwrap(), counts.collect()));
            } else {
                figures.insert(key, (series["value"].as_f64().unwrap(), Vec::new()));
            }
        }
    }
    figures
}

/// Adds the points of one more push to those of the pushes before, as a backend does with deltas; gauges are replaced.
fn add(to: &mut Figures, figures: Figures) {
    for (key, (value, counts)) in figures {
        let is_gauge = key.starts_with("shop.level") || key.contains("in_progress");
        let sum = to.entry(key).or_insert_with(|| (0.0, vec![0; counts.len()]));
        sum.0 = if is_gauge { value } else { sum.0 + value };
        sum.1.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
}

fn assert_same(theirs: &Figures, ours: &Figures) {
    assert_eq!(theirs.keys().collect::<Vec<_>>(), ours.keys().collect::<Vec<_>>());
    for (key, (value, counts)) in ours {
        let (seen, seen_counts) = &theirs[key];
        assert!((seen - value).abs() <= 1e-9 * value.abs(), "{key}: {seen}, ours {value}");
        assert_eq!(seen_counts, counts, "{key}");
    }
}

/// Reads what rotel prints, one request after the other.
fn rotel_figures(printed: &str) -> Vec<Figures> {
    let mut requests: Vec<Figures> = Vec::new();
    let (mut name, mut labels, mut counts): (String, Vec<(String, String)>, Vec<u64>) = Default::default();
    let (mut value, mut sum, mut in_point) = (None, None, false);
    let finish = |requests: &mut Vec<Figures>,
                  name: &str,
                  labels: &mut Vec<(String, String)>,
                  value: &mut Option<f64>,
                  sum: &mut Option<f64>,
                  counts: &mut Vec<u64>| {
        if let Some(number) = value.take().or(sum.take()) {
            let key = key(name, labels.iter().map(|(label, value)| (label.as_str(), value.clone())));
            requests.last_mut().unwrap().insert(key, (number, std::mem::take(counts)));
        }
        labels.clear();
    };
    for line in printed.lines() {
        let begins =
            line.starts_with("ResourceMetrics #") || line.starts_with("Metric #") || line.contains("DataPoints #");
        if begins {
            finish(&mut requests, &name, &mut labels, &mut value, &mut sum, &mut counts);
            in_point = line.contains("DataPoints #");
        }
        if line.starts_with("ResourceMetrics #0") {
            requests.push(Figures::new());
        } else if let Some(text) = line.strip_prefix("     -> Name: ") {
            text.clone_into(&mut name);
        } else if line.starts_with("Exemplars:") {
            in_point = false;
        } else if in_point {
            if let Some((label, text)) = line.strip_prefix("     -> ").and_then(|text| text.split_once(": Str(")) {
                labels.push((label.to_owned(), text.strip_suffix(')').unwrap().to_owned()));
            } else if let Some(number) = line.strip_prefix("Value: ") {
                value = number.parse().ok();
            } else if let Some(number) = line.strip_prefix("Sum: ") {
                sum = number.parse().ok();
            } else if let Some((_, count)) = line.strip_prefix("Buckets #").and_then(|text| text.split_once("Count: "))
            {
                counts.push(count.parse().unwrap());
            }
        }
    }
    finish(&mut requests, &name, &mut labels, &mut value, &mut sum, &mut counts);
    requests
}

#[test]
fn rotel_has_what_was_pushed_cumulative_and_delta() {
    for temporality in [Temporality::Cumulative, Temporality::Delta] {
        let rotel = Rotel::start_for_metrics();
        let settings =
            OtlpMetrics::new().endpoint(rotel.http_endpoint()).temporality(temporality).every(HOUR).gzip(true);
        let telemetry = Telemetry::builder().auto_subscribers(false).otlp_metrics_with(settings).build().unwrap();
        for _ in 0..2 {
            fill(&telemetry);
            telemetry.flush_blocking().unwrap();
        }
        let expected = ours(&telemetry.metrics());
        let requests = wait_for("both pushes", || {
            let printed = rotel.printed();
            let requests = rotel_figures(&printed);
            let is_whole = requests.len() == 2 && requests[1].keys().any(|key| key.starts_with("shop.sent"));
            if is_whole && requests[1].keys().any(|key| key.starts_with("shop.level")) {
                Ok(requests)
            } else {
                Err(printed)
            }
        });
        let mut seen = Figures::new();
        for request in requests {
            match temporality {
                Temporality::Cumulative => seen = request,
                Temporality::Delta => add(&mut seen, request),
            }
        }
        assert_same(&seen, &expected);
    }
}

/// The metrics of that name that autotel-devtools has.
fn autotel_figures(address: SocketAddr, name: &str) -> Result<Figures, String> {
    let (_, body) = request(address, "POST", "/api/query/metrics", &format!("{{\"name\": \"{name}\"}}"));
    let json: Json = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
    let mut figures = Figures::new();
    for series in json["series"].as_array().ok_or_else(|| body.clone())? {
        let labels = series["attributes"].as_object().unwrap().iter();
        let labels = labels.map(|(name, value)| (name.as_str(), value.as_str().unwrap().to_owned()));
        let point = &series["points"][0];
        let numbers: Vec<u64> =
            point["bucketCounts"].as_array().into_iter().flatten().filter_map(Json::as_u64).collect();
        // It shows each byte of the counts as a number of its own.
        let counts = numbers.chunks(8).map(|bytes| bytes.iter().rev().fold(0, |number, byte| number << 8 | byte));
        // A sum of 0 it leaves out.
        let value = point["value"].as_f64().or(point["sum"].as_f64()).unwrap_or(0.0);
        figures.insert(key(name, labels), (value, counts.collect()));
    }
    if figures.is_empty() { Err(body) } else { Ok(figures) }
}

#[test]
fn autotel_has_what_was_pushed() {
    let autotel = Autotel::start();
    let settings = OtlpMetrics::new().endpoint(autotel.http_endpoint()).every(HOUR);
    let telemetry = Telemetry::builder().auto_subscribers(false).otlp_metrics_with(settings).build().unwrap();
    fill(&telemetry);
    telemetry.flush_blocking().unwrap();
    let expected = ours(&telemetry.metrics());
    let names = expected.keys().map(|key| key.split('{').next().unwrap().to_owned());
    let mut seen = Figures::new();
    for name in names.collect::<std::collections::BTreeSet<_>>() {
        seen.extend(wait_for(&name, || autotel_figures(autotel.address(), &name)));
    }
    assert_same(&seen, &expected);
}

#[test]
fn a_short_jobs_metrics_are_scraped_from_the_pushgateway() {
    let (_gateway, [address]) = Server::listening(|[address]| {
        let mut command = Command::new("prometheus-pushgateway");
        command.arg(format!("--web.listen-address={address}")).arg("--log.level=error");
        command
    });
    let config = format!(
        "global: {{scrape_interval: 200ms}}\nscrape_configs:\n\
         - {{job_name: gateway, honor_labels: true, static_configs: [{{targets: ['{address}']}}]}}\n"
    );
    let prometheus = Prometheus::start("pushgateway", &config);
    let server = format!("http://{address}");
    for instance in ["a", "b/ü"] {
        let gateway = Pushgateway::new(&server, "nightly").unwrap().label("instance", instance);
        let telemetry = Telemetry::builder().auto_subscribers(false).push_metrics(gateway, HOUR).build().unwrap();
        fill(&telemetry);
        let metrics = telemetry.metrics();
        drop(telemetry); // the job ends
        let selector = format!("job=\"nightly\",instance=\"{instance}\"");
        let failures = integration_tests::metrics::value(&metrics, "tasker.step.executions", &[("status", "failure")]);
        let query = format!("sum(tasker_step_executions_total{{{selector},status=\"failure\"}})");
        assert!(failures > 0.0 && prometheus.wait_for(&query, |_| true) == failures);
        let (count, sum) = integration_tests::metrics::histogram(&metrics, "tasker.step.duration", &[]);
        assert_eq!(prometheus.wait_for(&format!("tasker_step_duration_seconds_sum{{{selector}}}"), |_| true), sum);
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let count = count as f64;
        assert_eq!(prometheus.wait_for(&format!("tasker_step_duration_seconds_count{{{selector}}}"), |_| true), count);
    }
}
