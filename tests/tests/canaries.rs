//! More than two hundred secrets, planted everywhere a program can plant one: none of them is in any byte that leaves. The same
//! run with the filter off shows that the test would see them.
//!
//! One test in a file of its own: what this crate logs goes to a log of the process.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::{SecretBox, SerializableSecret, zeroize::Zeroize};
use serde_json::json;
use tasker_telemetry::logs::{Lines, LogLevel, OtlpLayer};
use tasker_telemetry::metrics::Format;
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::{InMemorySpans, Otlp};
use tasker_telemetry::{Builder, Regex, declare_event};
use trace_kit::grpc::GrpcSink;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

/// How a secret was planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plant {
    /// Where the filter, and nothing else, hides it.
    Filtered,
    /// Where it is hidden whatever the filter says.
    Always,
}

/// The secrets of one run.
#[derive(Default)]
struct Garden(Vec<(String, Plant)>);

impl Garden {
    fn plant(&mut self, how: Plant) -> String {
        self.planted("canary", how)
    }

    /// One that only its looks give away.
    fn plant_bare(&mut self) -> String {
        self.planted("birdie", Plant::Filtered)
    }

    fn planted(&mut self, kind: &str, how: Plant) -> String {
        let number = u32::try_from(self.0.len()).unwrap();
        let canary = format!("{kind}{number:04}{:08x}", number.wrapping_mul(2_654_435_761).wrapping_add(77));
        self.0.push((canary.clone(), how));
        canary
    }
}

/// All that leaves, by the way it took.
#[derive(Clone, Default)]
struct Out(Arc<Mutex<BTreeMap<&'static str, Vec<u8>>>>);

impl Out {
    fn put(&self, way: &'static str, bytes: &[u8]) {
        self.0.lock().unwrap().entry(way).or_default().extend_from_slice(bytes);
    }

    /// Which ways each of the secrets took, in any case.
    fn ways_of_all(&self, garden: &Garden) -> Vec<Vec<&'static str>> {
        let out = self.0.lock().unwrap();
        let texts = out.iter().map(|(way, bytes)| (*way, String::from_utf8_lossy(bytes).to_lowercase()));
        let texts: Vec<_> = texts.collect();
        let ways = |canary: &str| texts.iter().filter(|(_, text)| text.contains(canary)).map(|(way, _)| *way).collect();
        garden.0.iter().map(|(canary, _)| ways(canary)).collect()
    }
}

/// One way out, as a writer.
#[derive(Clone)]
struct Way(&'static str, Out);

impl std::io::Write for Way {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.1.put(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Way {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The header in which credentials are sent, to whom they are meant for and nobody else.
const CREDENTIAL: &str = "x-canary";

/// A receiver of OTLP, and of anything else over HTTP, that keeps the bytes as they came.
fn receiver(out: Out) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let out = out.clone();
            std::thread::spawn(move || while receive(&stream, &out).is_some() {});
        }
    });
    endpoint
}

fn receive(mut stream: &TcpStream, out: &Out) -> Option<()> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
    let mut more = |bytes: &mut Vec<u8>| match stream.read(&mut buffer) {
        Ok(0) | Err(_) => None,
        Ok(count) => {
            bytes.extend_from_slice(&buffer[..count]);
            Some(())
        }
    };
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(&mut bytes)?;
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let whole = head + length.unwrap_or(0_usize);
    while bytes.len() < whole {
        more(&mut bytes)?;
    }
    let way = match text.lines().next().unwrap_or_default() {
        first if first.contains("/v1/metrics") => "otlp metrics",
        first if first.contains("/v1/logs") => "otlp logs",
        first if first.contains("/metrics/job") => "pushgateway",
        _ => "otlp",
    };
    text.lines().filter(|line| !line.starts_with(CREDENTIAL)).for_each(|line| out.put(way, line.as_bytes()));
    out.put(way, &bytes[head..]);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
}

#[derive(Debug, Clone, Serialize)]
struct Customer {
    name: &'static str,
    email: String,
    cards: Vec<BTreeMap<String, String>>,
}

#[derive(Debug, Clone)]
struct Pin(String);

impl Zeroize for Pin {
    fn zeroize(&mut self) {
        self.0.clear();
    }
}

impl SerializableSecret for Pin {}

