//! Etsy's `StatsD` gets what we counted: counters, gauges and timers equal. Run by `scripts/test-services`.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]
#![cfg(feature = "services")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use integration_tests::metrics::{histogram, value};
use integration_tests::services::{Folder, installed, wait_for};
use serde_json::Value as Json;
use tasker_telemetry::metrics::statsd::StatsD;
use tasker_telemetry::prelude::*;
use trace_kit::ports;
use trace_kit::server::Server;

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
    server: Server,
    statsd: SocketAddr,
    flushes_seen: usize,
    _folder: Folder,
}

/// A backend as users write them: each flush as a line of JSON.
const BACKEND: &str = "exports.init = (_, __, events) => events.on('flush', (_, m) => console.log(JSON.stringify(\
                       {counters: m.counters, gauges: m.gauges, timers: m.timer_data}))) && true;";

impl Etsy {
    fn start() -> Self {
        let folder = Folder::new("statsd");
        let backend = folder.write("backend.js", BACKEND);
        // It is older than this Node, which no longer has `util.log`.
        let shim = folder.write("shim.js", "require('util').log = (...words) => console.error(...words);");
        let stats_js = installed("statsd/node_modules/statsd/stats.js");
        assert!(stats_js.exists(), "{}: run scripts/test-services", stats_js.display());
        let mut statsd = ports::udp();
        let (server, _) = Server::listening(|[management]| {
            statsd = ports::udp();
            let config = format!(
                "{{ port: {}, address: '127.0.0.1', mgmt_address: '127.0.0.1', mgmt_port: {}, flushInterval: 500,\n\
                 backends: ['{}'], deleteCounters: true }}",
                statsd.port(),
                management.port(),
                backend.display()
            );
            let config = folder.write("config.js", &config);
            let mut command = Command::new(installed("node-binary"));
            command.arg("--require").arg(&shim).arg(&stats_js).arg(config);
            command
        });
        let mut etsy = Self { server, statsd, flushes_seen: 0, _folder: folder };
        etsy.next(); // it is there
        etsy
    }

    fn next(&mut self) -> Json {
        let flush = wait_for("a flush of statsd", || {
            let printed = self.server.printed();
            // The last may not be whole.
            let mut whole =
                printed.split_inclusive('\n').filter_map(|line| serde_json::from_str(line.strip_suffix('\n')?).ok());
            whole.nth(self.flushes_seen).ok_or(printed)
        });
        self.flushes_seen += 1;
        flush
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
    let mut etsy = Etsy::start();
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
