//! More than two hundred secrets, planted everywhere a program can plant one: none of them is in any byte that leaves. The same
//! run with the filter off shows that the test would see them.
//!
//! One test in a file of its own: what this crate logs goes to a log of the process.

mod calls;
mod garden;
mod listeners;
mod program;
mod receiver;
mod settings;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use integration_tests::folder::Folder;
use integration_tests::store::{Database, store};
use sentry::{Client, ClientOptions, Hub, Scope};
use tasker_telemetry::logs::{Lines, LogLevel, OtlpLayer};
use tasker_telemetry::metrics::Format;
use tasker_telemetry::store::{Store, TaskFilter};
use tasker_telemetry::subscribers::{JsonLines, PagerDuty, SentryEvents, Slack, StatsDEvents};
use tasker_telemetry::trace::{InMemorySpans, Otlp};
use tasker_telemetry::{Builder, Regex};
use trace_kit::grpc::GrpcSink;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::garden::{Garden, Out, Plant, Way};
use crate::listeners::{All, Typed};
use crate::program::{LOGINS, baggage, elsewhere, handed_over, order};
use crate::receiver::{CREDENTIAL, receiver};

/// How OTLP travels.
pub(crate) struct Wire {
    logs: &'static str,
    compression: &'static str,
}

const WIRES: [Wire; 3] = [
    Wire { logs: "http/protobuf", compression: "none" },
    Wire { logs: "http/protobuf", compression: "gzip" },
    Wire { logs: "grpc", compression: "gzip" },
];
const TASKS: usize = 5;

/// A run of the program with everything on, over each wire.
fn run(set: impl Fn(Builder) -> Builder, log: &Out, database: fn() -> Database) -> (Garden, Out) {
    log.0.lock().unwrap().clear();
    let (mut garden, out) = (Garden::default(), log.clone());
    settings::mistakes(&mut garden, &out);
    settings::nobody_there(&mut garden, &out);
    for (number, wire) in WIRES.iter().enumerate() {
        run_over(wire, number, &set, &mut garden, &out, &database());
    }
    (garden, out)
}

