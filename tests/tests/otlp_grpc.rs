//! OTLP over gRPC: what arrives, what is tried again, and that no server can harm the program.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Recording, block_on};
use tasker_telemetry::trace::{ExporterHealth, InMemorySpans, Otlp};
use tasker_telemetry::{BuildError, Builder};
use trace_kit::Checker;
use trace_kit::grpc::{GrpcMode, GrpcSink};

const SOON: Duration = Duration::from_secs(20);

#[step(retry_limit = 2, fields(amount))]
async fn charge(amount: u64) -> Result<u64, String> {
    let first = StepScope::current().is_some_and(|step| step.attempt_number() == 1);
    if amount == 0 || (amount == 1 && first) { Err("no money".into()) } else { Ok(amount) }
}

#[task(fields(amount))]
async fn order(amount: u64) -> Result<u64, String> {
    charge(amount).await
}

fn builder() -> Builder {
    Telemetry::builder().auto_subscribers(false).service_name("shop")
}

fn to(sink: &GrpcSink) -> Otlp {
    Otlp::grpc().endpoint(sink.endpoint()).delay(Duration::from_millis(10)).timeout(Duration::from_millis(500))
}

fn run(telemetry: &Telemetry) {
    let _ = block_on(telemetry.scope(order(2)));
}

fn health(telemetry: &Telemetry) -> ExporterHealth {
    telemetry.health().spans.unwrap().exporters[0].clone()
}

#[test]
fn what_arrives_is_what_ran() {
    for gzip in [false, true] {
        let sink = GrpcSink::start();
        let otlp = to(&sink).gzip(gzip).header("X-Team", "the key").timeout(SOON);
        let recording = Recording::with(builder().otlp_with(otlp)).unwrap();
        for amount in 0..50 {
            let _ = block_on(recording.scope(order(amount)));
        }
        recording.telemetry().flush_blocking().unwrap();
        let events: Vec<_> = recording.events().iter().map(|event| serde_json::to_value(event).unwrap()).collect();
        let report = Checker::new().service("shop").check(&sink.spans(), &events);
        report.unwrap_or_else(|mismatches| panic!("{mismatches}"));
        let calls = sink.calls();
        let metadata = &calls[0].metadata;
        let has = |name: &str, value: &str| metadata.iter().any(|pair| pair.0 == name && pair.1 == value);
        assert!(has("x-team", "the key") && metadata.iter().any(|(name, _)| name == "grpc-timeout"));
        assert_eq!(has("grpc-encoding", "gzip"), gzip);
        assert_eq!(health(recording.telemetry()).exported, sink.spans().len() as u64);
    }
}

#[test]
fn the_standard_variables_choose_it() {
    let sink = GrpcSink::start();
    let telemetry = builder()
        .otlp()
        .variables([
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c".to_owned()),
        ])
        .build()
        .unwrap();
    run(&telemetry);
    telemetry.flush_blocking().unwrap();
    assert_eq!(sink.spans().len(), 2);
    assert!(sink.calls()[0].metadata.contains(&("a".to_owned(), "b c".to_owned())));
}

#[test]
fn codes_are_tried_again_as_the_specification_says() {
    let recovers = |code| GrpcMode::Recover { failures: 1, code };
    for (mode, exported, calls) in [
        (recovers(1), 2, 2),
        (recovers(4), 2, 2),
        (recovers(14), 2, 2),
        (recovers(13), 0, 1),
        (recovers(16), 0, 1),
        (GrpcMode::Code(8), 0, 1),
        (GrpcMode::RetryAfter(8, Duration::from_secs(u64::MAX / 2)), 0, 1),
        (GrpcMode::RetryAfter(3, Duration::ZERO), 0, 1),
        (GrpcMode::PartialSuccess { rejected: 1, message: "too old".into() }, 1, 1),
    ] {
        let sink = GrpcSink::start();
        sink.mode(mode.clone());
        let telemetry = builder().otlp_with(to(&sink)).build().unwrap();
        run(&telemetry);
        telemetry.flush_blocking().unwrap();
        let health = health(&telemetry);
        assert_eq!((health.exported, health.dropped_total()), (exported, 2 - exported), "{mode:?}: {health:?}");
        assert_eq!(sink.calls().len(), calls, "{mode:?}");
        // The exporter lives on.
        sink.mode(GrpcMode::Healthy);
        run(&telemetry);
        telemetry.flush_blocking().unwrap();
        assert_eq!(self::health(&telemetry).exported, exported + 2, "{mode:?}");
    }
}

