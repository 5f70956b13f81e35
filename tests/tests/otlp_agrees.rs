//! The OTLP that we write ourselves and the way through `SpanData` say the same, field by field.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span as Wire;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message;
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::{Carrier, Otlp, TraceParenting};

/// A server that answers 200 to everything and keeps the bodies.
struct Server {
    endpoint: String,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut writer = stream;
                loop {
                    let mut length = 0;
                    let mut line = String::new();
                    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                        line.clear();
                    }
                    let mut body = vec![0; length];
                    if length == 0 || reader.read_exact(&mut body).is_err() {
                        break;
                    }
                    theirs.lock().unwrap_or_else(PoisonError::into_inner).push(body);
                    writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                }
            }
        });
        Self { endpoint, bodies }
    }
}

/// Keeps what it was given, and the resource.
#[derive(Debug, Clone, Default)]
struct Keeping {
    spans: Arc<Mutex<Vec<SpanData>>>,
    resource: Option<Resource>,
    seen: Arc<Mutex<Option<Resource>>>,
}

impl SpanExporter for Keeping {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.spans.lock().unwrap().extend(batch);
        self.seen.lock().unwrap().clone_from(&self.resource);
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = Some(resource.clone());
    }
}

/// Attributes as a map: each once, with its type.
fn map(attributes: Vec<KeyValue>) -> BTreeMap<String, KeyValue> {
    let count = attributes.len();
    let map: BTreeMap<_, _> = attributes.into_iter().map(|pair| (pair.key.clone(), pair)).collect();
    assert_eq!(map.len(), count, "an attribute is there twice");
    map
}

/// A span in which the order of attributes says nothing.
fn sorted(mut span: Wire) -> Wire {
    let sort = |attributes: &mut Vec<KeyValue>| *attributes = map(std::mem::take(attributes)).into_values().collect();
    sort(&mut span.attributes);
    span.events.iter_mut().for_each(|event| sort(&mut event.attributes));
    span.links.iter_mut().for_each(|link| sort(&mut link.attributes));
    // `Unset` may be said or not.
    span.status = Some(span.status.unwrap_or_default());
    span
}

type Parts = (BTreeMap<String, KeyValue>, InstrumentationScope, BTreeMap<Vec<u8>, Wire>);

fn parts(requests: impl IntoIterator<Item = ExportTraceServiceRequest>) -> Parts {
    let (mut resource, mut scope, mut spans) = (BTreeMap::new(), InstrumentationScope::default(), BTreeMap::new());
    for of_resource in requests.into_iter().flat_map(|request| request.resource_spans) {
        resource = map(of_resource.resource.unwrap().attributes);
        for of_scope in of_resource.scope_spans {
            scope = of_scope.scope.unwrap();
            for span in of_scope.spans {
                let before = spans.insert(span.span_id.clone(), sorted(span));
                assert_eq!(before, None, "a span came twice");
            }
        }
    }
    (resource, scope, spans)
}

#[derive(Debug)]
struct Deep(u32);

impl fmt::Display for Deep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "depth {}", self.0)
    }
}

impl std::error::Error for Deep {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        const CAUSES: [Deep; 3] = [Deep(0), Deep(1), Deep(2)];
        static KEPT: [Deep; 3] = CAUSES;
        self.0.checked_sub(1).map(|next| &KEPT[next as usize] as _)
    }
}

/// Something with every type in it.
#[derive(Serialize, Event)]
#[event("agree.said")]
struct Said {
    words: u64,
    most: u64,
    less: i32,
    share: f64,
    yes: bool,
    text: String,
    list: Vec<u8>,
    inner: BTreeMap<String, u8>,
    nothing: Option<u8>,
    #[event(sensitive)]
    card_number: String,
}

const LONG: usize = 40_000;

#[step(
    retry_limit = 3,
    fields(
        small = 7_u8,
        negative = -7_i64,
        most = u64::MAX,
        fits = i64::MAX as u64,
        share = 0.1_f64,
        not_a_number = f64::NAN,
        yes = true,
        text = text,
        empty = "",
        secret = "the-card"
    )
)]
async fn every_type(text: String) -> Result<(), Deep> {
    assert_eq!(text.len(), LONG);
    publish(Said {
        words: 3,
        most: u64::MAX,
        less: -1,
        share: 1.5,
        yes: false,
        text: "日本語 🍵 \u{0} \n".into(),
        list: vec![1, 2],
        inner: BTreeMap::from([("ä".into(), 1)]),
        nothing: None,
        card_number: "the-card".into(),
    });
    if StepScope::current().is_some_and(|step| step.attempt_number() < 3) { Err(Deep(2)) } else { Ok(()) }
}

#[step]
fn panics() {
    panic!("all is lost, 日本語");
}

#[step]
async fn hangs() {
    std::future::pending::<()>().await;
}

#[step]
async fn inner() {}

#[step]
async fn outer() {
    inner().await;
}

#[step]
async fn talks() {
    for number in 0..140 {
        publish(Said {
            words: number,
            most: 0,
            less: 0,
            share: 0.0,
            yes: true,
            text: String::new(),
            list: Vec::new(),
            inner: BTreeMap::new(),
            nothing: Some(1),
            card_number: String::new(),
        });
    }
}