#[allow(clippy::too_many_lines, reason = "all ways out, one after the other")]
fn run_over(
    wire: &Wire,
    number: usize,
    set: impl Fn(Builder) -> Builder,
    garden: &mut Garden,
    out: &Out,
    database: &Database,
) {
    let (spans, files) = (InMemorySpans::default(), Folder::new(&format!("canaries-{number}")));
    let (grpc, statsd) = (GrpcSink::start(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (http, statsd_address) = (receiver(out.clone()), statsd.local_addr().unwrap().to_string());
    let places = [&http, &grpc.endpoint(), &statsd_address, database.url()];
    let (builder, _file, bearer) = settings::environment(garden, wire, places);
    let by_grpc = Otlp::grpc().endpoint(grpc.endpoint()).header(CREDENTIAL, garden.plant(Plant::Always));
    let sentry = hub(&http);
    let telemetry = set(builder)
        .auto_subscribers(false)
        .subscriber(All(out.clone()))
        .subscriber(Typed(out.clone()))
        .subscriber(JsonLines::new(files.path().join("events.jsonl")).unwrap().max_bytes(20_000).keep(100))
        .subscriber(Slack::webhook(&format!("{http}/slack")).unwrap().quiet_for(Duration::ZERO))
        .subscriber(PagerDuty::at(&format!("{http}/pagerduty"), "key").unwrap())
        .subscriber(SentryEvents::to(Arc::clone(&sentry)))
        .subscriber(StatsDEvents::udp(&*statsd_address).unwrap().dog())
        .log_level(LogLevel::Debug)
        .in_memory_spans(spans.clone())
        .console_to(Way("console", out.clone()))
        .resource_attribute("deployment.token", garden.plant(Plant::Filtered))
        .resource_attribute("deployment.note", garden.plant_bare())
        .otlp_with(Otlp::http().delay(Duration::from_millis(5)))
        .otlp_with(by_grpc)
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut carriers = Vec::new();
    for task in 0..TASKS {
        let account = (garden.plant(Plant::Filtered), garden.plant(Plant::Filtered));
        let _attached = baggage(garden).attach();
        let work = order(garden, format!("order-{task}"), account.0, account.1, &mut carriers);
        _ = runtime.block_on(telemetry.scope(work));
        LOGINS.with([&garden.plant(Plant::Filtered), &garden.plant_bare()]).inc();
    }
    runtime.block_on(telemetry.scope(elsewhere(garden, &mut carriers)));
    for carrier in &carriers {
        out.put("carriers", handed_over(carrier).as_bytes());
    }
    telemetry.flush_blocking().unwrap();
    runtime.block_on(operate(garden, &store(&telemetry)));
    telemetry.flush_blocking().unwrap();
    assert!(sentry.client().unwrap().flush(Some(Duration::from_secs(30))));

    for span in spans.spans() {
        out.put("spans", format!("{span:?} {:?} {:?}", span.events(), span.links()).as_bytes());
    }
    for format in [Format::Prometheus, Format::OpenMetrics, Format::Json, Format::Csv] {
        out.put("metrics", telemetry.metrics().render(format).as_bytes());
    }
    let address = telemetry.serves_at().unwrap();
    for page in ["/metrics", "/health"] {
        out.put("pages", &served(address, page, &bearer));
    }
    out.put("health", format!("{:?} {telemetry:?}", telemetry.health()).as_bytes());
    let in_force = telemetry.settings();
    out.put("settings", format!("{in_force} {in_force:?} {}", serde_json::to_string(&in_force).unwrap()).as_bytes());
    out.put("answers", runtime.block_on(answers(&store(&telemetry))).as_bytes());
    if let Some(file) = database.path().to_str().filter(|_| database.url().starts_with("sqlite")) {
        out.put("write-ahead log", &fs::read(format!("{file}-wal")).unwrap());
        out.put("write-ahead log", &fs::read(format!("{file}-shm")).unwrap());
    }
    telemetry.shutdown_blocking().unwrap();

    // The last connection that closes brings the log into the file. Spans belong to their telemetry.
    drop((telemetry, spans));
    runtime.block_on(stored(database, out));
    assert!(out.put_files("files", files.path()) > 2, "they were rotated");
    out.put("grpc", format!("{:?}", grpc.spans()).as_bytes());
    let metadata = grpc.calls().into_iter().flat_map(|call| call.metadata).filter(|(name, _)| name != CREDENTIAL);
    out.put("grpc", format!("{:?}", metadata.collect::<Vec<_>>()).as_bytes());
    out.put("grpc logs", format!("{:?}", grpc.logs()).as_bytes());
    statsd.set_nonblocking(true).unwrap();
    let mut datagram = [0; 8_192];
    while let Ok(count) = statsd.recv(&mut datagram) {
        out.put("statsd", &datagram[..count]);
    }
}

/// Sentry's own client, with its own transport.
fn hub(http: &str) -> Arc<Hub> {
    let options = ClientOptions::new().dsn(&(http.replace("://", "://public@") + "/42"));
    Arc::new(Hub::new(Some(Arc::new(Client::from(sentry::apply_defaults(options)))), Arc::new(Scope::default())))
}

/// What operators write down.
async fn operate(garden: &mut Garden, store: &Store) {
    store.retry_task("order-0", &garden.plant_bare()).await.unwrap();
    store.cancel_task("order-0", &garden.plant_bare()).await.unwrap();
    store.resolve_task_manually("order-1", &garden.plant_bare(), &garden.plant_bare()).await.unwrap();
    let failed = store.task_history("order-2").await.unwrap().unwrap().steps;
    let mut failed = failed.iter().filter(|step| step.state == tasker_telemetry::state::State::Error);
    let mut next = || failed.next().expect("some steps failed").step_id.clone();
    store.retry_step(&next(), &garden.plant_bare()).await.unwrap();
    store.resolve_step_manually(&next(), &garden.plant_bare(), &garden.plant_bare()).await.unwrap();
}

/// What the store answers.
async fn answers(store: &Store) -> String {
    let day = Duration::from_hours(24);
    let mut answers = vec![format!("{:?} {:?}", store.health(), store.errors(day, 1_000).await.unwrap())];
    answers.push(serde_json::to_string(&store.errors_by_class(day).await.unwrap()).unwrap());
    answers.push(serde_json::to_string(&store.slowest_steps(day, 1_000).await.unwrap()).unwrap());
    for task in store.tasks(&TaskFilter::new()).await.unwrap() {
        let history = store.task_history(&task.task_id).await.unwrap();
        answers.push(format!("{history:?} {}", serde_json::to_string(&history).unwrap()));
    }
    answers.concat()
}

/// All that the database holds.
async fn stored(database: &Database, out: &Out) {
    if database.url().starts_with("sqlite") {
        let file = database.path();
        // The store's thread closes its connections behind the end of the telemetry.
        let wal = file.with_extension("db-wal");
        let begun = Instant::now();
        while wal.exists() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the store goes on without its telemetry");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        out.put_files("store", file.parent().unwrap());
        return;
    }
    let reader = database.reader();
    let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()";
    for table in reader.texts(tables).await.unwrap() {
        let rows = reader.texts(&format!("SELECT row_to_json(t)::text FROM \"{table}\" t")).await.unwrap();
        out.put("store", rows.join("\n").as_bytes());
    }
}

/// A page over HTTP.
fn served(address: SocketAddr, page: &str, bearer: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("GET {page} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bearer}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    answer
}

/// The ways on which secrets leave where nothing is masked.
const WAYS: [&str; 25] = [
    "answers",
    "carriers",
    "console",
    "events",
    "files",
    "grpc",
    "grpc logs",
    "health",
    "lines",
    "log",
    "metrics",
    "otlp",
    "otlp logs",
    "otlp metrics",
    "pagerduty",
    "pages",
    "panics",
    "pushgateway",
    "sentry",
    "settings",
    "slack",
    "spans",
    "statsd",
    "store",
    "typed",
];
/// The log that `SQLite` writes ahead, of which only files know.
const OF_SQLITE: &str = "write-ahead log";

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
        // What the test has to say itself.
        if !is_the_programs && !info.to_string().contains("the subscriber panicked") {
            eprintln!("{info}");
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

    let databases = [
        Database::sqlite,
        #[cfg(feature = "services")]
        Database::postgres,
    ];
    let birdies = Regex::new("(?i)birdie[0-9]{4}[0-9a-f]{8}").unwrap();
    for (database, has_log) in databases.into_iter().zip([true, false]) {
        let ways: Vec<_> = WAYS.into_iter().chain(has_log.then_some(OF_SQLITE)).collect();
        let (garden, out) = run(|builder| builder.filter_values([birdies.clone()]), &log, database);
        assert!(garden.0.len() > 200, "{} secrets are few", garden.0.len());
        for way in &ways {
            assert!(out.0.lock().unwrap().get(way).is_some_and(|bytes| !bytes.is_empty()), "nothing left by {way}");
        }
        let found: Vec<_> =
            garden.0.iter().zip(out.ways_of_all(&garden)).filter(|(_, ways)| !ways.is_empty()).collect();
        assert!(found.is_empty(), "{} of {} secrets left: {found:?}", found.len(), garden.0.len());

        // Without the filter each of them leaves but those that are hidden whatever it says.
        let (garden, out) = run(|builder| builder.filter_parameters([] as [&str; 0]), &log, database);
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for ((canary, how), found) in garden.0.iter().zip(out.ways_of_all(&garden)) {
            assert_eq!(found.is_empty(), *how == Plant::Always, "{canary}: {found:?}");
            for way in found {
                *seen.entry(way).or_default() += 1;
            }
        }
        assert_eq!(seen.into_keys().collect::<Vec<_>>(), ways);
    }
}