#[test]
fn the_servers_delay_is_obeyed() {
    let sink = GrpcSink::start();
    let delay = Duration::from_millis(1200);
    sink.mode(GrpcMode::RetryAfter(8, delay));
    let telemetry = builder().otlp_with(to(&sink)).build().unwrap();
    run(&telemetry);
    let begun = Instant::now();
    while sink.calls().is_empty() {
        assert!(begun.elapsed() < SOON);
        std::thread::sleep(Duration::from_millis(5));
    }
    let asked = Instant::now();
    sink.mode(GrpcMode::Healthy);
    assert_eq!(sink.wait_for_spans(2, SOON).len(), 2);
    // Without the delay it would come back after 375 ms at the latest.
    assert!(asked.elapsed() + Duration::from_millis(300) > delay, "{:?}", asked.elapsed());
}

#[test]
fn it_connects_late_and_again() {
    let sink = GrpcSink::start();
    sink.mode(GrpcMode::Refuse);
    let telemetry = builder().otlp_with(to(&sink)).build().unwrap();
    run(&telemetry);
    std::thread::sleep(Duration::from_millis(50));
    for mode in [GrpcMode::Refuse, GrpcMode::Hang, GrpcMode::Refuse] {
        sink.mode(GrpcMode::Healthy);
        let before = sink.spans().len();
        run(&telemetry);
        let _ = sink.wait_for_spans(before + 2, SOON);
        // The connection is gone, or nothing comes back on it.
        sink.mode(mode);
        run(&telemetry);
        std::thread::sleep(Duration::from_millis(700));
    }
    sink.mode(GrpcMode::Healthy);
    telemetry.flush_blocking().unwrap();
    let health = health(&telemetry);
    assert_eq!((health.produced, health.exported, health.dropped_total()), (14, 14, 0), "{health:?}");
    let mut ids: Vec<_> = sink.spans().into_iter().map(|span| span.span_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 14);
}

/// Stands between client and server. While it says so, nothing comes through, and nobody is told: not on connections that are
/// open then, ever.
fn tunnel(to: &str, dead: &Arc<AtomicBool>) -> String {
    let (listener, to) = (TcpListener::bind("127.0.0.1:0").unwrap(), to.trim_start_matches("http://").to_owned());
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let dead = Arc::clone(dead);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&to).unwrap());
            for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
                let dead = Arc::clone(&dead);
                std::thread::spawn(move || {
                    let (mut buffer, mut is_dead) = ([0; 4096], false);
                    while let Ok(read @ 1..) = from.read(&mut buffer) {
                        is_dead |= dead.load(Ordering::SeqCst);
                        if !is_dead && to.write_all(&buffer[..read]).is_err() {
                            break;
                        }
                    }
                });
            }
        }
    });
    endpoint
}

#[test]
fn a_connection_that_died_silently_is_given_up() {
    let (sink, dead) = (GrpcSink::start(), Arc::new(AtomicBool::new(false)));
    let otlp = to(&sink).endpoint(tunnel(&sink.endpoint(), &dead));
    let telemetry = builder().otlp_with(otlp).shutdown_timeout(SOON).build().unwrap();
    run(&telemetry);
    let _ = sink.wait_for_spans(2, SOON);
    dead.store(true, Ordering::SeqCst);
    run(&telemetry);
    std::thread::sleep(Duration::from_millis(200));
    dead.store(false, Ordering::SeqCst);
    let _ = sink.wait_for_spans(4, Duration::from_secs(5));
    telemetry.flush_blocking().unwrap();
    assert_eq!(health(&telemetry).exported, 4);
}

