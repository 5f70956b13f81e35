//! Metrics that are pushed: when, in which words to `StatsD`, and what happens when it fails.

use std::io;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use integration_tests::{EXPECTED, quiet_expected_panics};
use tasker_telemetry::Builder;
use tasker_telemetry::metrics::MetricsBackend;
use tasker_telemetry::metrics::push::{Push, PushError, Pusher};
use tasker_telemetry::metrics::statsd::StatsD;
use tasker_telemetry::prelude::*;

const HOUR: Duration = Duration::from_hours(1);

fn builder() -> Builder {
    Telemetry::builder().auto_subscribers(false)
}

/// A server that keeps what it is sent.
struct Udp(UdpSocket);

impl Udp {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Self(socket)
    }

    fn statsd(&self) -> StatsD {
        StatsD::udp(self.0.local_addr().unwrap()).unwrap()
    }

    fn datagrams(&self) -> Vec<String> {
        let mut seen = Vec::new();
        let mut buffer = vec![0; 65_536];
        while let Ok(length) = self.0.recv(&mut buffer) {
            seen.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        seen
    }

    /// The lines about metrics of this test's own.
    fn lines(&self) -> Vec<String> {
        let lines: Vec<_> =
            self.datagrams().iter().flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        lines.into_iter().filter(|line| line.contains("shop.")).collect()
    }
}

fn fill(metrics: &MetricsBackend) {
    metrics.counter("shop_orders_total", &[("status", "paid"), ("to", "a.b c")]).unwrap().add(3);
    metrics.gauge("shop_level", &[]).unwrap().set(-2.5);
    metrics.gauge("shop_none", &[]).unwrap().set(f64::NAN);
    let wait = metrics.histogram_with_buckets("shop_wait_seconds", &[], &[0.1, 1.0]).unwrap();
    wait.record(0.05);
    wait.record(0.05);
    metrics.histogram_with_buckets("shop_upload_bytes", &[], &[1e3]).unwrap().record(500.0);
}

#[test]
fn statsd_gets_changes_and_values() {
    let server = Udp::new();
    let telemetry = builder().push_metrics(server.statsd(), HOUR).build().unwrap();
    let metrics = telemetry.metrics();
    fill(&metrics);
    telemetry.flush_blocking().unwrap();
    assert_eq!(
        server.lines(),
        [
            "shop.level:0|g",
            "shop.level:-2.5|g",
            "shop.orders.paid.a_b_c:3|c",
            "shop.upload:500|ms",
            "shop.wait:50|ms",
            "shop.wait:50|ms",
        ]
    );
    metrics.counter("shop_orders_total", &[("status", "paid"), ("to", "a.b c")]).unwrap().add(4);
    telemetry.shutdown_blocking().unwrap();
    assert_eq!(server.lines(), ["shop.level:0|g", "shop.level:-2.5|g", "shop.orders.paid.a_b_c:4|c"]);
    telemetry.shutdown_blocking().unwrap();
    assert!(server.lines().is_empty());
    let health = telemetry.health();
    assert_eq!((health.metric_pushes[0].name, health.metric_pushes[0].pushed), ("statsd", 2));
}

#[test]
fn dogstatsd_gets_labels_as_tags() {
    let server = Udp::new();
    let statsd = server.statsd().dog().prefix("eu").tag("env", "test");
    let telemetry = builder().push_metrics(statsd, HOUR).build().unwrap();
    fill(&telemetry.metrics());
    telemetry.shutdown_blocking().unwrap();
    assert_eq!(
        server.lines(),
        [
            "eu.shop.level:-2.5|g|#env:test",
            "eu.shop.orders:3|c|#status:paid,to:a.b c,env:test",
            "eu.shop.upload:500|h|#env:test",
            "eu.shop.wait:50|ms|#env:test",
            "eu.shop.wait:50|ms|#env:test",
        ]
    );
}

#[test]
fn datagrams_stay_small_and_a_masked_label_stays_masked() {
    let server = Udp::new();
    let telemetry = builder().push_metrics(server.statsd().dog().max_packet(200), HOUR).build().unwrap();
    for id in 0..50 {
        telemetry.metrics().counter("shop_mails_total", &[("email", "a@x.org"), ("n", &id.to_string())]).unwrap().inc();
    }
    telemetry.shutdown_blocking().unwrap();
    let datagrams = server.datagrams();
    assert!(datagrams.len() == 10 && datagrams.iter().all(|text| text.len() <= 200), "{datagrams:?}");
    let text = datagrams.join("\n");
    assert_eq!(text.matches("shop.mails:1|c|#email:[FILTERED],n:").count(), 50, "{text}");
}

