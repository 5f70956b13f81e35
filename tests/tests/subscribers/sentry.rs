//! Sentry: its own client and transport, to a server that takes envelopes apart.

use std::io::{BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sentry::{Client, ClientOptions, Hub, Scope};
use serde_json::{Value as Json, json};
use tasker_telemetry::prelude::*;
use tasker_telemetry::subscribers::SentryEvents;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::InMemorySpans;

use super::{books, order};

/// Envelopes as they came: header, and each item with its header.
type Envelopes = Arc<Mutex<Vec<(Json, Vec<(Json, Json)>)>>>;

/// A server that takes envelopes; its DSN.
fn server() -> (String, Envelopes) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dsn = format!("http://public@{}/42", listener.local_addr().unwrap());
    let envelopes = Envelopes::default();
    let theirs = Arc::clone(&envelopes);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let theirs = Arc::clone(&theirs);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                while let Some((head, body)) = request(&mut reader) {
                    assert!(head[0].starts_with("POST /api/42/envelope/ "), "{head:?}");
                    assert!(
                        head.iter().any(|line| line.to_ascii_lowercase().starts_with("x-sentry-auth: sentry ")
                            && line.contains("sentry_key=public")),
                        "{head:?}"
                    );
                    theirs.lock().unwrap().push(envelope(&body));
                    let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
                }
            });
        }
    });
    (dsn, envelopes)
}

fn request(reader: &mut impl std::io::BufRead) -> Option<(Vec<String>, Vec<u8>)> {
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_owned();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// The format of envelopes: a header, then headers and payloads of items, a line each; a payload is as long as its header says.
fn envelope(bytes: &[u8]) -> (Json, Vec<(Json, Json)>) {
    let line = |bytes: &[u8]| -> (Json, usize) {
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        (serde_json::from_slice(&bytes[..end]).expect("a header is JSON"), (end + 1).min(bytes.len()))
    };
    let (header, mut at) = line(bytes);
    let mut items = Vec::new();
    while at < bytes.len() {
        let (item, used) = line(&bytes[at..]);
        at += used;
        let length = usize::try_from(item["length"].as_u64().expect("a length")).unwrap();
        items.push((item, serde_json::from_slice(&bytes[at..at + length]).expect("a payload is JSON")));
        at = (at + length + 1).min(bytes.len());
    }
    (header, items)
}

fn hub(dsn: &str) -> Arc<Hub> {
    let options = ClientOptions::new().dsn(dsn).release("shop@1.2.3").environment("test");
    // The transport of the sentry crate.
    let options = sentry::apply_defaults(options);
    Arc::new(Hub::new(Some(Arc::new(Client::from(options))), Arc::new(Scope::default())))
}

#[test]
fn failures_arrive_as_errors_with_their_causes() {
    let (dsn, envelopes) = server();
    let hub = hub(&dsn);
    let recording = tasker_telemetry::testing::Recording::with(
        Telemetry::builder()
            .auto_subscribers(false)
            .in_memory_spans(InMemorySpans::default())
            .subscriber(SentryEvents::to(Arc::clone(&hub))),
    )
    .unwrap();
    let _ = block_on(recording.scope(order("ORD-1", 1)));
    recording.telemetry().flush_blocking().unwrap();
    assert!(hub.client().unwrap().flush(Some(Duration::from_secs(30))));
    assert_eq!(books(&recording.telemetry().health(), "SentryEvents"), (3, 3, 0, String::new()));

    let envelopes = envelopes.lock().unwrap();
    let events: Vec<_> = envelopes
        .iter()
        .flat_map(|(header, items)| items.iter().map(move |(item, payload)| (header, item, payload)))
        .filter(|(_, item, _)| item["type"] == "event")
        .collect();
    let ours = recording.events();
    let ours: Vec<_> = ours.iter().filter(|event| event.name().ends_with(".failed")).collect();
    assert_eq!(events.len(), 3);
    for ((header, _, sent), event) in events.iter().zip(&ours) {
        let id = event.event_id().replace('-', "");
        assert_eq!(
            (sent["event_id"].as_str(), header["event_id"].as_str().map(|id| id.replace('-', ""))),
            (Some(&*id), Some(id.clone()))
        );
        assert_eq!(sent["contexts"]["trace"]["trace_id"], event.payload()["trace_id"]);
        assert_eq!(sent["contexts"]["trace"]["span_id"], event.payload()["span_id"]);
        assert_eq!((&sent["release"], &sent["environment"]), (&json!("shop@1.2.3"), &json!("test")));
        let exceptions = sent["exception"]["values"].as_array().unwrap();
        let told: Vec<_> = exceptions.iter().map(|exception| exception["value"].as_str().unwrap()).collect();
        assert_eq!(told, ["connection reset", "no gateway"], "the innermost first");
        assert_eq!(
            (&exceptions[1]["type"], &exceptions[1]["module"]),
            (&json!("GatewayTimeout"), &json!("subscribers::OrderError"))
        );
        assert_eq!(sent["tags"]["error_type"], "timeout");
        assert_eq!(sent["extra"]["task_id"], "ORD-1");
    }
    let told: Vec<_> = events
        .iter()
        .map(|(_, _, sent)| {
            (sent["level"].as_str().unwrap_or("error"), sent["transaction"].clone(), sent["tags"]["attempt"].clone())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("warning", json!("order_process/charge"), json!("1")),
            ("error", json!("order_process/charge"), json!("2")),
            ("error", json!("order_process"), Json::Null),
        ]
    );
    assert_eq!(
        events[0].2["fingerprint"],
        json!(["step.failed", "order_process", "charge", "subscribers::OrderError::GatewayTimeout"])
    );
    assert_eq!(events[0].2["fingerprint"], events[1].2["fingerprint"], "one issue");
}

#[test]
fn tasks_can_be_left_out_and_a_missing_client_is_counted() {
    let (dsn, envelopes) = server();
    let hub = hub(&dsn);
    let telemetry = Telemetry::builder()
        .auto_subscribers(false)
        .subscriber(SentryEvents::to(Arc::clone(&hub)).steps_only())
        .build()
        .unwrap();
    let _ = block_on(telemetry.scope(order("ORD-1", 1)));
    telemetry.flush_blocking().unwrap();
    assert!(hub.client().unwrap().flush(Some(Duration::from_secs(30))));
    assert_eq!(envelopes.lock().unwrap().len(), 2);

    let none = SentryEvents::to(Arc::new(Hub::new(None, Arc::new(Scope::default()))));
    let telemetry = Telemetry::builder().auto_subscribers(false).subscriber(none).build().unwrap();
    let _ = block_on(telemetry.scope(order("ORD-1", 1)));
    telemetry.flush_blocking().unwrap();
    let (_, delivered, failed, error) = books(&telemetry.health(), "SentryEvents");
    assert_eq!((delivered, failed), (3, 3));
    assert!(error.contains("sentry::init"), "{error}");
}
