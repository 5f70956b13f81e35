//! The exports, byte for byte where it matters, and with labels that would break a careless one.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]

use serde_json::{Value as Json, json};
use tasker_telemetry::metrics::{Format, MetricError, MetricsBackend};
use tasker_telemetry::prelude::*;

fn backend() -> (Telemetry, MetricsBackend) {
    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    let metrics = telemetry.metrics();
    (telemetry, metrics)
}

fn filled() -> (Telemetry, MetricsBackend) {
    let (telemetry, metrics) = backend();
    metrics.counter("shop_orders_total", &[("status", "paid")]).unwrap().add(3);
    metrics.describe("shop.orders", "Orders \"taken\".\nAll \\ of them.").unwrap();
    metrics.gauge("shop_level", &[]).unwrap().set(-2.5);
    let wait = metrics.histogram_with_buckets("shop_wait_seconds", &[("queue", "a")], &[0.1, 1.0]).unwrap();
    for seconds in [0.05, 0.1, 0.5, 7.0] {
        wait.record(seconds);
    }
    (telemetry, metrics)
}

#[test]
fn prometheus_text() {
    let (_telemetry, metrics) = filled();
    assert_eq!(
        metrics.render(Format::Prometheus),
        r#"# TYPE shop_level gauge
shop_level -2.5
# HELP shop_orders_total Orders "taken".\nAll \\ of them.
# TYPE shop_orders_total counter
shop_orders_total{status="paid"} 3
# TYPE shop_wait_seconds histogram
shop_wait_seconds_bucket{queue="a",le="0.1"} 2
shop_wait_seconds_bucket{queue="a",le="1"} 3
shop_wait_seconds_bucket{queue="a",le="+Inf"} 4
shop_wait_seconds_sum{queue="a"} 7.65
shop_wait_seconds_count{queue="a"} 4
"#
    );
}

#[test]
fn openmetrics_text() {
    let (_telemetry, metrics) = filled();
    assert_eq!(
        metrics.render(Format::OpenMetrics),
        r#"# TYPE shop_level gauge
shop_level -2.5
# HELP shop_orders Orders \"taken\".\nAll \\ of them.
# TYPE shop_orders counter
shop_orders_total{status="paid"} 3
# TYPE shop_wait_seconds histogram
# UNIT shop_wait_seconds seconds
shop_wait_seconds_bucket{queue="a",le="0.1"} 2
shop_wait_seconds_bucket{queue="a",le="1.0"} 3
shop_wait_seconds_bucket{queue="a",le="+Inf"} 4
shop_wait_seconds_sum{queue="a"} 7.65
shop_wait_seconds_count{queue="a"} 4
# EOF
"#
    );
}

#[test]
fn json_shape() {
    let (_telemetry, metrics) = filled();
    let mut json: Json = serde_json::from_str(&metrics.render(Format::Json)).unwrap();
    let timestamp = json["timestamp"].take();
    assert!(timestamp.as_str().is_some_and(|time| time.ends_with('Z')), "{timestamp}");
    assert_eq!(
        json["metrics"],
        json!({
            "counters": [{"name": "shop.orders", "labels": {"status": "paid"}, "value": 3}],
            "gauges": [{"name": "shop.level", "labels": {}, "value": -2.5}],
            "histograms": [{
                "name": "shop.wait", "labels": {"queue": "a"}, "count": 4, "sum": 7.65,
                "buckets": [{"le": 0.1, "count": 2}, {"le": 1.0, "count": 3}, {"le": "+Inf", "count": 4}],
            }],
        })
    );
}

#[test]
fn csv_lines() {
    let (_telemetry, metrics) = filled();
    let csv = metrics.render(Format::Csv);
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(lines[0], "name,type,labels,value,count,sum,le,timestamp");
    let without_time: Vec<_> = lines[1..].iter().map(|line| line.rsplit_once(',').unwrap().0).collect();
    assert_eq!(
        without_time,
        [
            "shop.level,gauge,{},-2.5,,,",
            r#"shop.orders,counter,"{""status"":""paid""}",3,,,"#,
            r#"shop.wait,histogram,"{""queue"":""a""}",,2,7.65,0.1"#,
            r#"shop.wait,histogram,"{""queue"":""a""}",,3,7.65,1"#,
            r#"shop.wait,histogram,"{""queue"":""a""}",,4,7.65,+Inf"#,
        ]
    );
}

