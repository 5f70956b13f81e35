//! A real Prometheus reads what we write: promtool accepts the text, both formats are scraped, and `PromQL` gives the figures
//! that the event log gives. Run by `scripts/test-services`.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]
#![cfg(feature = "services")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use integration_tests::services::{Prometheus, encoded};
use serde_json::Value as Json;
use tasker_telemetry::metrics::serve::Pages;
use tasker_telemetry::metrics::{DEFAULT_BUCKETS, Format};
use tasker_telemetry::prelude::*;

#[step(retry_limit = 2)]
fn work(number: u32) -> Result<(), String> {
    std::thread::sleep(Duration::from_micros(u64::from(number % 40) * 700));
    if number.is_multiple_of(10) { Err("timeout".to_owned()) } else { Ok(()) }
}

#[task(id = format!("order {number}"))]
fn order(number: u32) -> Result<(), String> {
    work(number)
}

/// Of each attempt whether it ended well, and how long it took.
type Attempts = Arc<Mutex<Vec<(bool, f64)>>>;

/// Keeps them.
#[derive(Subscriber)]
#[subscribe("step.completed", "step.failed")]
#[subscriber(manual)]
struct Log(Attempts);

impl Log {
    fn handle_step_completed(&self, event: &event::step::Completed) {
        self.0.lock().unwrap().push((true, event.execution_duration));
    }

    fn handle_step_failed(&self, event: &event::step::Failed) {
        self.0.lock().unwrap().push((false, event.execution_duration));
    }
}

fn telemetry() -> (Telemetry, Attempts) {
    let log = Arc::new(Mutex::new(Vec::new()));
    (Telemetry::builder().auto_subscribers(false).subscriber(Log(Arc::clone(&log))).build().unwrap(), log)
}

fn run_orders(telemetry: &Telemetry, orders: u32) {
    for number in 1..=orders {
        let _ = telemetry.in_scope(|| order(number));
    }
    telemetry.flush_blocking().unwrap();
}

#[test]
fn promtool_finds_nothing_to_say() {
    let (telemetry, _log) = telemetry();
    run_orders(&telemetry, 30);
    let metrics = telemetry.metrics();
    let hostile = metrics.counter("hostile_total", &[("value", "quote\" back\\slash new\nline 💥")]).unwrap();
    hostile.inc();
    metrics.describe("hostile_total", "Help with \\ and\nnew line.").unwrap();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    promtool.stdin.take().unwrap().write_all(metrics.render(Format::Prometheus).as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && text.is_empty(), "{}: {text}", said.status);
}

/// A Prometheus that scrapes both formats. `job` tells them apart: the one without `OpenMetrics` goes through a proxy that hides
/// that we speak it.
fn prometheus(target: SocketAddr) -> Prometheus {
    let plain = plain_proxy(target);
    let config = format!(
        "global: {{scrape_interval: 200ms}}\nscrape_configs:\n\
         - {{job_name: openmetrics, static_configs: [{{targets: ['{target}']}}]}}\n\
         - {{job_name: text, static_configs: [{{targets: ['{plain}']}}]}}\n"
    );
    Prometheus::start("formats", &config)
}

/// Answers each request with what `target` says to a client that has no wish.
fn plain_proxy(target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), Ok(mut to)) = (stream, TcpStream::connect(target)) else { break };
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(to, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let mut answer = Vec::new();
            let _ = to.read_to_end(&mut answer);
            let _ = stream.write_all(&answer);
        }
    });
    address
}

/// The index of the bucket that holds a value.
fn bucket(value: f64) -> usize {
    DEFAULT_BUCKETS.iter().filter(|bound| **bound < value).count()
}

#[test]
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn promql_gives_the_figures_of_the_event_log() {
    let (telemetry, log) = telemetry();
    let server = Pages::new(telemetry.metrics()).serve("127.0.0.1:0").unwrap();
    run_orders(&telemetry, 5); // the series are there before what is counted by rates
    let prometheus = prometheus(server.local_addr());
    for job in ["openmetrics", "text"] {
        prometheus.wait_for(&format!("up{{job=\"{job}\"}}"), |up| up == 1.0);
        prometheus.wait_for(&format!("sum(tasker_task_executions_total{{job=\"{job}\"}})"), |tasks| tasks == 5.0);
    }
    let before = log.lock().unwrap().len();
    run_orders(&telemetry, 200);
    let log = log.lock().unwrap();
    let attempts = log.len() as f64;
    let failed = log.iter().filter(|(ok, _)| !ok).count() as f64;
    let mut durations: Vec<f64> = log.iter().map(|(_, seconds)| *seconds).collect();
    durations.sort_by(f64::total_cmp);
    let p95 = durations[(durations.len() * 95).div_ceil(100) - 1];

    for job in ["openmetrics", "text"] {
        let query = |text: &str| text.replace("JOB", &format!("job=\"{job}\""));
        let sum = query("sum(tasker_step_executions_total{JOB})");
        prometheus.wait_for(&sum, |count| count == attempts);
        let failures = query("sum(tasker_step_executions_total{JOB,status=\"failure\"})");
        assert_eq!(prometheus.wait_for(&failures, |_| true), failed);
        let ratio = format!("{failures} / {sum}");
        assert!((prometheus.wait_for(&ratio, |_| true) - failed / attempts).abs() < 1e-12);
        let errors = query("sum(tasker_step_errors_total{JOB,error_type=\"other\"})");
        assert_eq!(prometheus.wait_for(&errors, |_| true), failed);
        let quantile = query("histogram_quantile(0.95, sum by (le) (tasker_step_duration_seconds_bucket{JOB}))");
        let seen = prometheus.wait_for(&quantile, f64::is_finite);
        assert!(bucket(seen).abs_diff(bucket(p95)) <= 1, "{job}: {seen}, by the events {p95}");
        let total = prometheus.wait_for(&query("sum(tasker_step_duration_seconds_sum{JOB})"), |_| true);
        assert!((total - durations.iter().sum::<f64>()).abs() < 1e-9 * total, "{total}");
        // Extrapolated by Prometheus, so near, not equal.
        let increase = query("sum(increase(tasker_step_executions_total{JOB}[1m]))");
        let new = attempts - before as f64;
        prometheus.wait_for(&increase, |seen| (0.5 * new..1.5 * new).contains(&seen));
    }

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let path = format!(
        "/api/v1/query_exemplars?query={}&start={}&end={}",
        encoded("tasker_step_duration_seconds_bucket"),
        now - 60,
        now + 1
    );
    let exemplars = prometheus.get(&path);
    let traces: Vec<&Json> = exemplars["data"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|series| series["exemplars"].as_array().into_iter().flatten())
        .map(|exemplar| &exemplar["labels"]["trace_id"])
        .collect();
    assert!(
        !traces.is_empty() && traces.iter().all(|trace| trace.as_str().is_some_and(|id| id.len() == 32)),
        "{exemplars}"
    );
}
