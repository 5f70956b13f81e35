//! A subscriber that panics, fails, hangs or sleeps harms nobody: the steps finish, the others miss nothing, the losses are
//! counted exactly, and flush and shutdown keep their deadlines on every runtime and on none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use integration_tests::{EXPECTED, quiet_expected_panics};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::{Health, SubscriberHealth};

#[step]
fn work(n: u64) -> u64 {
    n + 1
}

#[task]
fn many(steps: u64) -> u64 {
    (0..steps).map(work).sum()
}

/// Events of `many(steps)` that `step.*` covers.
const fn step_events(steps: u64) -> u64 {
    3 * steps
}

#[derive(Default, Clone)]
struct Count(Arc<AtomicU64>);

impl Count {
    fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn up(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// Takes everything.
#[derive(Subscriber)]
#[subscribe("step.*")]
#[subscriber(manual)]
struct Healthy(Count);

impl Healthy {
    fn handle_event(&self, _: &EventRecord) {
        self.0.up();
    }
}

/// Holds its handler until the gate is opened.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut open = self.open.lock().unwrap();
        while !*open {
            open = self.changed.wait(open).unwrap();
        }
    }
}

#[derive(Subscriber)]
#[subscribe("step.*")]
#[subscriber(manual)]
struct Hanging(Arc<Gate>, Count);

impl Hanging {
    fn handle_event(&self, _: &EventRecord) {
        self.0.pass();
        self.1.up();
    }
}

#[derive(Subscriber)]
#[subscribe("step.completed")]
#[subscriber(manual)]
struct Panicking(Count);

impl Panicking {
    fn handle_step_completed(&self, _: &event::step::Completed) {
        let n = self.0.up();
        assert!(!n.is_multiple_of(2), "{EXPECTED}: every second event");
    }
}

#[derive(Subscriber)]
#[subscribe("step.completed")]
#[subscriber(manual)]
struct Failing;

impl Failing {
    async fn handle_step_completed(&self, event: &event::step::Completed) -> Result<(), String> {
        Err(format!("no room for {}", event.step_name))
    }
}

#[derive(Subscriber)]
#[subscribe("task.completed")]
#[subscriber(manual)]
struct NeverReady;

impl NeverReady {
    async fn handle_task_completed(&self, _: &event::task::Completed) {
        std::future::pending::<()>().await;
    }
}

fn books<'a>(health: &'a Health, name: &str) -> &'a SubscriberHealth {
    let books = health.subscriber(name).unwrap();
    assert_eq!(
        books.published,
        books.delivered + books.filtered + books.dropped_total() + books.backlog,
        "the books of {name} do not add up: {books:#?}"
    );
    books
}

#[test]
fn a_hanging_subscriber_costs_only_itself_and_its_losses_are_exact() {
    const STEPS: u64 = 35_000; // 105,000 events
    let (gate, hung, healthy) = (Arc::new(Gate::default()), Count::default(), Count::default());
    let telemetry = Telemetry::builder()
        .auto_subscribers(false)
        .subscriber_capacity(150_000)
        .subscriber(Hanging(Arc::clone(&gate), hung.clone()))
        .subscriber(Healthy(healthy.clone()))
        .shutdown_timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let small = Telemetry::builder()
        .auto_subscribers(false)
        .subscriber_capacity(1_000)
        .subscriber(Hanging(Arc::clone(&gate), hung.clone()))
        .shutdown_timeout(Duration::from_millis(200))
        .build()
        .unwrap();

    telemetry.in_scope(|| many(STEPS));
    let waited = Instant::now();
    while healthy.get() < step_events(STEPS) {
        assert!(waited.elapsed() < Duration::from_secs(60), "the healthy one misses events: {:#?}", telemetry.health());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(hung.get(), 0, "it hangs at its first event");
    let health = telemetry.health();
    assert_eq!(books(&health, "Healthy").delivered, step_events(STEPS));
    assert_eq!(books(&health, "Healthy").dropped_total(), 0);
    assert!(books(&health, "Hanging").busy_seconds.is_some());

    // With little room the losses are what did not fit, and a late shutdown counts what was left.
    small.in_scope(|| many(STEPS));
    let late = small.shutdown_blocking().unwrap_err();
    assert!(late.to_string().contains("Hanging"), "{late}");
    let health = small.health();
    let hanging = books(&health, "Hanging");
    assert_eq!(hanging.published, step_events(STEPS));
    assert_eq!(hanging.dropped["shutdown"], 1_000, "{hanging:#?}");
    assert_eq!(hanging.dropped["subscriber_full"], step_events(STEPS) - 1_000, "{hanging:#?}");
    assert_eq!(hanging.delivered, 0);

    gate.open();
    telemetry.shutdown_blocking().unwrap();
    let health = telemetry.health();
    assert_eq!(books(&health, "Hanging").delivered, step_events(STEPS), "nothing of it was lost, it was only late");
}

#[test]
fn a_full_queue_is_counted_for_everybody_who_misses_the_event() {
    // The router is kept busy by nothing: with one place, a burst from many threads finds it taken now and then.
    let healthy = Count::default();
    let telemetry = Telemetry::builder()
        .auto_subscribers(false)
        .queue_capacity(1)
        .subscriber(Healthy(healthy.clone()))
        .subscriber(Panicking(Count::default()))
        .build()
        .unwrap();
    quiet_expected_panics();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| telemetry.in_scope(|| many(5_000)));
        }
    });
    telemetry.shutdown_blocking().unwrap();
    let health = telemetry.health();
    let all = books(&health, "Healthy");
    assert_eq!(all.published, 4 * step_events(5_000));
    assert_eq!(all.delivered, healthy.get());
    assert!(all.dropped["queue_full"] > 0, "one place is not enough for 60,000 events");
    assert_eq!(books(&health, "Panicking").published, 4 * 5_000);
}

