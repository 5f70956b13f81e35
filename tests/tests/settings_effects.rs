//! Every option that has a place in the builder changes what a program can see: the same run with the default and with another
//! value of each, all of it generated from the table. (Options that go by OpenTelemetry's variables: `settings/tests.rs`.)

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use integration_tests::settings::as_text;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId};
use opentelemetry::{Context, KeyValue};
use serde_json::{Value as Json, json};
use tasker_telemetry::prelude::*;
use tasker_telemetry::settings::{self, OptionSpec};
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::{InMemorySpans, Sampling};
use tasker_telemetry::{BuildError, Builder, declare_event};
use tracing_subscriber::fmt::MakeWriter;

// Two events of one name: a mistake in the catalog.
declare_event!("effects.twice", "One.");
declare_event!("effects.twice", "Another.");

#[step(fields(note, pin, card))]
async fn inner(note: &str, pin: u32, card: Json) -> Result<(), String> {
    tracing::info!("inside");
    Err(format!("no: {note}"))
}

#[task(id = "0190a5b6-7c8d-7e9f-8a0b-1c2d3e4f5062")]
async fn inner_task() -> Option<String> {
    let carrier = TaskScope::current()?.carrier();
    carrier.to_headers().into_iter().find(|(name, _)| *name == "baggage").map(|(_, value)| value)
}

#[task(id = "0190a5b6-7c8d-7e9f-8a0b-1c2d3e4f5063")]
async fn failing_task() -> Result<(), String> {
    inner("", 0, Json::Null).await
}

#[task(id = "0190a5b6-7c8d-7e9f-8a0b-1c2d3e4f5061", fields(token = "secret"))]
async fn outer() -> Option<String> {
    let card = json!({"number": "4111 1111 1111 1111", "holder": "Ann"});
    let _ = inner("4111 1111 1111 1111", 1234, card).await;
    let _ = failing_task().await;
    let baggage = Context::current().with_baggage([KeyValue::new("tenant", "7")]);
    let _attached = baggage.attach();
    inner_task().await
}

/// Registers itself.
#[derive(Default, Subscriber)]
#[subscribe("task.completed")]
struct Auto;

impl Auto {
    #[allow(clippy::unused_self, reason = "a handler has one")]
    fn handle_task_completed(&self, _: &event::task::Completed) {}
}

/// Everything it is told, without what differs from run to run.
#[derive(Subscriber)]
#[subscriber(manual)]
#[subscribe("*")]
struct All(Arc<Mutex<Vec<String>>>);

impl All {
    fn handle_event(&self, event: &EventRecord) {
        let mut json = serde_json::to_value(event).unwrap();
        let fields = json.as_object_mut().unwrap();
        let varies = |key: &str| {
            key.contains("time")
                || key.ends_with("_at")
                || key.contains("duration")
                || key.ends_with("_id")
                || key.contains("memory")
        };
        fields.retain(|key, _| !varies(key));
        self.0.lock().unwrap().push(json.to_string());
    }
}

/// One that never comes to an end.
#[derive(Subscriber)]
#[subscriber(manual)]
#[subscribe("task.completed")]
struct Hangs;

