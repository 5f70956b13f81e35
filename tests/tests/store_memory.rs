//! While the store is away, what waits for it is bounded in bytes, whatever errors say. One test in a file of its own: the
//! allocator counts for the whole process.

use std::alloc::System;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use integration_tests::store::{Database, store};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _};
use tasker_telemetry::prelude::*;
use tasker_telemetry::store::StoreOptions;

/// Counts the bytes that are allocated, and the most there were.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn allocated(bytes: usize) {
    MOST.fetch_max(BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting touches plain atomics.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl std::alloc::GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: std::alloc::Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: std::alloc::Layout, new_size: usize) -> *mut u8 {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        allocated(new_size);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KB: usize = 1024;
const MB: usize = 1024 * KB;
/// Each of an error's texts.
const LONG: usize = 256 * KB;
const CAUSES: usize = 3;

/// An error that says too much, and so do its causes.
#[derive(Debug)]
struct Talkative(Option<Box<Talkative>>);

impl Talkative {
    fn with_causes() -> Self {
        (0..CAUSES).fold(Self(None), |cause, _| Self(Some(Box::new(cause))))
    }
}

impl fmt::Display for Talkative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..LONG / 16).try_for_each(|_| f.write_str("declined, again; "))
    }
}

impl std::error::Error for Talkative {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_deref().map(|cause| cause as _)
    }
}

#[step]
fn charge(_order: u64) -> Result<u64, Talkative> {
    Err(Talkative::with_causes())
}

#[task(id = order)]
fn order_process(order: u64) -> Result<u64, Talkative> {
    charge(order)
}

/// Events of an order, two of them failures: one of the step, one of the task.
const EVENTS: u64 = 6;
/// What waits at most.
const ORDERS_THAT_WAIT: u64 = 100;

#[tokio::test]
async fn what_waits_is_bounded_in_bytes() {
    let database = Database::sqlite();
    let soon = Duration::from_millis(100);
    let capacity = usize::try_from(ORDERS_THAT_WAIT * EVENTS).unwrap();
    let options = StoreOptions::new().statement_timeout(soon).delivery_timeout(soon).buffer_capacity(capacity);
    let telemetry = database.builder_with(options).build().unwrap();
    let run = |orders: std::ops::Range<u64>| {
        telemetry.in_scope(|| orders.for_each(|order| drop(order_process(order))));
    };
    // First times: statics, series, the tables.
    run(0..1);
    telemetry.flush().await.unwrap();
    let health = || store(&telemetry).health();
    let mut lock = SqliteConnection::connect(database.url()).await.unwrap();
    lock.execute("BEGIN IMMEDIATE").await.unwrap();

    let before = BYTES.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let grown = || BYTES.load(Ordering::Relaxed).saturating_sub(before);
    let all_is_counted = async |orders: u64| loop {
        let health = health();
        if health.written + health.waiting + health.lost_total() == orders * EVENTS {
            return health;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    run(1..ORDERS_THAT_WAIT * 2);
    let full = all_is_counted(ORDERS_THAT_WAIT * 2).await;
    assert_eq!(full.waiting, capacity as u64, "{full:?}");
    let when_full = grown();
    run(ORDERS_THAT_WAIT * 2..ORDERS_THAT_WAIT * 6);
    let later = all_is_counted(ORDERS_THAT_WAIT * 6).await;
    assert_eq!((later.waiting, later.written), (capacity as u64, EVENTS), "{later:?}");

    // An error keeps 4 kB of each of its texts, and an event less than 2 kB beside. What is under way to the database is there up to four
    // times: as it waits, as rows, as JSON, and as the database's own copy of that.
    let failures = usize::try_from(ORDERS_THAT_WAIT * 2).unwrap();
    let waits = failures * (1 + CAUSES) * 4 * KB + capacity * 2 * KB;
    let most = MOST.load(Ordering::Relaxed) - before;
    println!(
        "{} kB wait, {} kB later, {} kB at most; {} kB were allowed",
        when_full / KB,
        grown() / KB,
        most / KB,
        4 * waits / KB
    );
    assert!(when_full < 4 * waits && grown() < 4 * waits, "{when_full} and {} of {waits} bytes", grown());
    // One order that fails needs some of its long texts at once.
    assert!(most < 4 * waits + 16 * LONG, "{most} of {waits} bytes");
    // And it is there to be written: nothing was thrown away to stay small.
    assert!(when_full > failures * 4 * KB, "{when_full} bytes");

    lock.execute("ROLLBACK").await.unwrap();
    telemetry.flush().await.unwrap();
    assert_eq!(health().written, EVENTS + capacity as u64);
    assert!(grown() < 2 * MB, "{} bytes stay when all is written", grown());
}