impl Serialize for Pin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[derive(Debug, Serialize, Event)]
#[event("canary.sold")]
struct Sold {
    lines: u32,
    #[event(sensitive)]
    card: String,
    #[event(sensitive)]
    parts: Option<Vec<String>>,
    pin: Option<SecretBox<Pin>>,
}

#[derive(Debug, Clone, Serialize, Event)]
#[event("canary.met")]
struct Met {
    customer: Customer,
    session_token: String,
    certificate_number: u64,
    note: String,
}

declare_event!("canary.dynamic", "Anything.");

/// An error that tells all it knows, in each of its texts.
struct Leaky {
    told: String,
    in_debug: String,
    cause: Option<Box<Leaky>>,
}

impl fmt::Display for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it did not work with {:?}: {}", self.told, self.told)
    }
}

impl fmt::Debug for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What stands first is taken for the name of a variant.
        let mut word = self.in_debug.clone();
        word.get_mut(..1).unwrap().make_ascii_uppercase();
        f.write_str(&word)
    }
}

impl std::error::Error for Leaky {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as _)
    }
}

#[step(retry_limit = 2, fields(password = told, otp = in_debug, order = json!({"salt": {"all": [in_chain]}})))]
async fn fails(told: String, in_debug: String, in_chain: String) -> Result<(), Leaky> {
    // What was masked in the step's fields is found in what the step logs.
    tracing::warn!(target: "shop", password = told, otp = ?in_debug, "it begins with {told}, {in_debug} and {in_chain}");
    let cause = Leaky { told: in_chain, in_debug: String::new(), cause: None };
    Err(Leaky { told, in_debug, cause: Some(Box::new(cause)) })
}

#[step(fields(ssn))]
fn panics(ssn: &str) {
    panic!("{}: {ssn}", integration_tests::EXPECTED);
}

#[step(fields(note, keys, customer))]
fn tells(note: String, keys: BTreeMap<String, u8>, customer: Customer) -> Result<(), String> {
    tracing::info!(target: "shop", note, keys = ?keys, secret = %customer.email, "a note: {note}");
    publish_event("canary.dynamic", json!({"deep": [{"er": {"api_key": customer.email}}], "keys": keys, "note": note}))
        .map_err(|error| error.to_string())?;
    Err(note)
}

#[task(fields(account = json!({"crypt": account}), customer_email = email))]
async fn order(garden: &mut Garden, account: String, email: String) -> Result<(), Leaky> {
    let card = garden.plant(Plant::Always);
    let parts = Some(vec![garden.plant(Plant::Always)]);
    publish(Sold { lines: 3, card, parts, pin: Some(SecretBox::new(Box::new(Pin(garden.plant(Plant::Always))))) });
    let customer = Customer {
        name: "Ann",
        email: garden.plant(Plant::Filtered),
        cards: vec![BTreeMap::from([("secret_number".to_owned(), garden.plant(Plant::Filtered))])],
    };
    publish(Met {
        customer: customer.clone(),
        session_token: garden.plant(Plant::Filtered),
        certificate_number: 7,
        note: garden.plant_bare(),
    });
    let keys = BTreeMap::from([(garden.plant_bare(), 1)]);
    _ = tells(garden.plant_bare(), keys, customer);
    let ssn = garden.plant(Plant::Filtered);
    _ = catch_unwind(AssertUnwindSafe(|| panics(&ssn)));
    let told = (garden.plant(Plant::Filtered), garden.plant(Plant::Filtered), garden.plant(Plant::Filtered));
    fails(told.0, told.1, told.2).await
}

static LOGINS: Counter<2> = Counter::with_labels("canary_logins_total", "Logins.", ["token", "place"]);

/// What subscribers are given.
#[derive(Subscriber)]
#[subscriber(manual)]
#[subscribe("*")]
struct All(Out);

impl All {
    fn handle_event(&self, event: &EventRecord) {
        self.0.put("events", serde_json::to_string(event).unwrap().as_bytes());
        self.0.put("events", format!("{event:?}").as_bytes());
    }
}

#[derive(Subscriber)]
#[subscriber(manual, inline)]
#[subscribe("canary.met", "canary.sold", "step.failed", "task.failed")]
struct Typed(Out);

