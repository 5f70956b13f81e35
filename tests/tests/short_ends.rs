//! The end of a step is added to what its beginning was told by, where that is still at hand (ADR 051). Nobody may notice:
//! all events come, once, in their order, and the books agree, however many threads, tasks and telemetries there are.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tasker_telemetry::prelude::*;
use tasker_telemetry::{Health, with_current_scope};

/// What was seen of each task: names of events and of their steps.
#[derive(Debug, Default, Clone, Subscriber)]
#[subscribe("*")]
#[subscriber(manual)]
struct All(Arc<Mutex<HashMap<String, Vec<Seen>>>>);

#[derive(Debug, Clone)]
struct Seen {
    name: &'static str,
    step: String,
    timestamp: u64,
    started_at: Option<String>,
    took: Option<f64>,
}

impl All {
    fn handle_event(&self, event: &EventRecord) {
        let json = event.payload();
        let seen = Seen {
            name: event.name(),
            step: event.step_id().unwrap_or_default().to_owned(),
            timestamp: event.timestamp().as_unix_nanos(),
            started_at: json["started_at"].as_str().map(str::to_owned),
            took: json["execution_duration"].as_f64(),
        };
        self.0.lock().unwrap().entry(event.task_id().unwrap_or_default().to_owned()).or_default().push(seen);
    }
}

/// Something told inside of a step.
#[derive(Debug, Clone, serde::Serialize, Event)]
#[event("short.told")]
struct Told {
    n: u32,
}

#[step]
fn leaf(n: u32) -> u32 {
    n + 1
}

#[step]
async fn around(n: u32) -> u32 {
    leaf(n) + leaf(n)
}

#[step]
fn telling(n: u32) -> u32 {
    publish(Told { n });
    n
}

#[step]
fn slow() {
    thread::sleep(Duration::from_millis(30)); // the router has taken its beginning
}

#[step]
async fn waiting() {
    tokio::task::yield_now().await;
}

fn telemetry(all: &All, queue: usize) -> Telemetry {
    let builder = Telemetry::builder().auto_subscribers(false).subscriber_capacity(1_000_000);
    builder.queue_capacity(queue).subscriber(all.clone()).build().unwrap()
}

const STEP: [&str; 3] = ["step.execution_requested", "step.started", "step.completed"];

/// Each step has begun, started and ended, once and in that order, and what it says of its times agrees.
fn assert_whole(seen: &[Seen], steps: usize) {
    let mut by_step: HashMap<&str, Vec<&Seen>> = HashMap::new();
    for seen in seen.iter().filter(|seen| STEP.contains(&seen.name)) {
        by_step.entry(&seen.step).or_default().push(seen);
    }
    assert_eq!(by_step.len(), steps);
    for (step, seen) in by_step {
        assert_eq!(seen.iter().map(|seen| seen.name).collect::<Vec<_>>(), STEP, "{step}");
        assert!(seen[1].started_at.is_some() && seen[1].started_at == seen[2].started_at, "{seen:?}");
        let (between, took) = (seen[2].timestamp - seen[1].timestamp, seen[2].took.unwrap());
        #[allow(clippy::cast_precision_loss, reason = "short times")]
        let between = between as f64 / 1e9;
        assert!((between - took).abs() < 1e-9, "{between} and {took} s");
    }
}

/// What is published was delivered or is counted as lost.
fn assert_books(health: &Health) {
    let published: u64 = health.published.values().sum();
    let all = health.subscriber("short_ends::All").or_else(|| health.subscribers.first()).unwrap();
    assert_eq!(published, all.delivered + all.dropped_total(), "{health:?}");
}

