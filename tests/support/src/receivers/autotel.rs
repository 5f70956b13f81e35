//! autotel-devtools, a store of traces with an API and pages to look at, on Node: HTTP (not gzip) and gRPC.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json};

use super::{installed, wait_for_spans};
use crate::client;
use crate::server::Server;
use crate::span::{Attributes, Fidelity, Kind, Link, ReceivedSpan, SpanEvent, StatusCode, Value};

/// A running autotel-devtools.
#[derive(Debug)]
pub struct Autotel {
    _server: Server,
    http: SocketAddr,
    grpc: SocketAddr,
}

impl Autotel {
    /// What it shows: numbers as JavaScript has them, the first of spans with one id, times as floats of milliseconds (a quarter
    /// of a microsecond today), and resource attributes among those of the span.
    pub const FIDELITY: Fidelity =
        Fidelity { number_types: false, duplicates: false, resource: false, time_nanos: 500 };

    /// Starts one on free loopback ports, with its store in memory.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let (server, [http, grpc]) = Server::listening(|[http, grpc]| {
            let mut command = Command::new(installed("node-binary"));
            command
                .arg(installed("node/node_modules/autotel-devtools/dist/cli.js"))
                .args(["--host", "127.0.0.1", "--port", &http.port().to_string()])
                .args(["--grpc-port", &grpc.port().to_string()])
                // Else it shows the last hundred.
                .env("AUTOTEL_MAX_TRACE_COUNT", "100000");
            command
        });
        // It moves to another port when somebody was quicker, and only says so, some time after it listens.
        let begun = Instant::now();
        let mut said = server.printed();
        while !said.contains("/v1/traces") && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(10));
            said = server.printed();
        }
        assert!(said.contains(&format!("http://{http}/v1/traces")), "it does not listen on {http}: {said}");
        Self { _server: server, http, grpc }
    }

    /// Where its API is, and OTLP/HTTP.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.http
    }

    /// For OTLP/HTTP, without `/v1/traces`. It takes no gzip.
    #[must_use]
    pub fn http_endpoint(&self) -> String {
        format!("http://{}", self.http)
    }

    /// For OTLP/gRPC.
    #[must_use]
    pub fn grpc_endpoint(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// The spans that it has.
    ///
    /// # Panics
    /// When it answers what this kit cannot read.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        let answer = client::send(self.http, "GET", "/v1/traces", &[], &[]).expect("it answers");
        let body: Json = serde_json::from_slice(&answer.body).expect("it answers with JSON");
        let traces = body["traces"].as_array().unwrap_or_else(|| panic!("no traces: {body}"));
        let spans = traces.iter().flat_map(|trace| trace["spans"].as_array().into_iter().flatten());
        spans.map(|json| span(json).unwrap_or_else(|| panic!("a span that this kit cannot read: {json}"))).collect()
    }

    /// The spans, as soon as so many are there and no more come.
    ///
    /// # Panics
    /// When they do not come in time.
    #[track_caller]
    #[must_use]
    pub fn wait_for_spans(&self, count: usize, time: Duration) -> Vec<ReceivedSpan> {
        wait_for_spans(count, time, || self.spans())
    }
}

/// What resources are described with; it does not tell which attributes are the resource's.
const OF_RESOURCE: [&str; 7] = ["service.", "telemetry.", "deployment.", "host.", "process.", "os.", "container."];

fn span(json: &Json) -> Option<ReceivedSpan> {
    let (resource, own) = attributes(&json["attributes"])
        .into_iter()
        .partition(|(name, _): &(String, Value)| OF_RESOURCE.iter().any(|prefix| name.starts_with(prefix)));
    let events = list(&json["events"]).map(|event| {
        Some(SpanEvent {
            name: string(&event["name"])?,
            time: nanos(&event["timestamp"])?,
            attributes: attributes(&event["attributes"]),
        })
    });
    let links = list(&json["links"]).map(|link| {
        Some(Link {
            trace_id: string(&link["traceId"])?,
            span_id: string(&link["spanId"])?,
            attributes: attributes(&link["attributes"]),
            ..Link::default()
        })
    });
    Some(ReceivedSpan {
        trace_id: string(&json["traceId"])?,
        span_id: string(&json["spanId"])?,
        parent_span_id: string(&json["parentSpanId"]).unwrap_or_default(),
        name: string(&json["name"])?,
        kind: Kind::named(json["kind"].as_str()?)?,
        status: StatusCode::named(json["status"]["code"].as_str()?)?,
        status_message: string(&json["status"]["message"]).unwrap_or_default(),
        start: nanos(&json["startTime"])?,
        end: nanos(&json["endTime"])?,
        attributes: own,
        events: events.collect::<Option<_>>()?,
        links: links.collect::<Option<_>>()?,
        resource,
        scope_name: string(&json["scope"]["name"]).unwrap_or_default(),
        scope_version: string(&json["scope"]["version"]).unwrap_or_default(),
        ..ReceivedSpan::default()
    })
}

fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

fn string(json: &Json) -> Option<String> {
    json.as_str().map(str::to_owned)
}

/// Milliseconds as a float. Whole ones and the rest one by one: their product would need more digits than a float has.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time since 1970, rounded")]
fn nanos(json: &Json) -> Option<u64> {
    let milliseconds = json.as_f64().filter(|time| *time >= 0.0)?;
    Some(milliseconds.trunc() as u64 * 1_000_000 + (milliseconds.fract() * 1e6).round() as u64)
}

fn attributes(json: &Json) -> Attributes {
    let map: Option<&Map<String, Json>> = json.as_object();
    map.into_iter().flatten().map(|(name, json)| (name.clone(), value(json))).collect()
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Empty,
        Json::Bool(is) => Value::Bool(*is),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Str(text.clone()),
        Json::Array(list) => Value::List(list.iter().map(value).collect()),
        Json::Object(_) => Value::Map(attributes(json)),
    }
}