#[test]
fn panics_and_errors_of_handlers_are_counted_and_end_there() {
    quiet_expected_panics();
    let (panicking, healthy) = (Count::default(), Count::default());
    let telemetry = Telemetry::builder()
        .auto_subscribers(false)
        .subscriber(Panicking(panicking.clone()))
        .subscriber(Failing)
        .subscriber(Healthy(healthy.clone()))
        .build()
        .unwrap();
    assert_eq!(telemetry.in_scope(|| many(10)), (1..=10).sum::<u64>());
    telemetry.flush_blocking().unwrap();
    let health = telemetry.health();
    assert_eq!((books(&health, "Panicking").delivered, books(&health, "Panicking").failed), (10, 5));
    assert_eq!((books(&health, "Failing").delivered, books(&health, "Failing").failed), (10, 10));
    assert_eq!(books(&health, "Failing").last_error.as_deref(), Some("step.completed: no room for work"));
    assert!(books(&health, "Panicking").last_error.as_ref().unwrap().contains("every second event"));
    assert_eq!((books(&health, "Healthy").delivered, healthy.get()), (30, 30));
    assert!(!health.is_clean());
}

#[test]
fn a_handler_that_never_ends_is_dropped_at_its_time_limit() {
    let telemetry = Telemetry::builder()
        .auto_subscribers(false)
        .subscriber(NeverReady)
        .handler_timeout(Duration::from_millis(20))
        .build()
        .unwrap();
    telemetry.in_scope(|| many(1));
    telemetry.in_scope(|| many(1));
    telemetry.flush_blocking().unwrap();
    let health = telemetry.health();
    assert_eq!((books(&health, "NeverReady").delivered, books(&health, "NeverReady").failed), (2, 2));
}

#[test]
fn what_comes_after_shutdown_is_counted() {
    let healthy = Count::default();
    let telemetry = Telemetry::builder().auto_subscribers(false).subscriber(Healthy(healthy.clone())).build().unwrap();
    telemetry.in_scope(|| many(2));
    telemetry.shutdown_blocking().unwrap();
    assert_eq!(telemetry.in_scope(|| many(3)), 6, "the work itself goes on");
    let health = telemetry.health();
    let all = books(&health, "Healthy");
    assert_eq!((all.delivered, all.dropped["shutdown"]), (step_events(2), step_events(3)));
    telemetry.shutdown_blocking().unwrap(); // a second time is no error
}

