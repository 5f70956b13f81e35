//! `PagerDuty` and Slack, against servers that check requests as those services do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tasker_telemetry::prelude::*;
use tasker_telemetry::subscribers::{PagerDuty, Patience, Slack};
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::InMemorySpans;

use super::{books, order};

/// How the service answers; `None`: not at all.
type Answer = Option<(u16, &'static str)>;

/// A service that answers as it is told, then as its protocol says.
struct Service {
    address: String,
    taken: Arc<Mutex<Vec<Json>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Service {
    /// `check` reads a request as the service does: the answer to it.
    fn start(path: &str, check: fn(&Json) -> (u16, &'static str)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}{path}", listener.local_addr().unwrap());
        let (taken, answers) = (Arc::<Mutex<Vec<Json>>>::default(), Arc::<Mutex<Vec<Answer>>>::default());
        let (theirs, told, path) = (Arc::clone(&taken), Arc::clone(&answers), path.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(message) = read(&stream, &path) else { continue };
                let next = told.lock().unwrap().pop();
                let answer = next.unwrap_or_else(|| Some(check(&message)));
                if answer.is_some_and(|(status, _)| status < 300) {
                    theirs.lock().unwrap().push(message);
                }
                let Some((status, text)) = answer else { continue };
                let (head, body) = text.split_once('#').unwrap_or(("", text));
                let length = body.len();
                let _ = write!(
                    &stream,
                    "HTTP/1.1 {status} x\r\n{head}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { address, taken, answers }
    }

    /// The next answers, before those of the protocol.
    fn answers(&self, answers: &[Answer]) {
        self.answers.lock().unwrap().extend(answers.iter().rev());
    }

    fn taken(&self) -> Vec<Json> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

/// A request; `None` when it is none of the protocol's.
fn read(stream: &TcpStream, path: &str) -> Option<Json> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length, mut is_json) = (String::new(), 0, false);
    reader.read_line(&mut line).ok()?;
    assert_eq!(line, format!("POST {path} HTTP/1.1\r\n"));
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        is_json |= header == "content-type: application/json";
    }
    assert!(is_json, "a JSON is sent as one");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// The Events API v2: what is required, and the limits that it names.
fn events_api(message: &Json) -> (u16, &'static str) {
    let text =
        |value: &Json, most: usize| value.as_str().is_some_and(|text| !text.is_empty() && text.chars().count() <= most);
    let payload = &message["payload"];
    let is_valid = message["routing_key"] == "routing-s3cret"
        && text(&message["dedup_key"], 255)
        && match message["event_action"].as_str() {
            Some("trigger") => {
                text(&payload["summary"], 1_024)
                    && text(&payload["source"], 1_024)
                    && ["critical", "error", "warning", "info"].iter().any(|severity| payload["severity"] == *severity)
                    && payload["timestamp"].as_str().is_some_and(|at| at.contains('T') && at.ends_with('Z'))
                    && payload["custom_details"].is_object()
            }
            Some("acknowledge" | "resolve") => true,
            _ => false,
        };
    if is_valid {
        (202, "{\"status\":\"success\",\"message\":\"Event processed\",\"dedup_key\":\"x\"}")
    } else {
        (400, "{\"status\":\"invalid event\"}")
    }
}

fn webhook(message: &Json) -> (u16, &'static str) {
    if message["text"].as_str().is_some_and(|text| !text.is_empty()) { (200, "ok") } else { (400, "invalid_payload") }
}

/// Tried three times, without a wait.
const SOON: Patience = Patience::new().wait(Duration::ZERO).timeout(Duration::from_secs(20));

fn on_call(service: &Service) -> PagerDuty {
    PagerDuty::at(&service.address, "routing-s3cret").unwrap().source("shop").patience(SOON)
}

fn with(on_call: PagerDuty) -> Telemetry {
    let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(InMemorySpans::default());
    builder.subscriber(on_call).build().unwrap()
}

fn run(telemetry: &Telemetry, id: &str, how: u64) {
    let _ = block_on(telemetry.scope(order(id, how)));
    telemetry.flush_blocking().unwrap();
}

#[test]
fn a_failed_task_is_an_alert_and_its_good_end_resolves_it() {
    let service = Service::start("/v2/enqueue", events_api);
    let telemetry = with(on_call(&service));
    run(&telemetry, "ORD-1", 4242);
    let alerts = service.taken();
    let [alert] = &alerts[..] else { panic!("{alerts:?}") };
    assert_eq!(
        (&alert["event_action"], &alert["dedup_key"]),
        (&json!("trigger"), &json!("tasker/order_process/ORD-1"))
    );
    let payload = &alert["payload"];
    assert_eq!(payload["summary"], "order_process failed: the card ending in 4242 was declined <&>");
    assert_eq!(
        (&payload["source"], &payload["severity"], &payload["component"]),
        (&json!("shop"), &json!("error"), &json!("order_process"))
    );
    assert_eq!(payload["custom_details"]["task_id"], "ORD-1");
    assert_eq!(payload["custom_details"]["error_class"], "subscribers::OrderError::Declined");
    assert!(payload["custom_details"]["trace_id"].is_string());
    // The same task again: the same alert, then a good end.
    run(&telemetry, "ORD-1", 4242);
    run(&telemetry, "ORD-2", 0);
    run(&telemetry, "ORD-1", 0);
    run(&telemetry, "ORD-1", 0);
    let actions: Vec<_> =
        service.taken().iter().map(|alert| (alert["event_action"].clone(), alert["dedup_key"].clone())).collect();
    let key = json!("tasker/order_process/ORD-1");
    assert_eq!(
        actions,
        [(json!("trigger"), key.clone()), (json!("resolve"), key)],
        "resolved once; others are none of its business"
    );
    assert_eq!(books(&telemetry.health(), "PagerDuty"), (5, 5, 0, String::new()));
}

#[test]
fn a_key_of_ones_own_is_the_alert() {
    let service = Service::start("/v2/enqueue", events_api);
    let key = |event: &EventRecord| format!("{}{}", event.payload()["error_class"].as_str().unwrap(), "x".repeat(400));
    let telemetry = with(on_call(&service).dedup_key(key).severity("critical"));
    run(&telemetry, "ORD-1", 4242);
    run(&telemetry, "ORD-2", 4243);
    run(&telemetry, "ORD-1", 0);
    let alerts = service.taken();
    assert_eq!(alerts.len(), 2, "nothing is resolved: {alerts:?}");
    assert_eq!(alerts[0]["dedup_key"], alerts[1]["dedup_key"]);
    assert_eq!(alerts[0]["payload"]["severity"], "critical");
}

#[test]
fn what_is_not_taken_now_is_sent_again_and_what_never_is_taken_is_counted() {
    let service = Service::start("/v2/enqueue", events_api);
    let telemetry = with(on_call(&service));
    service.answers(&[Some((429, "retry-after: 0\r\n#")), Some((503, ""))]);
    run(&telemetry, "ORD-1", 4242);
    assert_eq!(service.taken().len(), 1, "the third attempt");
    service.answers(&[None, Some((500, ""))]);
    run(&telemetry, "ORD-2", 4242);
    assert_eq!(service.taken().len(), 1, "also after a connection that broke");
    assert_eq!(books(&telemetry.health(), "PagerDuty").2, 0);

    service.answers(&[Some((500, "")), Some((502, "")), Some((503, "")), Some((500, "never asked for"))]);
    run(&telemetry, "ORD-3", 4242);
    let (_, _, failed, error) = books(&telemetry.health(), "PagerDuty");
    assert_eq!(failed, 1);
    assert_eq!(error, "task.failed: given up after 3 attempts: the service answered 503 Service Unavailable");
    service.answers.lock().unwrap().clear();
    service.answers(&[Some((400, "")), Some((400, "never asked for"))]);
    run(&telemetry, "ORD-4", 4242);
    let (_, _, failed, error) = books(&telemetry.health(), "PagerDuty");
    assert_eq!((failed, error.as_str()), (2, "task.failed: the service answered 400 Bad Request"));
    assert_eq!(service.answers.lock().unwrap().len(), 1, "what is refused is not sent again");
    assert!(service.taken().is_empty());
    assert!(!format!("{:?} {:?}", telemetry.health(), on_call(&service)).contains("s3cret"));
}

#[test]
fn a_service_that_is_gone_costs_its_own_alerts_only() {
    let [free] = trace_kit::ports::tcp();
    let address = format!("http://{free}/services/T0/B0/s3cret");
    let slack = Slack::webhook(&address).unwrap().patience(SOON);
    let telemetry = Telemetry::builder().auto_subscribers(false).subscriber(slack).build().unwrap();
    let result = block_on(telemetry.scope(order("ORD-1", 4242)));
    assert!(result.is_err());
    telemetry.flush_blocking().unwrap();
    let (published, delivered, failed, error) = books(&telemetry.health(), "Slack");
    assert_eq!((published, delivered, failed), (1, 1, 1));
    assert!(error.starts_with("task.failed: given up after 3 attempts: the service cannot be reached"), "{error}");
    assert!(!error.contains("s3cret") && !error.contains("127.0.0.1"), "the address is a secret: {error}");
}

#[test]
fn slack_is_told_once_of_the_same() {
    let service = Service::start("/services/T0/B0/x", webhook);
    let slack = Slack::webhook(&service.address).unwrap().patience(SOON);
    let telemetry = Telemetry::builder().auto_subscribers(false).subscriber(slack).build().unwrap();
    for number in 0..5 {
        run(&telemetry, &format!("ORD-{number}"), 4242);
    }
    run(&telemetry, "ORD-9", 1);
    let texts: Vec<_> = service.taken().iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        texts,
        [
            ":red_circle: *order_process* `ORD-0` failed: the card ending in 4242 was declined &lt;&amp;&gt;\nclass: `subscribers::OrderError::Declined`",
            ":red_circle: *order_process* `ORD-9` failed: no gateway\nclass: `subscribers::OrderError::GatewayTimeout`",
        ]
    );

    // One that Slack did not take has not been told of; and with no quiet time each is told.
    let loud = Slack::webhook(&service.address).unwrap().patience(SOON).quiet_for(Duration::ZERO);
    let telemetry = Telemetry::builder().auto_subscribers(false).subscriber(loud).build().unwrap();
    for number in 0..3 {
        run(&telemetry, &format!("ORD-{number}"), 4242);
    }
    assert_eq!(service.taken().len(), 3);
    let slack = Slack::webhook(&service.address).unwrap().patience(SOON.attempts(1));
    let telemetry = Telemetry::builder().auto_subscribers(false).subscriber(slack).build().unwrap();
    service.answers(&[Some((404, "no_service"))]);
    run(&telemetry, "ORD-1", 4242);
    run(&telemetry, "ORD-2", 4242);
    assert!(service.taken()[0]["text"].as_str().unwrap().contains("ORD-2"));
    assert_eq!(books(&telemetry.health(), "Slack").2, 1);
}

#[test]
fn an_address_that_is_none_is_refused_without_showing_it() {
    for address in ["", "hooks.slack.com/s3cret", "ftp://hooks/s3cret", "http://"] {
        let error = Slack::webhook(address).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}