/// A network that is down at times.
struct Flaky {
    down: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl cadence::MetricSink for Flaky {
    fn emit(&self, text: &str) -> io::Result<usize> {
        if self.down.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::NetworkDown.into());
        }
        self.sent.lock().unwrap().push(text.to_owned());
        Ok(text.len())
    }
}

#[test]
fn what_could_not_be_sent_is_sent_later() {
    let (down, sent) = (Arc::new(AtomicBool::new(true)), Arc::default());
    let sink = Flaky { down: Arc::clone(&down), sent: Arc::clone(&sent) };
    let telemetry = builder().push_metrics(StatsD::to_sink(sink), HOUR).build().unwrap();
    let orders = telemetry.metrics().counter("shop_orders_total", &[]).unwrap();
    orders.add(5);
    let error = telemetry.flush_blocking().unwrap_err();
    assert_eq!(error.failed_pushes(), ["statsd"]);
    assert!(error.to_string().contains("statsd") && error.subscribers().is_empty(), "{error}");
    assert!(!telemetry.health().is_clean());
    assert!(telemetry.health().metric_pushes[0].last_error.is_some());
    orders.add(2);
    down.store(false, Ordering::Relaxed);
    telemetry.flush_blocking().unwrap();
    let sent = sent.lock().unwrap().join("\n");
    assert!(sent.contains("shop.orders:7|c"), "{sent}");
}

/// Counts how often it is asked, and does as it is told.
struct Probe<F>(Arc<AtomicU32>, F);

impl<F: Fn(u32) -> Result<(), PushError> + Send + 'static> Push for Probe<F> {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn push(&mut self, _: &MetricsBackend, _: Instant) -> Result<(), PushError> {
        (self.1)(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn wait_until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_is_pushed_again_and_again_also_after_a_panic() {
    quiet_expected_panics();
    let calls = Arc::new(AtomicU32::new(0));
    let probe = Probe(Arc::clone(&calls), |call| if call == 0 { panic!("{EXPECTED}") } else { Ok(()) });
    let telemetry = builder().push_metrics(probe, Duration::from_millis(1)).build().unwrap();
    wait_until(|| calls.load(Ordering::Relaxed) > 5);
    let health = &telemetry.health().metric_pushes[0];
    assert_eq!((health.failed, health.last_error.as_deref()), (1, Some("nothing is pushed any more: it panicked")));
}

#[test]
fn a_push_that_hangs_holds_up_no_shutdown() {
    let (hang, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let probe = Probe(Arc::default(), move |_| {
        let _ = blocked.lock().unwrap().recv();
        Ok(())
    });
    let telemetry = builder().shutdown_timeout(Duration::from_millis(10)).push_metrics(probe, HOUR).build().unwrap();
    let error = tasker_telemetry::testing::block_on(telemetry.shutdown()).unwrap_err();
    assert_eq!(error.failed_pushes(), ["probe"]);
    drop(telemetry);
    drop(hang);
}

#[test]
fn a_pusher_of_ones_own_pushes_when_told_and_when_dropped() {
    let telemetry = builder().build().unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let probe = Probe(Arc::clone(&calls), |call| {
        if call == 0 { Err(PushError::Io(io::ErrorKind::ConnectionRefused.into())) } else { Ok(()) }
    });
    let pusher = Pusher::start(telemetry.metrics(), probe, HOUR).unwrap();
    assert!(matches!(pusher.push_now(), Err(PushError::Io(_))));
    pusher.push_now().unwrap();
    drop(pusher);
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[test]
fn nothing_is_pushed_while_metrics_are_off() {
    let server = Udp::new();
    let telemetry = builder().metrics_enabled(false).push_metrics(server.statsd(), HOUR).build().unwrap();
    telemetry.shutdown_blocking().unwrap();
    assert!(server.datagrams().is_empty() && telemetry.health().metric_pushes.is_empty());
}
