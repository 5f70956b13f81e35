//! OTLP over HTTP: what arrives is what ran, and whatever the backend does, the steps do not notice, memory is bounded, every
//! span is exported or counted as dropped, and `shutdown` keeps its deadline.

use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Recording, block_on};
use tasker_telemetry::trace::{ExporterHealth, Otlp};
use tasker_telemetry::{Builder, Telemetry};
use trace_kit::{Checker, Mode, ReceivedSpan, Sink};

#[derive(Debug)]
struct Declined;

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the card was declined: 佐藤 \"x\"")
    }
}

impl std::error::Error for Declined {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&std::fmt::Error)
    }
}

/// Something to say.
#[derive(Serialize, Event)]
#[event("otlp.said")]
struct Said {
    words: u32,
    #[event(sensitive)]
    card: String,
}

#[step(retry_limit = 3, fields(order, ratio = 0.5, name = "佐藤", big = u64::MAX, right = true))]
async fn charge(order: u64) -> Result<u64, Declined> {
    publish(Said { words: 2, card: "4111".into() });
    let attempt = StepScope::current().map_or(1, |step| step.attempt_number());
    if u64::from(attempt) <= order % 4 { Err(Declined) } else { Ok(order) }
}

#[step]
fn pack(order: u64) -> u64 {
    weigh(order)
}

#[step]
fn weigh(order: u64) -> u64 {
    order * 2
}

#[task(id = format!("order {order}"), fields(order))]
async fn order_process(order: u64) -> Result<u64, Declined> {
    pack(order);
    charge(order).await
}

fn json(recording: &Recording) -> Vec<Json> {
    recording.events().iter().map(|event| event.payload().clone()).collect()
}

fn to(sink: &Sink) -> Otlp {
    Otlp::http().endpoint(sink.endpoint()).delay(Duration::from_millis(20))
}

fn exporter(telemetry: &Telemetry) -> ExporterHealth {
    telemetry.health().spans.expect("spans are made").exporters[0].clone()
}

#[test]
fn what_arrives_is_what_ran() {
    for (gzip, batch) in [(false, 4_096), (true, 7)] {
        let sink = Sink::start();
        let otlp = to(&sink).gzip(gzip).batch(batch).header("x-tenant", "shop");
        let builder = Telemetry::builder().auto_subscribers(false).service_name("shop").service_version("1.2");
        let recording = Recording::with(builder.otlp_with(otlp).variables([("", "")])).unwrap();
        for order in 0..40 {
            let _ = block_on(recording.scope(order_process(order)));
        }
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            #[step]
            fn breaks() {
                panic!("boom");
            }
            recording.in_scope(breaks);
        }));
        drop(recording.scope(async { pack(1) }));
        recording.telemetry().shutdown_blocking().unwrap();
        let checker = Checker::new().service("shop").nested("weigh", "pack").resource("service.framework", "tasker");
        let report = checker.check(&sink.spans(), &json(&recording)).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(report.tasks, 41);
        let requests = sink.requests();
        assert!(requests.iter().all(|request| request.header("content-type") == Some("application/x-protobuf")));
        assert!(requests.iter().all(|request| request.header("x-tenant") == Some("shop")));
        assert_eq!(requests[0].header("content-encoding"), gzip.then_some("gzip"));
        assert!(batch > 100 || requests.len() > 20, "{}", requests.len());
        let health = exporter(recording.telemetry());
        assert_eq!((health.produced, health.exported), (sink.span_count(), sink.span_count()));
    }
}

#[test]
fn what_is_published_is_an_event_of_its_span_and_masked() {
    let sink = Sink::start();
    let telemetry = Telemetry::builder().auto_subscribers(false).otlp_with(to(&sink)).build().unwrap();
    block_on(telemetry.scope(order_process(0))).unwrap();
    telemetry.shutdown_blocking().unwrap();
    let spans = sink.spans();
    let charge = |span: &&ReceivedSpan| span.events.iter().any(|event| event.name == "otlp.said");
    let said: Vec<_> = spans.iter().filter(charge).collect();
    assert_eq!(said.len(), 1);
    let shown = format!("{spans:?}");
    assert!(shown.contains("[FILTERED]") && !shown.contains("4111"));
}