impl Typed {
    fn handle_canary_met(&self, event: &Met) {
        self.0.put("typed", format!("{event:?} {}", serde_json::to_string(event).unwrap()).as_bytes());
    }

    fn handle_canary_sold(&self, event: &Sold) {
        self.0.put("typed", format!("{event:?} {}", serde_json::to_string(event).unwrap()).as_bytes());
    }

    fn handle_step_failed(&self, event: &event::step::Failed) {
        self.0.put("typed", format!("{event:?}").as_bytes());
        panic!("the subscriber panicked with {}", event.error_message); // which the panic hook prints, and is logged
    }

    fn handle_task_failed(&self, event: &event::task::Failed) -> Result<(), String> {
        self.0.put("typed", format!("{event:?}").as_bytes());
        Err(format!("the subscriber failed with {}", event.error_message)) // which is logged
    }
}

/// Mistakes in settings that hold secrets: what is told of them, and the telemetry's own view of its settings.
fn settings(garden: &mut Garden, out: &Out) {
    let mut secret = || garden.plant(Plant::Always);
    let file = format!(
        "[telemetry]\nserve.bearer_token = [\"{}\"]\nqueue_capacity = \"{}\"\notlp.headers = {{ k = {{ v = \"{}\" }} }}\n",
        secret(),
        secret(),
        secret()
    );
    let broken = format!("[telemetry]\nservice_name = \"{}\n", secret());
    for text in [&file, &broken] {
        let error = tasker_telemetry::settings::check(text).unwrap_err();
        out.put("settings", format!("{error} {error:?}").as_bytes());
    }
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", secret()),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", secret()),
        ("TASKER_TELEMETRY__QUEUE_CAPACITY", secret()),
        ("TASKER_TELEMETRY__PUSHGATEWAY__HEADERS", secret()),
    ];
    let error = Telemetry::from_variables(variables).unwrap_err();
    out.put("settings", format!("{error} {error:?}").as_bytes());
}

/// What comes from the environment, credentials included.
fn environment(garden: &mut Garden, http: &str, statsd: &str) -> Builder {
    let mut secret = || garden.plant(Plant::Always);
    let headers = |secret: String| format!("{CREDENTIAL}={secret}");
    let host = http.trim_start_matches("http://");
    let telemetry = Telemetry::from_variables([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", http.to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", headers(secret())),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", headers(secret())),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", headers(secret())),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("http://{}:{}@{host}/v1/traces", secret(), secret())),
        ("OTEL_METRICS_EXPORTER", "otlp".to_owned()),
        ("OTEL_LOGS_EXPORTER", "otlp".to_owned()),
        ("TASKER_TELEMETRY__PUSHGATEWAY__URL", http.to_owned()),
        ("TASKER_TELEMETRY__PUSHGATEWAY__HEADERS", headers(secret())),
        ("TASKER_TELEMETRY__STATSD__ADDRESS", statsd.to_owned()),
        ("TASKER_TELEMETRY__SERVE__BEARER_TOKEN", secret()),
        ("TASKER_TELEMETRY__SERVE__ADDRESS", "127.0.0.1:0".to_owned()),
    ]);
    telemetry.unwrap()
}

