//! `/metrics` and `/health` over HTTP: formats, compression, token, and what they say when metrics are off.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value as Json;
use tasker_telemetry::metrics::serve::Pages;
use tasker_telemetry::prelude::*;

struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let line = self.headers.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }
}

fn get(address: SocketAddr, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let headers = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, headers, body: bytes[end + 4..].to_vec() }
}

#[step]
fn work() {}

fn worked() -> Telemetry {
    let telemetry = Telemetry::builder().service_name("shop").auto_subscribers(false).build().unwrap();
    telemetry.in_scope(work);
    telemetry
}

const LINE: &str = "tasker_step_executions_total{task_name=\"work\",step_name=\"work\",status=\"success\"} 1\n";

#[test]
fn the_format_is_what_the_client_prefers() {
    let telemetry = worked();
    let server = Pages::new(telemetry.metrics()).serve("127.0.0.1:0").unwrap();
    let plain = get(server.local_addr(), "/metrics", "");
    assert_eq!((plain.status, plain.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    assert!(plain.text().contains(LINE) && !plain.text().contains("# EOF"));

    let open =
        get(server.local_addr(), "/metrics", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n");
    let content_type = Some("application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!((open.status, open.header("content-type")), (200, content_type));
    assert!(open.text().contains(LINE) && open.text().ends_with("# EOF\n"));

    let packed = get(server.local_addr(), "/metrics", "Accept-Encoding: gzip\r\n");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*packed.body).read_to_string(&mut text).unwrap();
    assert_eq!(text, plain.text());

    let health: Json = serde_json::from_str(get(server.local_addr(), "/health", "").text()).unwrap();
    assert_eq!((&health["service_name"], &health["implicit_tasks"]), (&"shop".into(), &1.into()));
    assert_eq!(get(server.local_addr(), "/elsewhere", "").status, 404);
}

#[test]
fn without_the_token_nothing_is_told() {
    let telemetry = worked();
    let server = Pages::new(telemetry.metrics()).bearer_token("s3cret").serve("127.0.0.1:0").unwrap();
    for headers in
        ["", "Authorization: Bearer s3cre\r\n", "Authorization: Bearer s3crets\r\n", "Authorization: Basic s3cret\r\n"]
    {
        for path in ["/metrics", "/health"] {
            let answer = get(server.local_addr(), path, headers);
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{headers}");
            assert!(!answer.text().contains("work") && !answer.text().contains("s3cret"));
        }
    }
    assert_eq!(get(server.local_addr(), "/metrics", "Authorization: Bearer s3cret\r\n").status, 200);
}

#[test]
fn metrics_that_are_off_are_unavailable_and_say_why() {
    let telemetry = Telemetry::builder().auto_subscribers(false).metrics_enabled(false).build().unwrap();
    let server = Pages::new(telemetry.metrics()).serve("127.0.0.1:0").unwrap();
    let answer = get(server.local_addr(), "/metrics", "");
    assert_eq!((answer.status, answer.header("content-type")), (503, Some("application/json")));
    let reason: Json = serde_json::from_str(answer.text()).unwrap();
    assert_eq!(reason["error"], "metrics_disabled");
    assert!(reason["message"].as_str().unwrap().contains("metrics_enabled"));
}

#[test]
fn a_dropped_server_is_gone() {
    let telemetry = worked();
    let server = Pages::new(telemetry.metrics()).serve("127.0.0.1:0").unwrap();
    let address = server.local_addr();
    assert!(Pages::new(telemetry.metrics()).serve(address).is_err(), "the port is taken");
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}