#[test]
fn exceptions_go_where_the_variable_says() {
    for (value, on_span, as_log) in [("", true, false), ("logs", false, true), ("logs/dup", true, true)] {
        let sink = Sink::start();
        let variables = [("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", value)];
        let builder = Telemetry::builder().auto_subscribers(false).variables(variables).otlp_with(to(&sink));
        let telemetry = builder.build().unwrap();
        let _ = block_on(telemetry.scope(order_process(3)));
        telemetry.shutdown_blocking().unwrap();
        let events =
            sink.spans().iter().flat_map(|span| &span.events).filter(|event| event.name == "exception").count();
        let logs = sink.requests().iter().filter(|request| request.path.ends_with("/v1/logs")).count();
        assert_eq!((events > 0, logs > 0), (on_span, as_log), "{value}");
    }
}

#[test]
fn the_standard_variables_are_obeyed() {
    let sink = Sink::start();
    let endpoint = sink.endpoint();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_SERVICE_NAME", "from-env"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.version=9"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ];
    let telemetry = Telemetry::builder().auto_subscribers(false).variables(variables).otlp().build().unwrap();
    block_on(telemetry.scope(order_process(0))).unwrap();
    telemetry.shutdown_blocking().unwrap();
    let request = &sink.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer abc"));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let shown = format!("{:?}", sink.spans()[0]);
    for part in ["from-env", "deployment.environment.name", "\"test\"", "\"9\""] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let disabled = [("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let telemetry = Telemetry::builder().auto_subscribers(false).variables(disabled).otlp().build().unwrap();
    block_on(telemetry.scope(order_process(0))).unwrap();
    assert!(telemetry.health().spans.is_none());
    let wrong = [("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")];
    let error = Telemetry::builder().auto_subscribers(false).variables(wrong).otlp().build().unwrap_err();
    assert!(error.to_string().contains("OTEL_EXPORTER_OTLP_TIMEOUT=soon"), "{error}");
    let error = Telemetry::builder().auto_subscribers(false).otlp_with(Otlp::http().endpoint("ftp://x")).build();
    assert!(error.unwrap_err().to_string().contains("ftp://x"));
}

/// Runs tasks against a backend in that mode, and holds the books.
fn against(mode: Mode, set: impl FnOnce(Otlp) -> Otlp) -> (ExporterHealth, Sink) {
    within(Duration::from_secs(1), mode, |otlp| set(otlp.timeout(Duration::from_millis(300)).queue(500)))
}

/// The same where everything is exported in the end, however busy the machine is.
fn patiently_against(mode: Mode) -> (ExporterHealth, Sink) {
    within(Duration::from_secs(60), mode, |otlp| otlp.timeout(Duration::from_secs(60)))
}

fn within(limit: Duration, mode: Mode, set: impl FnOnce(Otlp) -> Otlp) -> (ExporterHealth, Sink) {
    let sink = Sink::start();
    sink.mode(mode);
    let otlp = set(to(&sink));
    let builder = Telemetry::builder().auto_subscribers(false).otlp_with(otlp).shutdown_timeout(limit);
    let telemetry = builder.build().unwrap();
    for order in 0..400 {
        // The steps give what they give without any telemetry.
        assert_eq!(block_on(telemetry.scope(order_process(order))).is_ok(), order % 4 < 3);
    }
    let begun = Instant::now();
    let _ = telemetry.shutdown_blocking();
    let took = begun.elapsed();
    assert!(took < limit + Duration::from_secs(4), "shutdown took {took:?}");
    let health = exporter(&telemetry);
    let spans = 400 + 400 * 2 + (0..400).map(|order| (order % 4 + 1).min(3)).sum::<u64>();
    assert_eq!(health.produced, spans, "{health:?}");
    assert_eq!(health.exported + health.dropped_total(), health.produced, "{health:?}");
    (health, sink)
}

#[test]
fn a_backend_that_is_down_or_refuses() {
    let (health, _) = against(Mode::Refuse, |otlp| otlp);
    assert!(health.exported == 0 && health.failed_requests > 0 && health.last_error.is_some(), "{health:?}");
    assert!(health.dropped.contains_key("queue_full"), "memory is bounded: {health:?}");
}

#[test]
fn a_backend_that_hangs() {
    for mode in [Mode::Hang, Mode::HangUnread] {
        let (health, _) = against(mode, |otlp| otlp);
        assert!(health.exported == 0 && health.failed_requests > 0, "{health:?}");
    }
}

#[test]
fn a_backend_that_answers_with_errors() {
    let (health, _) = patiently_against(Mode::Status(500));
    assert_eq!(health.dropped.keys().collect::<Vec<_>>(), [&"rejected"], "500 is not sent again: {health:?}");
    let (health, sink) = within(Duration::from_secs(5), Mode::Status(503), |otlp| otlp);
    assert!(health.exported == 0 && sink.requests().len() > 1, "503 is: {health:?}");
    let (health, _) = patiently_against(Mode::RetryAfter(429, "3600".to_owned()));
    assert!(health.exported == 0 && health.dropped.contains_key("export_failed"), "nobody waits an hour: {health:?}");
}

#[test]
fn a_backend_that_is_slow_or_cuts_or_talks_nonsense() {
    let (health, sink) = patiently_against(Mode::Slow(Duration::from_millis(100)));
    assert_eq!((health.exported, sink.span_count()), (health.produced, health.produced));
    let (health, _) = against(Mode::CutRequest, |otlp| otlp);
    assert!(health.exported == 0 && health.failed_requests > 0, "{health:?}");
    let (health, _) = against(Mode::NotHttp, |otlp| otlp);
    assert!(health.exported == 0 && health.failed_requests > 0, "{health:?}");
    // A status that says yes is a yes, whatever stands behind it: sent again, the spans would be there twice.
    let (health, sink) = patiently_against(Mode::Garbage);
    assert_eq!(health.exported, health.produced, "{}", sink.requests().len());
}

#[test]
fn a_backend_that_recovers_loses_nothing() {
    let sink = Sink::start();
    sink.mode(Mode::Status(503));
    let telemetry = Telemetry::builder().auto_subscribers(false).otlp_with(to(&sink)).build().unwrap();
    for order in 0..50 {
        let _ = block_on(telemetry.scope(order_process(order)));
    }
    let _ = sink.wait_for_requests(1, Duration::from_secs(5));
    sink.mode(Mode::Healthy);
    telemetry.shutdown_blocking().unwrap();
    let health = exporter(&telemetry);
    assert_eq!((health.exported, health.dropped_total()), (health.produced, 0), "{health:?}");
    assert_eq!(sink.span_count(), health.produced);
}

#[test]
fn shutdown_keeps_its_deadline_on_any_runtime() {
    let sink = Sink::start();
    sink.mode(Mode::Hang);
    let shuts_down = async |sink: &Sink| {
        let otlp = to(sink).timeout(Duration::from_secs(60));
        let limit = Duration::from_millis(300);
        let builder: Builder = Telemetry::builder().auto_subscribers(false).otlp_with(otlp).shutdown_timeout(limit);
        let telemetry = builder.build().unwrap();
        let _ = telemetry.scope(order_process(1)).await;
        let begun = Instant::now();
        assert!(telemetry.shutdown().await.is_err(), "it says that it was late");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        let health = exporter(&telemetry);
        assert_eq!(health.dropped.get("shutdown"), Some(&health.produced), "{health:?}");
    };
    let current_thread = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    current_thread.block_on(shuts_down(&sink));
    let one_worker = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    one_worker.block_on(async { shuts_down(&sink).await });
    block_on(shuts_down(&sink));
}

#[test]
fn a_slow_backend_delays_no_subscriber() {
    let sink = Sink::start();
    sink.mode(Mode::Hang);
    #[derive(Debug, Subscriber)]
    #[subscribe("step.completed")]
    #[subscriber(manual)]
    struct Count(std::sync::mpsc::Sender<()>);
    impl Count {
        fn handle_step_completed(&self, _: &event::step::Completed) {
            let _ = self.0.send(());
        }
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let otlp = to(&sink).timeout(Duration::from_secs(60)).queue(10);
    let limit = Duration::from_millis(200);
    let builder = Telemetry::builder().auto_subscribers(false).otlp_with(otlp).shutdown_timeout(limit);
    let telemetry = builder.subscriber(Count(sender)).build().unwrap();
    for order in 0..100 {
        let _ = block_on(telemetry.scope(order_process(order)));
    }
    for _ in 0..100 {
        receiver.recv_timeout(Duration::from_secs(5)).expect("the subscriber has its events while the backend hangs");
    }
}