impl Hangs {
    async fn handle_task_completed(&self, _: &event::task::Completed) {
        std::future::pending::<()>().await;
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What can be seen of a run with that telemetry.
fn observed(builder: Builder) -> String {
    let (events, spans, log) = (Arc::new(Mutex::new(Vec::new())), InMemorySpans::default(), Log::default());
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).without_time().finish();
    let run = || {
        let telemetry = builder.subscriber(All(Arc::clone(&events))).in_memory_spans(spans.clone()).build()?;
        let baggage = block_on(telemetry.scope(outer()));
        Ok::<_, BuildError>((telemetry, baggage))
    };
    let (telemetry, baggage) = match tracing::subscriber::with_default(subscriber, run) {
        Ok(ran) => ran,
        Err(error) => return error.to_string(),
    };
    telemetry.flush_blocking().unwrap();
    let health = telemetry.health();
    let seen = spans
        .spans()
        .iter()
        .map(|span| {
            let attributes = span.attributes().into_iter().map(|(key, value)| format!("{key}={value:?}"));
            let attributes: Vec<_> = attributes
                .filter(|text| !text.contains("duration") && !text.contains("_id") && !text.contains("queue_time"))
                .collect();
            let nested = (span.parent_span_id().is_some(), span.links().len());
            format!("{} {:?} {nested:?} {attributes:?}", span.name(), span.status())
        })
        .collect::<Vec<_>>();
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let metrics = telemetry.metrics();
    let names = |text: String| {
        text.lines()
            .map(|line| line.chars().take_while(|c| c.is_ascii_alphabetic() || "_{#".contains(*c)).collect::<String>())
            .collect::<BTreeSet<_>>()
    };
    let counter = |n: usize| metrics.counter("effects_total", &[("n", &n.to_string())]).unwrap().inc();
    (0..600).for_each(counter);
    let export = metrics.export();
    let mut events = events.lock().unwrap().clone();
    events.sort(); // of two tasks
    json!({
        "service": format!("{} {}", telemetry.service_name(), telemetry.service_version()),
        "queue": health.queue.capacity,
        "subscribers": health.subscribers.iter().map(|s| s.name).collect::<Vec<_>>(),
        "events": events,
        "spans": seen,
        "logged": [lines.contains("task_id="), lines.contains("step.failed"), lines.contains("slow step")],
        "baggage": baggage,
        "metrics": names(export.clone()),
        "format": export.lines().last().filter(|line| line.starts_with('#')),
        "overflow": export.contains("otel_metric_overflow"),
        "enabled": metrics.is_enabled(),
    })
    .to_string()
}

#[test]
fn every_option_of_the_builder_changes_what_can_be_seen() {
    let plain = observed(Telemetry::builder());
    assert_eq!(plain, observed(Telemetry::builder()), "a run is like another");
    let mut elsewhere = BTreeSet::new();
    // Those of the builder: the others go by variables, are ways for metrics to leave, or of the store.
    let both = ["enabled", "service_name", "service_version", "sampling.ratio", "sampling.parent_based"];
    let is_a_way = |key: &str| ["pushgateway.", "statsd.", "serve.", "store."].iter().any(|way| key.starts_with(way));
    let own = |option: &&OptionSpec| {
        (option.standard_variables().is_empty() || both.contains(&option.key)) && !is_a_way(option.key)
    };
    for option in settings::options().iter().filter(own) {
        // Shares of one tenth may leave everything.
        let text = match option.key {
            "sampling.ratio" => "0".to_owned(),
            "slow_step_threshold" => "0.000000001".to_owned(),
            _ => as_text(option),
        };
        let seen = match option.key {
            "sampling.keep_failures" => {
                let none = |keep: &str| {
                    observed(
                        Telemetry::builder()
                            .option("sampling.ratio", "0")
                            .option("sampling.keep_failures", keep)
                            .option("trace_parenting", "none"),
                    )
                };
                (none("false"), none("true"))
            }
            _ => (plain.clone(), observed(Telemetry::builder().option(option.key, text))),
        };
        if seen.0 == seen.1 {
            elsewhere.insert(option.key);
        }
    }
    // What is seen elsewhere than in such a run has tests of its own, below, in `settings_ways.rs` or `settings_store.rs`.
    let elsewhere: Vec<_> = elsewhere.into_iter().collect();
    let below = [
        "handler_timeout",
        "open_task_limit",
        "open_task_ttl",
        "sampling.parent_based",
        "shutdown_timeout",
        "subscriber_capacity",
        "undecided_spans",
    ];
    assert_eq!(elsewhere, below, "what is not among these makes no difference");
}

#[test]
fn time_limits_are_those_of_the_options() {
    let hanging = |options: &[(&str, &str)]| {
        let mut builder = Telemetry::builder().auto_subscribers(false).subscriber(Hangs);
        for (key, value) in options {
            builder = builder.option(*key, *value);
        }
        let telemetry = builder.build().unwrap();
        block_on(telemetry.scope(inner_task()));
        let flushed = telemetry.flush_blocking();
        (flushed.err().map(|error| error.to_string()), telemetry.health().subscribers[0].failed)
    };
    let (error, failed) = hanging(&[("handler_timeout", "1ms")]);
    assert_eq!((error, failed), (None, 1));
    let (error, failed) = hanging(&[("shutdown_timeout", "3ms")]);
    assert!(error.as_deref().is_some_and(|text| text.contains("within 3ms")), "{error:?}");
    assert_eq!(failed, 0);
}

/// Waits until it is let go.
#[derive(Subscriber)]
#[subscriber(manual)]
#[subscribe("task.completed")]
struct Waits(Arc<Mutex<()>>);

impl Waits {
    fn handle_task_completed(&self, _: &event::task::Completed) {
        drop(self.0.lock().unwrap());
    }
}

#[test]
fn limits_are_those_of_the_options() {
    let lost = |capacity: &str| {
        let gate = Arc::new(Mutex::new(()));
        let telemetry = Telemetry::builder()
            .auto_subscribers(false)
            .subscriber(Waits(Arc::clone(&gate)))
            .option("subscriber_capacity", capacity)
            .build()
            .unwrap();
        let shut = gate.lock().unwrap();
        for _ in 0..10 {
            block_on(telemetry.scope(inner_task()));
        }
        while telemetry.health().subscribers[0].published < 10 || telemetry.health().queue.depth > 0 {
            std::thread::yield_now();
        }
        drop(shut);
        telemetry.flush_blocking().unwrap();
        telemetry.health().subscribers[0].dropped_total() > 0
    };
    assert!(lost("1") && !lost("100"));

    let spans_health = |key: &str, value: &str, run: &dyn Fn()| {
        let telemetry = Telemetry::builder()
            .auto_subscribers(false)
            .in_memory_spans(InMemorySpans::default())
            .sampling(Sampling::none().keep_failures())
            .option(key, value)
            .build()
            .unwrap();
        telemetry.in_scope(run);
        telemetry.flush_blocking().unwrap();
        telemetry.health().spans.unwrap()
    };
    let work = || drop(block_on(outer()));
    assert!(spans_health("undecided_spans", "0", &work).undecided_evicted > 0);
    assert_eq!(spans_health("undecided_spans", "100", &work).undecided_evicted, 0);
    let take_up = |started_at: u64| {
        let carried = |id: &str| {
            let carrier = json!({"task_id": id, "task_name": "elsewhere", "started_at_unix_nanos": started_at});
            TaskScope::resume(serde_json::from_value(carrier).unwrap())
        };
        let tasks = [carried("1"), carried("2")];
        drop(block_on(tasks[1].scope(async { inner("", 0, Json::Null).await })));
        std::mem::forget(tasks); // open for good
    };
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let now = || take_up(u64::try_from(since).unwrap());
    assert_eq!(spans_health("open_task_limit", "1", &now).open_tasks, 1);
    assert_eq!(spans_health("open_task_limit", "5", &now).open_tasks, 2);
    let in_1970 = || take_up(1_000_000_000);
    assert!(spans_health("open_task_ttl", "1h", &in_1970).open_tasks_evicted > 0);
    assert_eq!(spans_health("open_task_ttl", "36500d", &in_1970).open_tasks_evicted, 0);
}

#[test]
fn a_callers_decision_is_taken_over_as_the_option_says() {
    let traced = |parent_based: &str| {
        let spans = InMemorySpans::default();
        let telemetry = Telemetry::builder()
            .auto_subscribers(false)
            .in_memory_spans(spans.clone())
            .option("trace_parenting", "child")
            .option("sampling.parent_based", parent_based)
            .build()
            .unwrap();
        let ids = (TraceId::from(7), SpanId::from(7));
        let caller =
            SpanContext::new(ids.0, ids.1, TraceFlags::NOT_SAMPLED, true, opentelemetry::trace::TraceState::default());
        let _attached = Context::new().with_remote_span_context(caller).attach();
        block_on(telemetry.scope(inner_task()));
        telemetry.flush_blocking().unwrap();
        !spans.spans().is_empty()
    };
    assert!(!traced("true") && traced("false"));
}
