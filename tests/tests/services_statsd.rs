//! Etsy's `StatsD` gets what we counted: counters, gauges and timers equal. Run by `scripts/test-services`.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]
#![cfg(feature = "services")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use integration_tests::metrics::{histogram, value};
use integration_tests::services::{Folder, Server, free_address, free_udp_address, installed};
use serde_json::Value as Json;
use tasker_telemetry::metrics::statsd::StatsD;
use tasker_telemetry::prelude::*;

#[step(retry_limit = 2)]
fn work(number: u32) -> Result<(), String> {
    std::thread::sleep(Duration::from_micros(u64::from(number % 20) * 700));
    if number.is_multiple_of(5) { Err("timeout".to_owned()) } else { Ok(()) }
}

#[task(id = format!("order {number}"))]
fn order(number: u32) -> Result<(), String> {
    work(number)
}

struct Etsy {
    _server: Server,
    statsd: SocketAddr,
    flushed: Receiver<Json>,
    _folder: Folder,
}

/// A backend as users write them: each flush as a line of JSON.
const BACKEND: &str = "exports.init = (_, __, events) => events.on('flush', (_, m) => console.log(JSON.stringify(\
                       {counters: m.counters, gauges: m.gauges, timers: m.timer_data}))) && true;";

impl Etsy {
    fn start() -> Self {
        let (statsd, management) = (free_udp_address(), free_address());
        let folder = Folder::new("statsd");
        let backend = folder.write("backend.js", BACKEND);
        let config = format!(
            "{{ port: {}, address: '127.0.0.1', mgmt_address: '127.0.0.1', mgmt_port: {}, flushInterval: 500,\n\
             backends: ['{}'], deleteCounters: true }}",
            statsd.port(),
            management.port(),
            backend.display()
        );
        let config = folder.write("config.js", &config);
        let stats_js = installed("statsd/node_modules/statsd/stats.js");
        assert!(stats_js.exists(), "{}: run scripts/test-services", stats_js.display());
        // It is older than this Node, which no longer has `util.log`.
        let shim = folder.write("shim.js", "require('util').log = (...words) => console.error(...words);");
        let mut command = Command::new(installed("node-binary"));
        command.arg("--require").arg(shim).arg(stats_js).arg(config).stdout(Stdio::piped());
        let mut server = Server::start(&mut command);
        let lines = BufReader::new(server.stdout()).lines();
        let (flush, flushed) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = serde_json::from_str(&line).map(|json| flush.send(json));
            }
        });
        let etsy = Self { _server: server, statsd, flushed, _folder: folder };
        etsy.next(); // it is there
        etsy
    }

    fn next(&self) -> Json {
        self.flushed.recv_timeout(Duration::from_secs(30)).expect("statsd flushes")
    }
}

/// What it said in several flushes.
#[derive(Debug, Default)]
struct Sums {
    counters: BTreeMap<String, f64>,
    gauges: BTreeMap<String, f64>,
    timer_counts: BTreeMap<String, f64>,
    timer_totals: BTreeMap<String, f64>,
}

impl Sums {
    fn add(&mut self, flush: &Json) {
        let number = |value: &Json| value.as_f64().unwrap_or_default();
        for (key, value) in flush["counters"].as_object().into_iter().flatten() {
            *self.counters.entry(key.clone()).or_default() += number(value);
        }
        for (key, value) in flush["gauges"].as_object().into_iter().flatten() {
            self.gauges.insert(key.clone(), number(value));
        }
        for (key, value) in flush["timers"].as_object().into_iter().flatten() {
            *self.timer_counts.entry(key.clone()).or_default() += number(&value["count"]);
            *self.timer_totals.entry(key.clone()).or_default() += number(&value["sum"]);
        }
    }
}

#[test]
fn counters_gauges_and_timers_are_equal() {
    let etsy = Etsy::start();
    let statsd = StatsD::udp(etsy.statsd).unwrap();
    let telemetry =
        Telemetry::builder().auto_subscribers(false).push_metrics(statsd, Duration::from_hours(1)).build().unwrap();
    let metrics = telemetry.metrics();
    metrics.gauge("level", &[]).unwrap().set(-7.25);
    let mut sums = Sums::default();
    // Twice: what comes second is told as a change.
    for _ in 0..2 {
        for number in 1..=100 {
            let _ = telemetry.in_scope(|| order(number));
        }
        telemetry.flush_blocking().unwrap();
        let (count, sum) = histogram(&metrics, "tasker.step.duration", &[]);
        let (key, count) = ("tasker.step.duration.order.work", f64::from(u32::try_from(count).unwrap()));
        let begun = Instant::now();
        while sums.timer_counts.get(key) != Some(&count) {
            sums.add(&etsy.next());
            assert!(begun.elapsed() < Duration::from_secs(30), "{count} {sums:?}");
        }
        sums.add(&etsy.next()); // and no more comes
        assert_eq!(sums.timer_counts[key], count);
        let expected = sum * 1e3;
        assert!((sums.timer_totals[key] - expected).abs() < 1e-6 * expected, "by us {expected} ms: {sums:?}");
        for status in ["success", "failure", "cancelled"] {
            let ours = value(&metrics, "tasker.step.executions", &[("status", status)]);
            assert_eq!(sums.counters[&format!("tasker.step.executions.order.work.{status}")], ours, "{status}");
        }
        assert!(value(&metrics, "tasker.step.executions", &[("status", "failure")]) > 0.0);
        assert_eq!((sums.gauges["level"], sums.gauges["tasker.tasks.in_progress.order"]), (-7.25, 0.0));
        assert_eq!(sums.counters["statsd.bad_lines_seen"], 0.0);
    }
}