#[task(id = id, fields(customer = "c-1", lines = 4))]
async fn order(id: &str) -> Result<(), Deep> {
    outer().await;
    talks().await;
    every_type("long ".repeat(LONG / 5)).await?;
    std::panic::catch_unwind(panics).unwrap_err();
    Err(Deep(2))
}

#[task]
async fn is_cancelled() {
    hangs().await;
}

#[task]
fn falls() {
    panic!("the whole of it");
}

#[task]
async fn goes_on() {
    inner().await;
}

#[task]
async fn hands_over() -> Carrier {
    inner().await;
    TaskScope::current().unwrap().hand_over()
}

/// A caller in another process, and one in this.
fn called(remote: bool, run: impl FnOnce()) {
    let state: TraceState = "vendor=a:1,other=b".parse().unwrap();
    let caller = SpanContext::new(0x1234.into(), 0x5678.into(), TraceFlags::SAMPLED, remote, state);
    let _guard = opentelemetry::Context::new().with_remote_span_context(caller).attach();
    run();
}

fn a_rich_run(telemetry: &Telemetry) {
    block_on(telemetry.scope(order("0190a5b6-7c8d-7e9f-8a0b-1c2d3e4f5061"))).unwrap_err();
    for _ in 0..2 {
        block_on(telemetry.scope(order("order 7, 日本語"))).unwrap_err();
    }
    {
        let mut task = Box::pin(telemetry.scope(is_cancelled()));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(task.as_mut().poll(&mut cx).is_pending());
    }
    std::panic::catch_unwind(AssertUnwindSafe(|| telemetry.in_scope(falls))).unwrap_err();
    block_on(telemetry.scope(outer()));
    for remote in [true, false] {
        called(remote, || block_on(telemetry.scope(goes_on())));
    }
    called(true, || {
        let carrier = block_on(telemetry.scope(hands_over())).to_headers();
        let carrier = Carrier::from_headers(carrier.iter().map(|(name, value)| (*name, value.as_str()))).unwrap();
        let resumed = telemetry.in_scope(|| TaskScope::resume(carrier));
        block_on(resumed.scope(outer()));
        resumed.complete();
    });
}

fn agree(parenting: TraceParenting, success_is_ok: bool) {
    let (server, exporter) = (Server::start(), Keeping::default());
    let telemetry = Telemetry::builder()
        .auto_subscribers(false)
        .service_name("shop 日本語")
        .service_version("1.2")
        .resource_attribute("deployment.environment.name", "test")
        .trace_parenting(parenting)
        .success_status(success_is_ok)
        .otlp_with(Otlp::http().endpoint(&server.endpoint).timeout(Duration::from_secs(30)))
        .span_exporter(exporter.clone())
        .build()
        .unwrap();
    a_rich_run(&telemetry);
    telemetry.flush_blocking().unwrap();

    let bodies = server.bodies.lock().unwrap().clone();
    let ours = parts(bodies.iter().map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap()));
    let resource = ResourceAttributesWithSchema::from(exporter.seen.lock().unwrap().as_ref().unwrap());
    let theirs = group_spans_by_resource_and_scope(exporter.spans.lock().unwrap().clone(), &resource);
    let theirs = parts([ExportTraceServiceRequest { resource_spans: theirs }]);

    assert_eq!((&ours.0, &ours.1), (&theirs.0, &theirs.1));
    assert_eq!(ours.2.len(), theirs.2.len());
    for (id, span) in &theirs.2 {
        // As bytes: a NaN is no other's equal, but its bits are.
        let other = ours.2.get(id).expect("both have it");
        assert!(other.encode_to_vec() == span.encode_to_vec(), "{other:#?}\nis not\n{span:#?}");
    }
    let spans: Vec<_> = ours.2.into_values().collect();
    the_run_was_rich(&spans, parenting);
    let text = format!("{spans:?}");
    assert!(!text.contains("the-card"), "a secret left the process");
}

/// Whatever could differ was there.
fn the_run_was_rich(spans: &[Wire], parenting: TraceParenting) {
    assert!(spans.len() > 30, "{}", spans.len());
    let any = |is: &dyn Fn(&Wire) -> bool| spans.iter().any(is);
    let has = |span: &Wire, code: i32| span.status.as_ref().is_some_and(|status| status.code == code);
    assert!(any(&|span| has(span, 2)) && any(&|span| has(span, 0)));
    assert!(any(&|span| span.dropped_events_count == 12));
    assert!(any(&|span| span.events.iter().any(|event| event.name == "exception" && event.attributes.len() == 3)));
    assert!(any(&|span| span.attributes.iter().any(|pair| pair.key == "text" && format!("{pair:?}").len() > LONG)));
    assert!(any(&|span| span.kind == 5), "a task that was resumed");
    let remote = 3 << 8 | 1;
    match parenting {
        TraceParenting::Child => {
            assert!(any(&|span| span.flags == remote && span.trace_state == "vendor=a:1,other=b"));
        }
        _ => assert!(any(&|span| span.links.iter().any(|link| link.flags == remote && !link.trace_state.is_empty()))),
    }
    assert!(any(&|span| span.links.iter().any(|link| link.flags == 1 << 8 | 1)), "an attempt links to the one before");
}

#[test]
fn both_ways_say_the_same() {
    agree(TraceParenting::Link, true);
    agree(TraceParenting::Child, false);
}