#[test]
fn nothing_is_lost_between_publishing_threads_and_a_shutdown_in_the_middle() {
    for _ in 0..20 {
        let (healthy, stop) = (Count::default(), AtomicBool::new(false));
        let telemetry =
            Telemetry::builder().auto_subscribers(false).subscriber(Healthy(healthy.clone())).build().unwrap();
        let published = std::thread::scope(|threads| {
            let publishers: Vec<_> = (0..3)
                .map(|_| {
                    threads.spawn(|| {
                        let mut steps = 0;
                        while !stop.load(Ordering::Relaxed) {
                            telemetry.in_scope(|| many(10));
                            steps += 10;
                        }
                        steps
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(3));
            telemetry.shutdown_blocking().unwrap();
            std::thread::sleep(Duration::from_millis(1));
            stop.store(true, Ordering::Relaxed);
            publishers.into_iter().map(|p| p.join().unwrap()).sum()
        });
        let health = telemetry.health();
        let all = books(&health, "Healthy");
        assert_eq!(all.published, step_events(published), "{all:#?}");
        assert_eq!(all.delivered, healthy.get());
        assert_eq!(all.backlog, 0);
    }
}

#[test]
fn shutdown_keeps_its_deadline_on_every_runtime_and_on_none() {
    let gate = Arc::new(Gate::default());
    let build = || {
        Telemetry::builder()
            .auto_subscribers(false)
            .subscriber(Hanging(Arc::clone(&gate), Count::default()))
            .subscriber(Healthy(Count::default()))
            .shutdown_timeout(Duration::from_millis(100))
            .build()
            .unwrap()
    };
    let check = |telemetry: &Telemetry, began: Instant, result: Result<(), tasker_telemetry::FlushError>| {
        let error = result.unwrap_err();
        assert_eq!(error.subscribers().len(), 1, "{error}");
        assert!(began.elapsed() < Duration::from_secs(30), "the deadline was 100 ms");
        let health = telemetry.health();
        assert_eq!(books(&health, "Healthy").delivered, step_events(3));
        assert_eq!(books(&health, "Hanging").dropped["shutdown"], step_events(3));
    };

    let current = tokio::runtime::Builder::new_current_thread().build().unwrap();
    current.block_on(async {
        let telemetry = build();
        telemetry.in_scope(|| many(3));
        let began = Instant::now();
        let flushed = telemetry.flush().await;
        assert!(flushed.is_err());
        let began_shutdown = Instant::now();
        assert!(began.elapsed() < Duration::from_secs(30));
        check(&telemetry, began_shutdown, telemetry.shutdown().await);
    });

    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    multi.block_on(async {
        let telemetry = build();
        telemetry.in_scope(|| many(3));
        let began = Instant::now();
        check(&telemetry, began, telemetry.shutdown().await);
    });

    let telemetry = build();
    telemetry.in_scope(|| many(3));
    let began = Instant::now();
    check(&telemetry, began, block_on(telemetry.shutdown()));

    let telemetry = build();
    telemetry.in_scope(|| many(3));
    let began = Instant::now();
    drop(telemetry); // flushes, too, and keeps the same limit
    assert!(began.elapsed() < Duration::from_secs(30));
    gate.open();
}

/// An async handler that needs the runtime's own timer, on a current-thread runtime that is busy with the shutdown.
#[derive(Subscriber)]
#[subscribe("step.completed")]
#[subscriber(manual)]
struct Sleepy(Count);

impl Sleepy {
    async fn handle_step_completed(&self, _: &event::step::Completed) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.0.up();
    }
}

#[test]
fn async_handlers_use_the_runtime_in_which_the_telemetry_was_built() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let count = Count::default();
    runtime.block_on(async {
        let telemetry = Telemetry::builder().auto_subscribers(false).subscriber(Sleepy(count.clone())).build().unwrap();
        telemetry.in_scope(|| many(5));
        telemetry.shutdown().await.unwrap();
    });
    assert_eq!(count.get(), 5);
}

#[derive(Subscriber)]
#[subscribe("step.started")]
#[subscriber(manual, inline)]
struct InlinePanicking;

impl InlinePanicking {
    fn handle_step_started(&self, _: &event::step::Started) {
        panic!("{EXPECTED} on the publishing thread");
    }
}

#[derive(serde::Serialize, Event)]
#[event("echo.heard")]
struct Echo {
    depth: u32,
}

#[derive(Subscriber)]
#[subscribe("echo.heard")]
#[subscriber(manual, inline)]
struct EchoChamber(Count);

impl EchoChamber {
    fn handle_echo_heard(&self, event: &Echo) {
        self.0.up();
        publish(Echo { depth: event.depth + 1 }); // for ever, if it were let
    }
}

#[test]
fn an_inline_subscriber_can_neither_panic_nor_loop_its_host() {
    quiet_expected_panics();
    let echoes = Count::default();
    let telemetry = Telemetry::builder()
        .auto_subscribers(false)
        .subscriber(InlinePanicking)
        .subscriber(EchoChamber(echoes.clone()))
        .build()
        .unwrap();
    assert_eq!(telemetry.in_scope(|| many(2)), 3);
    telemetry.in_scope(|| publish(Echo { depth: 0 }));
    let health = telemetry.health();
    assert_eq!((books(&health, "InlinePanicking").delivered, books(&health, "InlinePanicking").failed), (2, 2));
    let chamber = books(&health, "EchoChamber");
    assert_eq!(chamber.dropped["recursion"], 1);
    assert_eq!(chamber.delivered, echoes.get());
    assert!(echoes.get() < 100);
}

/// A value whose text panics.
struct Explosive;

impl std::fmt::Display for Explosive {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("{EXPECTED} in a Display")
    }
}

#[step(fields(value = %Explosive))]
fn with_an_explosive_field() -> u8 {
    7
}

#[task(id = Explosive, fields(value = %Explosive))]
async fn with_an_explosive_id() -> u8 {
    with_an_explosive_field()
}

#[test]
fn a_panic_in_what_is_read_for_telemetry_alone_is_not_the_hosts() {
    quiet_expected_panics();
    let run = block_on(tasker_telemetry::testing::record(with_an_explosive_id()));
    assert_eq!(run.output, 7);
    assert_eq!((run.count("task.completed"), run.count("step.completed")), (1, 1));
    assert_eq!(run[0].task_id().map(str::len), Some(36), "an id of ours");
}
