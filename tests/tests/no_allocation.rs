//! With telemetry off, and with it on but nobody listening, a step makes no heap allocation. With spans it makes one, for what other
//! libraries see, and nearly none besides.
//!
//! One test in a file of its own: the counting allocator counts by thread, but cores (and the interest in them) are counted
//! by process.

use std::alloc::System;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;

use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::InMemorySpans;

/// Counts the allocations of this thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting touches a plain cell.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl std::alloc::GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: std::alloc::Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: std::alloc::Layout, new_size: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    f();
    ALLOCATIONS.with(Cell::get) - before
}

#[derive(Debug, Clone, Copy)]
struct Odd;

#[step(fields(n, text = "some text of the caller", list = vec![n; 100]), retry_limit = 2, retry_if = never)]
async fn retried(n: u64) -> Result<u64, Odd> {
    if n.is_multiple_of(2) { Ok(n) } else { Err(Odd) }
}

const fn never(_: &Odd) -> bool {
    false
}

#[step(fields(n))]
async fn once(n: u64) -> Result<u64, Odd> {
    yield_once().await;
    if n.is_multiple_of(2) { Ok(n) } else { Err(Odd) }
}

#[step]
fn plain(n: u64) -> Result<u64, Odd> {
    if n.is_multiple_of(2) { Ok(n) } else { Err(Odd) }
}

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            std::task::Poll::Ready(())
        } else {
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }
    })
    .await;
}

/// The allocations of 1,000 steps, each way of writing one, well and failing ones.
async fn steps() -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    for n in 0..1_000 {
        let _ = once(n).await;
        let _ = plain(n);
        let _ = retried(n).await;
        publish(Ping { n });
    }
    ALLOCATIONS.with(Cell::get) - before
}

#[step]
async fn waits(n: u64) -> u64 {
    yield_once().await;
    yield_once().await;
    n
}

#[step]
fn does_not(n: u64) -> u64 {
    n
}

#[task]
async fn two_thousand_steps() -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    for n in 0..1_000 {
        waits(n).await;
        does_not(n);
    }
    ALLOCATIONS.with(Cell::get) - before
}

/// Why an order was not taken.
#[derive(Debug)]
struct Declined;

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("declined")
    }
}

impl std::error::Error for Declined {}

#[step]
fn fails(_: u64) -> Result<(), Declined> {
    Err(Declined)
}

#[task]
async fn thousand_failures() -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    for n in 0..1_000 {
        let _ = fails(n);
    }
    ALLOCATIONS.with(Cell::get) - before
}

#[derive(serde::Serialize, Event)]
#[event("allocation.ping")]
struct Ping {
    n: u64,
}

#[task(fields(n = 7))]
async fn steps_in_a_task() -> u64 {
    steps().await
}

static HITS: Counter<2> = Counter::with_labels("allocation_hits_total", "", ["a", "b"]);
static TOOK: Histogram<1> = Histogram::with_labels("allocation_took_seconds", "", ["a"]);

/// 10,000,000 records, a part of them looked up by their labels, and no export meanwhile.
fn records() {
    let (hits, took) = (HITS.with(["x", "y"]), TOOK.with(["x"]));
    for record in 0..5_000_000_u32 {
        hits.inc();
        took.record(f64::from(record) / 1e6);
        if record % 100 == 0 {
            HITS.with(["looked", "up"]).inc();
        }
    }
}

#[test]
fn a_step_nobody_listens_to_allocates_nothing() {
    assert!(allocations(|| drop(Box::new(1))) == 1, "the counter counts");
    assert_eq!(block_on(steps()), 0, "telemetry off");
    assert_eq!(block_on(steps_in_a_task()), 0, "telemetry off, in a task");

    let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
    // First times: thread-locals, lazy statics, and the series of the metrics, made once for each task and step.
    block_on(telemetry.scope(steps()));
    block_on(telemetry.scope(steps_in_a_task()));
    assert_eq!(block_on(telemetry.scope(steps())), 0, "on, outside any task");
    assert_eq!(block_on(telemetry.scope(steps_in_a_task())), 0, "on, in a task");
    drop(telemetry);

    HITS.with(["looked", "up"]).inc();
    records();
    assert_eq!(allocations(records), 0, "metrics of the program");

    let telemetry = Telemetry::builder().auto_subscribers(false).enabled(false).build().unwrap();
    assert_eq!(block_on(telemetry.scope(steps_in_a_task())), 0, "built, but not enabled");
    drop(telemetry);

    // With metrics off there are no series to make.
    let telemetry = Telemetry::builder().auto_subscribers(false).metrics_enabled(false).build().unwrap();
    assert_eq!(block_on(telemetry.scope(steps())), 0, "without metrics, outside any task");
    assert_eq!(block_on(telemetry.scope(steps_in_a_task())), 0, "without metrics, in a task");
    drop(telemetry);

    let spans = InMemorySpans::default();
    let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans).build().unwrap();
    block_on(telemetry.scope(two_thousand_steps()));
    let seen = block_on(telemetry.scope(two_thousand_steps()));
    assert!(
        (2_000..2_600).contains(&seen),
        "{seen} with spans: a piece of the queue now and then is all that may be added"
    );
    block_on(telemetry.scope(thousand_failures()));
    let seen = block_on(telemetry.scope(thousand_failures()));
    // Where `RUST_BACKTRACE` asks for the frames, capturing them takes more.
    let is_asked = Backtrace::capture().status() == BacktraceStatus::Captured;
    assert!(
        is_asked || (4_000..4_300).contains(&seen),
        "{seen} with spans: the context, and for each that fails two more and its text"
    );
    drop(telemetry);

    let telemetry = Telemetry::builder().auto_subscribers(false).install().unwrap();
    block_on(async { (steps().await, steps_in_a_task().await) });
    assert_eq!(block_on(steps()), 0, "installed, outside any task");
    assert_eq!(block_on(steps_in_a_task()), 0, "installed, in a task");
    drop(telemetry);
}