const HOSTILE: [&str; 10] = [
    "quote\" } 1\nfake_metric 7",
    "back\\slash\\",
    "line\nfeed\r\n",
    "💥 ünïcödé",
    "",
    "comma,semi;colon=equals",
    "\u{0}\u{7}\u{1b}[31m",
    "le=\"+Inf\"",
    "{}",
    "\u{202e}reversed",
];

/// What the value of a label says, as the specification of the text formats reads it.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(c) => out.push(c),
                None => panic!("a lone backslash in {text:?}"),
            },
            c => out.push(c),
        }
    }
    out
}

#[test]
fn hostile_label_values_come_back_unchanged() {
    let (_telemetry, metrics) = backend();
    for (number, value) in HOSTILE.iter().enumerate() {
        metrics.counter("hostile_total", &[("value", value)]).unwrap().add(number as u64);
    }
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let page = metrics.render(format);
        let lines: Vec<_> = page.split('\n').filter(|line| line.starts_with("hostile_total{value=\"")).collect();
        assert_eq!(lines.len(), HOSTILE.len());
        assert!(!page.lines().any(|line| line.starts_with("fake_metric")));
        for (number, (line, value)) in lines.iter().zip(HOSTILE).enumerate() {
            let text =
                line.strip_prefix("hostile_total{value=\"").unwrap().strip_suffix(&format!("\"}} {number}")).unwrap();
            assert_eq!(unescaped(text), value);
        }
    }
    let json: Json = serde_json::from_str(&metrics.render(Format::Json)).unwrap();
    let values: Vec<_> =
        json["metrics"]["counters"].as_array().unwrap().iter().map(|series| &series["labels"]["value"]).collect();
    assert_eq!(values, HOSTILE);
    // Quotes are doubled inside quotes, so an even number of them stands before each true end of a line.
    let csv = metrics.render(Format::Csv);
    assert_eq!(csv.matches('"').count() % 2, 0);
}

#[test]
fn a_megabyte_is_cut_and_an_impossible_name_is_named() {
    let (_telemetry, metrics) = backend();
    let megabyte = "x".repeat(1 << 20);
    metrics.counter("long_total", &[("value", &megabyte)]).unwrap().inc();
    assert!(metrics.render(Format::Prometheus).len() < 3_000);
    for name in ["", "1st", "with space", "with-dash", "größe", "new\nline", "💥", &megabyte, "tasker_own"] {
        let error = metrics.counter(name, &[]).unwrap_err();
        let start: String = name.chars().take(100).collect();
        assert!(matches!(&error, MetricError::Name { name, .. } if *name == start), "{error}");
        assert!(error.to_string().len() < 500);
    }
    for label in ["", "with space", "le", "__x", "ü"] {
        let error = metrics.counter("fine_total", &[(label, "x")]).unwrap_err();
        assert!(matches!(&error, MetricError::Label { label: named, .. } if named == label), "{error}");
    }
    assert!(metrics.counter("fine_total", &[("a", "1"), ("a", "2")]).is_err());
    assert!(!metrics.render(Format::Prometheus).contains("fine_total"));
}

static WRONG: Counter = Counter::new("wrong name", "");

#[test]
fn a_static_with_an_impossible_name_is_no_trouble_and_no_secret() {
    let (_telemetry, metrics) = backend();
    WRONG.inc();
    WRONG.inc();
    assert!(metrics.problems().iter().any(|problem| problem.contains("\"wrong name\"")), "{:?}", metrics.problems());
    assert_eq!(metrics.problems().iter().filter(|problem| problem.contains("wrong name")).count(), 1);
}

