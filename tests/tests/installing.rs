//! The telemetry of the process: one at a time, gone when it is shut down or dropped. One test, since it is global.

use std::sync::atomic::{AtomicU64, Ordering};

use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::{BuildError, Builder};

static SEEN: AtomicU64 = AtomicU64::new(0);

/// Registers itself.
#[derive(Default, Subscriber)]
#[subscribe("task.completed")]
struct Count;

impl Count {
    fn handle_task_completed(&self, _: &event::task::Completed) {
        SEEN.fetch_add(1, Ordering::SeqCst);
    }
}

#[task]
async fn work() {}

fn builder() -> Builder {
    Telemetry::builder().service_name("shop").service_version("1.2.3")
}

#[test]
fn one_telemetry_is_the_processs() {
    block_on(work());
    assert_eq!(SEEN.load(Ordering::SeqCst), 0, "none is installed yet");

    let first = builder().install().unwrap();
    assert_eq!((first.service_name(), first.service_version()), ("shop", "1.2.3"));
    assert!(matches!(builder().install(), Err(BuildError::AlreadyInstalled)));
    block_on(work());
    std::thread::spawn(|| block_on(work())).join().unwrap();
    block_on(first.flush()).unwrap();
    assert_eq!(SEEN.load(Ordering::SeqCst), 2, "on every thread");

    let other = builder().auto_subscribers(false).build().unwrap();
    block_on(other.scope(work()));
    first.flush_blocking().unwrap();
    assert_eq!(SEEN.load(Ordering::SeqCst), 2, "a scope goes before what is installed");

    first.shutdown_blocking().unwrap();
    block_on(work());
    assert_eq!(SEEN.load(Ordering::SeqCst), 2, "what was shut down is the process's no more");

    let second = builder().install().unwrap();
    block_on(work());
    drop(second); // flushes
    assert_eq!(SEEN.load(Ordering::SeqCst), 3);
    block_on(work());
    assert_eq!(SEEN.load(Ordering::SeqCst), 3);

    let third = builder().enabled(false).install().unwrap();
    block_on(work());
    assert!(third.health().published.is_empty());
    for (setting, wrong) in
        [("queue_capacity", builder().queue_capacity(0)), ("subscriber_capacity", builder().subscriber_capacity(0))]
    {
        let error = wrong.build().unwrap_err().to_string();
        assert_eq!(error, format!("`{setting}` must be at least 1"));
    }
}