fn run(set: impl FnOnce(Builder) -> Builder, log: &Out) -> (Garden, Out) {
    log.0.lock().unwrap().clear();
    let (mut garden, out, spans) = (Garden::default(), log.clone(), InMemorySpans::default());
    let (grpc, statsd) = (GrpcSink::start(), UdpSocket::bind("127.0.0.1:0").unwrap());
    settings(&mut garden, &out);
    let builder = environment(&mut garden, &receiver(out.clone()), &statsd.local_addr().unwrap().to_string());
    let by_grpc = Otlp::grpc().endpoint(grpc.endpoint()).header(CREDENTIAL, garden.plant(Plant::Always));
    let telemetry = set(builder)
        .auto_subscribers(false)
        .subscriber(All(out.clone()))
        .subscriber(Typed(out.clone()))
        .log_level(LogLevel::Debug)
        .in_memory_spans(spans.clone())
        .console_to(Way("console", out.clone()))
        .resource_attribute("deployment.token", garden.plant(Plant::Filtered))
        .resource_attribute("deployment.note", garden.plant_bare())
        .otlp_with(Otlp::http().delay(Duration::from_millis(5)))
        .otlp_with(by_grpc)
        .build()
        .unwrap();
    for _ in 0..20 {
        let account = (garden.plant(Plant::Filtered), garden.plant(Plant::Filtered));
        _ = block_on(telemetry.scope(order(&mut garden, account.0, account.1)));
        LOGINS.with([&garden.plant(Plant::Filtered), &garden.plant_bare()]).inc();
    }
    telemetry.flush_blocking().unwrap();
    for span in spans.spans() {
        out.put("spans", format!("{span:?} {:?} {:?}", span.events(), span.links()).as_bytes());
    }
    out.put("grpc", format!("{:?}", grpc.spans()).as_bytes());
    for format in [Format::Prometheus, Format::OpenMetrics, Format::Json, Format::Csv] {
        out.put("metrics", telemetry.metrics().render(format).as_bytes());
    }
    out.put("health", format!("{:?} {telemetry:?}", telemetry.health()).as_bytes());
    let settings = telemetry.settings();
    out.put("settings", format!("{settings} {settings:?} {}", serde_json::to_string(&settings).unwrap()).as_bytes());
    telemetry.shutdown_blocking().unwrap();
    statsd.set_nonblocking(true).unwrap();
    let mut datagram = [0; 8_192];
    while let Ok(count) = statsd.recv(&mut datagram) {
        out.put("statsd", &datagram[..count]);
    }
    (garden, out)
}

/// The ways on which secrets leave where nothing is masked.
const WAYS: [&str; 15] = [
    "console",
    "events",
    "grpc",
    "health",
    "lines",
    "log",
    "metrics",
    "otlp",
    "otlp logs",
    "otlp metrics",
    "panics",
    "pushgateway",
    "spans",
    "statsd",
    "typed",
];

#[test]
fn no_secret_leaves() {
    let log = Out::default();
    // What the program itself panics with is its own affair.
    let panics = log.clone();
    std::panic::set_hook(Box::new(move |info| {
        let is_the_programs = info.payload_as_str().is_some_and(|text| text.contains(integration_tests::EXPECTED));
        if !is_the_programs {
            panics.put("panics", info.to_string().as_bytes());
        }
    }));
    // What the program logs goes through this crate's format and layer; what this crate logs, through any.
    let programs = || filter_fn(|metadata| metadata.target() == "shop");
    let others = filter_fn(|metadata| metadata.target() != "shop");
    let lines = tracing_subscriber::fmt::layer().event_format(Lines::json()).with_writer(Way("lines", log.clone()));
    let text = tracing_subscriber::fmt::layer().event_format(Lines::text()).with_writer(Way("lines", log.clone()));
    let subscriber = tracing_subscriber::registry()
        .with(OtlpLayer::new().with_filter(programs()))
        .with(lines.with_filter(programs()))
        .with(text.with_filter(programs()))
        .with(tracing_subscriber::fmt::layer().with_writer(Way("log", log.clone())).with_filter(others));
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let birdies = Regex::new("(?i)birdie[0-9]{4}[0-9a-f]{8}").unwrap();
    let (garden, out) = run(|builder| builder.filter_values([birdies]), &log);
    assert!(garden.0.len() > 200, "{} secrets are few", garden.0.len());
    for way in WAYS.into_iter().chain(["settings"]) {
        assert!(out.0.lock().unwrap().get(way).is_some_and(|bytes| !bytes.is_empty()), "nothing left by {way}");
    }
    let found: Vec<_> = garden.0.iter().zip(out.ways_of_all(&garden)).filter(|(_, ways)| !ways.is_empty()).collect();
    assert!(found.is_empty(), "{} of {} secrets left: {found:?}", found.len(), garden.0.len());

    // Without the filter each of them leaves but those that are hidden whatever it says.
    let (garden, out) = run(|builder| builder.filter_parameters([] as [&str; 0]), &log);
    let mut ways: BTreeMap<&str, usize> = BTreeMap::new();
    for ((canary, how), found) in garden.0.iter().zip(out.ways_of_all(&garden)) {
        assert_eq!(found.is_empty(), *how == Plant::Always, "{canary}: {found:?}");
        for way in found {
            *ways.entry(way).or_default() += 1;
        }
    }
    let seen: Vec<_> = ways.keys().copied().collect();
    assert_eq!(seen, WAYS);
}