#[test]
fn numbers_that_are_none_are_written_as_each_format_says() {
    let (_telemetry, metrics) = backend();
    for (name, value) in [("g_nan", f64::NAN), ("g_inf", f64::INFINITY), ("g_neg", f64::NEG_INFINITY)] {
        metrics.gauge(name, &[]).unwrap().set(value);
    }
    let page = metrics.render(Format::Prometheus);
    assert!(page.contains("\ng_nan NaN\n") && page.contains("g_inf +Inf\n") && page.contains("g_neg -Inf\n"), "{page}");
    let json: Json = serde_json::from_str(&metrics.render(Format::Json)).unwrap();
    assert!(json["metrics"]["gauges"].as_array().unwrap().iter().all(|gauge| gauge["value"].is_null()));
}

#[test]
fn what_the_filter_names_is_in_no_export() {
    let (_telemetry, metrics) = backend();
    for (mail, status, add) in [("a@x.org", "ok", 1), ("b@x.org", "ok", 2), ("b@x.org", "bad", 4)] {
        metrics.counter("mails_total", &[("email", mail), ("status", status)]).unwrap().add(add);
        metrics.histogram("mail_seconds", &[("email", mail)]).unwrap().record(0.5);
    }
    for format in Format::ALL {
        let page = metrics.render(format);
        assert!(!page.contains("x.org") && page.contains("[FILTERED]"), "{page}");
    }
    let page = metrics.render(Format::Prometheus);
    assert!(page.contains("mails_total{email=\"[FILTERED]\",status=\"ok\"} 3\n"), "{page}");
    assert!(page.contains("mails_total{email=\"[FILTERED]\",status=\"bad\"} 4\n"), "{page}");
    assert!(page.contains("mail_seconds_count{email=\"[FILTERED]\"} 3\n"), "{page}");
}

#[step]
async fn pays() {
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
}

#[task(id = id)]
async fn order(id: &str) {
    pays().await;
}

#[tokio::test]
async fn exemplars_name_the_trace_of_a_run() {
    let (telemetry, metrics) = backend();
    telemetry.scope(order("0190a5b6-7c8d-7e9f-8a0b-1c2d3e4f5061")).await;
    let page = metrics.render(Format::OpenMetrics);
    for metric in ["tasker_step_duration_seconds_bucket", "tasker_task_duration_seconds_bucket"] {
        let lines: Vec<_> = page.lines().filter(|line| line.starts_with(metric) && line.contains(" # ")).collect();
        // In the bucket it fell into, and in no other.
        assert_eq!(lines.len(), 1, "{page}");
        let (sample, exemplar) = lines[0].split_once(" # ").unwrap();
        let rest = exemplar.strip_prefix("{trace_id=\"0190a5b67c8d7e9f8a0b1c2d3e4f5061\"} ").expect(exemplar);
        let (value, time) = rest.split_once(' ').unwrap();
        let le: f64 = sample.split("le=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        assert!(
            value.parse::<f64>().unwrap() <= le && value.parse::<f64>().unwrap() >= 0.002,
            "{exemplar} in {sample}"
        );
        assert!(time.parse::<f64>().unwrap() > 1.6e9);
    }
    assert!(!metrics.render(Format::Prometheus).contains("trace_id"));
}

#[test]
fn formats_have_names() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
        assert_eq!(format.to_string(), format.name());
    }
    assert!("xml".parse::<Format>().unwrap_err().to_string().contains("openmetrics"));
}

#[test]
fn the_page_about_metrics_names_every_one_of_the_librarys_own() {
    let page = include_str!("../../docs/metrics.md");
    for metric in tasker_telemetry::metrics::catalog().iter().filter(|metric| metric.name.starts_with("tasker_")) {
        let labels = metric.labels.join(", ");
        let row = format!("| `{}` | `{}` | {} | {labels} |", metric.name, metric.dotted_name, metric.kind.name());
        assert!(page.contains(&row), "{row}");
    }
}
