//! Options of the ways that metrics leave: a Pushgateway, `StatsD`, pages. Each changes what arrives there.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_tests::settings::as_text;
use tasker_telemetry::prelude::*;
use tasker_telemetry::settings;
use tasker_telemetry::testing::block_on;

#[task]
async fn order_process() {}

/// A server that answers every request and keeps the heads.
fn http() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, heads) = (listener.local_addr().unwrap().to_string(), Arc::new(Mutex::new(String::new())));
    let kept = Arc::clone(&heads);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut bytes, mut buffer) = (Vec::new(), [0; 8_192]);
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                bytes.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&bytes).to_lowercase();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    kept.lock().unwrap().push_str(head);
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    break;
                }
            }
        }
    });
    (address, heads)
}

/// What a Pushgateway is told.
fn pushed(options: &[(&str, &str)]) -> String {
    let (address, heads) = http();
    let mut builder =
        Telemetry::builder().auto_subscribers(false).option("pushgateway.url", format!("http://{address}"));
    for (key, value) in options.iter().filter(|(key, _)| *key != "pushgateway.url") {
        builder = builder.option(*key, *value);
    }
    let telemetry = builder.build().unwrap();
    telemetry.flush_blocking().unwrap();
    let seen = heads.lock().unwrap().clone();
    seen.lines()
        .filter(|line| !line.starts_with("host:") && !line.starts_with("content-length:"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What a `StatsD` server is told first.
fn datagrams(options: &[(&str, &str)]) -> (String, usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let mut builder = Telemetry::builder().auto_subscribers(false).option("statsd.address", address);
    for (key, value) in options.iter().filter(|(key, _)| *key != "statsd.address") {
        builder = builder.option(*key, *value);
    }
    let telemetry = builder.build().unwrap();
    block_on(telemetry.scope(order_process()));
    for n in 0..200 {
        telemetry.metrics().counter("effects_statsd_total", &[("n", &n.to_string())]).unwrap().inc();
    }
    telemetry.flush_blocking().unwrap();
    let mut buffer = [0; 8_192];
    let count = socket.recv(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..count]);
    (text.lines().next().unwrap_or_default().to_owned(), count)
}

/// The answer of `/health`.
fn served(options: &[(&str, &str)]) -> String {
    let mut builder = Telemetry::builder().auto_subscribers(false);
    for (key, value) in options {
        builder = builder.option(*key, *value);
    }
    let telemetry = builder.build().unwrap();
    let Some(address) = telemetry.serves_at() else { return "nowhere".to_owned() };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn metrics_leave_as_the_options_say() {
    let plain = pushed(&[]);
    for option in settings::options().iter().filter(|option| option.key.starts_with("pushgateway.")) {
        let text = as_text(option);
        match option.key {
            "pushgateway.url" => assert!(plain.contains("put /metrics/job/tasker"), "{plain}"),
            "pushgateway.interval" => {}
            key => assert_ne!(plain, pushed(&[(key, &text)]), "{key} makes no difference"),
        }
    }
    let plain = datagrams(&[]);
    for option in settings::options().iter().filter(|option| option.key.starts_with("statsd.")) {
        let text = as_text(option);
        match option.key {
            "statsd.address" => assert!(plain.0.contains("effects."), "{plain:?}"),
            "statsd.interval" => {}
            "statsd.tags" => assert!(
                datagrams(&[("statsd.dialect", "dogstatsd"), ("statsd.tags", &text)]).0.contains("env:production")
            ),
            key => assert_ne!(plain, datagrams(&[(key, &text)]), "{key} makes no difference"),
        }
    }
    assert_eq!(served(&[]), "nowhere");
    assert!(served(&[("serve.address", "127.0.0.1:0")]).contains("200"));
    assert!(served(&[("serve.address", "127.0.0.1:0"), ("serve.bearer_token", "x")]).contains("401"));
}

#[test]
fn metrics_leave_as_often_as_the_options_say() {
    // Nobody flushes: it is the interval that sends, after which the socket is waited for.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let builder = Telemetry::builder().auto_subscribers(false).option("statsd.address", address);
    let telemetry = builder.option("statsd.interval", "1ms").build().unwrap();
    telemetry.metrics().counter("effects_often_total", &[]).unwrap().inc();
    assert!(socket.recv(&mut [0; 8_192]).unwrap() > 0);

    let (address, heads) = http();
    let builder = Telemetry::builder().auto_subscribers(false).option("pushgateway.url", format!("http://{address}"));
    let telemetry = builder.option("pushgateway.interval", "1ms").build().unwrap();
    while heads.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    drop(telemetry);
}
