//! `StatsD` and `DogStatsD`, as a server reads them from its socket.

use std::net::UdpSocket;
use std::time::Duration;

use tasker_telemetry::prelude::*;
use tasker_telemetry::subscribers::StatsDEvents;
use tasker_telemetry::testing::block_on;

use super::{books, order};

/// A line of the protocol: name, value, type, tags.
fn parse(line: &str) -> (String, f64, String, Vec<String>) {
    let (name, rest) = line.split_once(':').unwrap_or_else(|| panic!("no value in {line}"));
    let mut parts = rest.split('|');
    let value = parts.next().unwrap().parse().unwrap_or_else(|error| panic!("{error}: {line}"));
    let kind = parts.next().unwrap_or_else(|| panic!("no type in {line}")).to_owned();
    assert!(matches!(kind.as_str(), "c" | "ms"), "{line}");
    let tags = parts.next().map(|tags| tags.strip_prefix('#').expect("tags").split(',').map(str::to_owned).collect());
    assert!(parts.next().is_none(), "{line}");
    (name.to_owned(), value, kind, tags.unwrap_or_default())
}

fn received(make: impl FnOnce(std::net::SocketAddr) -> StatsDEvents) -> Vec<(String, f64, String, Vec<String>)> {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let events = make(server.local_addr().unwrap());
    let telemetry = Telemetry::builder().auto_subscribers(false).subscriber(events).build().unwrap();
    let _ = block_on(telemetry.scope(order("ORD-1", 1)));
    telemetry.flush_blocking().unwrap();
    let (published, delivered, failed, _) = books(&telemetry.health(), "StatsDEvents");
    assert_eq!((published, delivered, failed), (11, 11, 0));
    let mut lines = Vec::new();
    let mut packet = vec![0; 65_536];
    for _ in 0..published {
        let length = server.recv(&mut packet).expect("a datagram an event");
        lines.extend(std::str::from_utf8(&packet[..length]).unwrap().lines().map(parse));
    }
    lines
}

fn counts<'a>(lines: &'a [(String, f64, String, Vec<String>)], name: &str) -> Vec<&'a [String]> {
    let counters = lines.iter().filter(|(of, _, kind, _)| of == name && kind == "c");
    counters.inspect(|(_, value, ..)| assert!((*value - 1.0).abs() < f64::EPSILON)).map(|(.., tags)| &**tags).collect()
}

#[test]
fn dog_gets_tags() {
    let lines = received(|address| StatsDEvents::udp(address).unwrap().dog().tag("env", "te|st"));
    assert_eq!(
        counts(&lines, "tasker.step.failed"),
        [
            &["task:order_process", "step:charge", "retryable:true", "attempt:1", "error_type:timeout", "env:te_st"][..],
            &["task:order_process", "step:charge", "retryable:true", "attempt:2", "error_type:timeout", "env:te_st"],
        ]
    );
    assert_eq!(counts(&lines, "tasker.task.failed"), [&["task:order_process", "error_type:timeout", "env:te_st"][..]]);
    assert_eq!(counts(&lines, "tasker.step.retry_requested").len(), 1);
    let timings =
        |name: &str| lines.iter().filter(|(of, value, kind, _)| of == name && *value >= 0.0 && kind == "ms").count();
    assert_eq!((timings("tasker.step.execution_duration"), timings("tasker.task.execution_duration")), (2, 1));
    assert_eq!((timings("tasker.step.queue_time"), timings("tasker.step.backoff")), (2, 1));
}

#[test]
fn plain_gets_names() {
    let lines = received(|address| StatsDEvents::udp(address).unwrap().prefix("shop.tasker"));
    assert_eq!(counts(&lines, "shop.tasker.step.failed.order_process.charge").len(), 2);
    assert_eq!(counts(&lines, "shop.tasker.task.failed.order_process").len(), 1);
    assert!(lines.iter().all(|(.., tags)| tags.is_empty()), "it has no tags");
}

#[test]
fn nobody_listens_and_nobody_is_harmed() {
    let free = trace_kit::ports::udp();
    let telemetry =
        Telemetry::builder().auto_subscribers(false).subscriber(StatsDEvents::udp(free).unwrap()).build().unwrap();
    assert_eq!(block_on(telemetry.scope(order("ORD-1", 0))).unwrap(), 7);
    telemetry.flush_blocking().unwrap();
    assert_eq!(books(&telemetry.health(), "StatsDEvents").1, 6);
}