#[test]
fn a_dead_server_holds_up_nobody() {
    for mode in [GrpcMode::Hang, GrpcMode::Refuse, GrpcMode::Code(14), GrpcMode::Slow(Duration::from_secs(60))] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sink = GrpcSink::start();
        sink.mode(mode.clone());
        let memory = InMemorySpans::default();
        let begun = Instant::now();
        let health = runtime.block_on(async {
            let telemetry = builder().otlp_with(to(&sink)).in_memory_spans(memory.clone());
            let telemetry = telemetry.shutdown_timeout(Duration::from_secs(1)).build().unwrap();
            let _ = telemetry.scope(order(1)).await;
            let _ = telemetry.shutdown().await;
            health(&telemetry)
        });
        assert!(begun.elapsed() < Duration::from_secs(30), "{mode:?}: {:?}", begun.elapsed());
        assert_eq!(memory.spans().len(), 3);
        assert_eq!((health.produced, health.exported, health.dropped_total()), (3, 0, 3), "{mode:?}: {health:?}");
        assert!(health.last_error.is_some());
    }
}

#[test]
fn what_is_larger_than_servers_take_goes_in_parts() {
    #[step(fields(text))]
    async fn says(text: String) {
        let _ = text;
    }
    let sink = GrpcSink::start();
    let telemetry = builder().otlp_with(to(&sink).delay(SOON).timeout(SOON)).shutdown_timeout(SOON).build().unwrap();
    let long = "x".repeat(100_000);
    #[task]
    async fn talks(long: String) {
        for _ in 0..150 {
            says(long.clone()).await;
        }
    }
    block_on(telemetry.scope(talks(long)));
    telemetry.flush_blocking().unwrap();
    let health = health(&telemetry);
    assert_eq!((health.exported, health.failed_requests), (151, 0), "{health:?}");
    let calls = sink.calls();
    assert!((4..12).contains(&calls.len()), "{}", calls.len());
    assert_eq!(calls.iter().map(|call| call.spans).sum::<usize>(), 151);
}

#[test]
fn exceptions_are_logs_where_they_are_asked_for() {
    let sink = GrpcSink::start();
    let telemetry = builder()
        .otlp_with(to(&sink).gzip(true))
        .variables([("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs")])
        .build()
        .unwrap();
    let _ = block_on(telemetry.scope(order(0)));
    telemetry.flush_blocking().unwrap();
    let (logs, spans) = (sink.logs(), sink.spans());
    assert_eq!((logs.len(), spans.len()), (3, 3), "two attempts and the task");
    assert!(logs.iter().all(|log| log.event_name == "exception"));
    assert!(spans.iter().all(|span| span.events_named("exception").next().is_none()));
    let ids = |log: &[u8]| log.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert!(logs.iter().all(|log| spans.iter().any(|span| span.span_id == ids(&log.span_id))));
}

#[test]
fn what_cannot_work_is_an_error_when_it_is_built() {
    // Inside a runtime, where no runtime may be dropped.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let problem = |otlp: Otlp| match builder().otlp_with(Otlp::grpc()).otlp_with(otlp).build() {
            Err(BuildError::Exporter { problem, .. }) => problem,
            other => panic!("{:?}", other.is_ok()),
        };
        assert!(problem(Otlp::grpc().endpoint("ftp://a")).contains("ftp://a"));
        let text = problem(Otlp::grpc().header("bad name", "s3cret"));
        assert!(text.contains("bad name") && !text.contains("s3cret"));
        assert!(problem(Otlp::grpc().header("x-bin", "1")).contains("x-bin"));
    });
}