#[tokio::test]
async fn however_a_step_ends_all_of_it_is_told_in_its_order() {
    #[task(id = "one")]
    async fn one() {
        around(1).await;
        telling(2);
        slow();
        waiting().await;
        leaf(3);
    }
    let all = All::default();
    let telemetry = telemetry(&all, 100_000);
    telemetry.scope(one()).await;
    telemetry.flush().await.unwrap();
    let seen = all.0.lock().unwrap()["one"].clone();
    let names: Vec<_> = seen.iter().map(|seen| seen.name).collect();
    let (asked, started, done) = (STEP[0], STEP[1], STEP[2]);
    let expected = [
        vec!["task.initialize_requested", "task.start_requested"],
        vec![asked, started, asked, started, done, asked, started, done, done],
        vec![asked, started, "short.told", done],
        [STEP, STEP, STEP].concat(),
        vec!["task.completed"],
    ];
    assert_eq!(names, expected.concat());
    assert_whole(&seen, 7);
    assert_books(&telemetry.health());
    assert_eq!(telemetry.health().dropped(), 0);
}

#[test]
fn steps_of_one_task_on_many_threads_end_as_their_own() {
    const THREADS: usize = 8;
    const STEPS: u32 = 2_000;
    #[task(id = "many")]
    fn many() {
        let start = Arc::new(Barrier::new(THREADS));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let start = Arc::clone(&start);
                thread::spawn(with_current_scope(move || {
                    start.wait();
                    for n in 0..STEPS {
                        leaf(n);
                        if n % 64 == 0 {
                            thread::yield_now();
                        }
                    }
                }))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
    let all = All::default();
    let telemetry = telemetry(&all, 1_000_000);
    telemetry.in_scope(many);
    telemetry.flush_blocking().unwrap();
    let seen = all.0.lock().unwrap()["many"].clone();
    assert_whole(&seen, THREADS * STEPS as usize);
    assert_eq!(seen.last().unwrap().name, "task.completed");
    let health = telemetry.health();
    assert_books(&health);
    assert_eq!((health.dropped(), health.queue.late), (0, 0), "{health:?}");
}

#[test]
fn a_step_that_ends_on_another_thread_does_not_end_the_one_that_began_there() {
    const ROUNDS: usize = 300;
    /// Pending once.
    #[step]
    async fn waits() {
        let mut first = true;
        std::future::poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
    }
    #[task(id = "moves")]
    fn moves() {
        let poll = |future: &mut Pin<Box<dyn Future<Output = ()> + Send>>| {
            future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        for _ in 0..ROUNDS {
            let mut here: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(waits().in_current_scope());
            let mut there: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(waits().in_current_scope());
            assert_eq!(poll(&mut here), Poll::Pending);
            thread::scope(|scope| scope.spawn(|| assert_eq!(poll(&mut there), Poll::Pending)).join().unwrap());
            assert_eq!((poll(&mut there), poll(&mut here)), (Poll::Ready(()), Poll::Ready(())));
        }
    }
    let all = All::default();
    let telemetry = telemetry(&all, 100_000);
    telemetry.in_scope(moves);
    telemetry.flush_blocking().unwrap();
    assert_whole(&all.0.lock().unwrap()["moves"], 2 * ROUNDS);
    assert_books(&telemetry.health());
}

#[test]
fn a_step_that_ends_while_its_thread_is_torn_down_is_told_of() {
    type Waiting = Pin<Box<dyn Future<Output = ()>>>;
    /// Goes on with its future when the thread ends, after everything that the thread made later is gone.
    struct Last(RefCell<Option<Waiting>>);
    impl Drop for Last {
        fn drop(&mut self) {
            if let Some(mut future) = self.0.take() {
                assert_eq!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
            }
        }
    }
    thread_local!(static LAST: Last = const { Last(RefCell::new(None)) });
    #[step]
    async fn waits() {
        let mut first = true;
        std::future::poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
    }
    #[task(id = "torn")]
    fn torn() {
        let mut future: Waiting = Box::pin(waits().in_current_scope());
        assert_eq!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
        LAST.with(|last| last.0.replace(Some(future)));
    }
    let all = All::default();
    let telemetry = Arc::new(telemetry(&all, 100_000));
    let of_thread = Arc::clone(&telemetry);
    thread::spawn(move || {
        LAST.with(|_| ()); // first: what is made first is dropped last
        of_thread.in_scope(torn);
    })
    .join()
    .unwrap();
    telemetry.flush_blocking().unwrap();
    assert_whole(&all.0.lock().unwrap()["torn"], 1);
    assert_books(&telemetry.health());
}

#[test]
fn tasks_and_telemetries_that_take_turns_on_a_thread_do_not_end_each_others_steps() {
    #[task(id = format!("task {n}"))]
    fn task(n: u32, inner: &Telemetry) {
        for step in 0..50 {
            leaf(step);
            inner.in_scope(|| elsewhere(step));
        }
    }
    #[task(id = format!("elsewhere {step}"))]
    fn elsewhere(step: u32) {
        leaf(step);
    }
    let (outer, inner) = (All::default(), All::default());
    let (first, second) = (telemetry(&outer, 100_000), telemetry(&inner, 100_000));
    for n in 0..20 {
        first.in_scope(|| task(n, &second));
    }
    first.flush_blocking().unwrap();
    second.flush_blocking().unwrap();
    let outer = outer.0.lock().unwrap().clone();
    assert_eq!(outer.len(), 20);
    for seen in outer.values() {
        assert_whole(seen, 50);
    }
    let inner = inner.0.lock().unwrap().clone();
    assert_eq!(
        inner.values().map(|seen| seen.iter().filter(|seen| seen.name == STEP[2]).count()).sum::<usize>(),
        1_000
    );
    assert_books(&first.health());
    assert_books(&second.health());
}

#[test]
fn where_the_queue_is_full_what_is_lost_is_counted() {
    #[task]
    fn full() {
        for n in 0..20_000 {
            leaf(n);
        }
    }
    let all = All::default();
    let telemetry = telemetry(&all, 64);
    telemetry.in_scope(full);
    telemetry.flush_blocking().unwrap();
    let health = telemetry.health();
    assert_books(&health);
    let told: u64 = health.published.values().sum();
    assert_eq!(told, 3 * 20_000 + 3, "of each step three, of the task three, lost or not: {health:?}");
}

#[test]
fn what_goes_on_after_the_shutdown_is_counted_as_that() {
    #[task]
    fn goes_on(telemetry: &Telemetry) {
        leaf(0);
        telemetry.shutdown_blocking().unwrap();
        for n in 0..1_000 {
            leaf(n);
        }
    }
    let all = All::default();
    let telemetry = telemetry(&all, 100_000);
    telemetry.in_scope(|| goes_on(&telemetry));
    let health = telemetry.health();
    let dropped = &health.subscribers[0].dropped;
    assert_eq!(dropped.iter().collect::<Vec<_>>(), [(&"shutdown", &3_001)], "{health:?}");
    assert_eq!(all.0.lock().unwrap().values().flatten().filter(|seen| seen.name == STEP[2]).count(), 1);
}

#[test]
fn many_threads_that_meet_a_full_queue_lose_nothing_uncounted() {
    const THREADS: usize = 4;
    const ROUNDS: u32 = 2_000;
    #[step]
    fn nest(n: u32) -> u32 {
        leaf(n) + leaf(n)
    }
    /// Three steps and a custom event a round.
    #[task]
    fn crowded() {
        for n in 0..ROUNDS {
            nest(n);
            publish(Told { n });
        }
    }
    let all = All::default();
    for capacity in [1, 7, 64, 1_000] {
        let telemetry = telemetry(&all, capacity);
        let start = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    telemetry.in_scope(crowded);
                });
            }
        });
        telemetry.shutdown_blocking().unwrap();
        let health = telemetry.health();
        assert_books(&health);
        let told: u64 = health.published.values().sum();
        let expected = THREADS as u64 * (u64::from(ROUNDS) * (3 * 3 + 1) + 3);
        assert_eq!((told, health.queue.depth), (expected, 0), "{capacity}: {health:?}");
    }
}
