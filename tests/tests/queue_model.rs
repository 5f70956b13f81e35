//! The queue's protocol under a model checker: many schedules of few operations, each chosen by shuttle.
//!
//! The file under test is the library's own; only the atomics, the parking and the list below it are shuttle's.

#![allow(dead_code, unreachable_pub, clippy::pedantic, reason = "the included file is linted where it lives")]

/// In the place of the library's `sync.rs`.
mod sync {
    pub(super) use std::sync::OnceLock;

    pub(super) use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    pub(super) use shuttle::thread::{Thread, park, park_timeout};

    /// A list with a lock: what is checked is the protocol around it, and each operation is a point to switch at.
    pub(super) struct SegQueue<T>(shuttle::sync::Mutex<std::collections::VecDeque<T>>);

    impl<T> SegQueue<T> {
        pub(super) fn new() -> Self {
            Self(shuttle::sync::Mutex::new(std::collections::VecDeque::new()))
        }

        pub(super) fn push(&self, item: T) {
            self.0.lock().unwrap().push_back(item);
        }

        pub(super) fn pop(&self) -> Option<T> {
            self.0.lock().unwrap().pop_front()
        }
    }
}

#[path = "../../tasker-telemetry/src/publisher/queue.rs"]
mod queue;

use queue::Queue;
use shuttle::sync::Arc;
use shuttle::thread;

const SCHEDULES: usize = 5_000;

/// The consumer sleeps without a time limit: a lost wake-up is a deadlock, which shuttle reports.
#[test]
fn no_schedule_loses_a_wake_up() {
    shuttle::check_random(
        || {
            let queue = Arc::new(Queue::new(100));
            let producers: Vec<_> = (0..2)
                .map(|producer| {
                    let queue = Arc::clone(&queue);
                    thread::spawn(move || {
                        for number in 0..2 {
                            assert!(queue.push((producer, number)).is_ok());
                        }
                    })
                })
                .collect();
            queue.set_consumer(thread::current());
            let mut taken: Vec<(u32, u32)> = Vec::new();
            while taken.len() < 4 {
                if queue.drain(8, &mut taken) == 0 {
                    queue.sleep(None);
                }
            }
            for producer in 0..2 {
                let order: Vec<_> = taken.iter().filter(|(p, _)| *p == producer).map(|(_, n)| *n).collect();
                assert_eq!(order, [0, 1], "a producer's own order");
            }
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            assert_eq!(queue.len(), 0);
        },
        SCHEDULES,
    );
}

/// What is let in is taken out, what is not is given back: nothing is both, nothing is neither.
#[test]
fn no_schedule_loses_an_item_at_the_close() {
    shuttle::check_random(
        || {
            let queue = Arc::new(Queue::new(2));
            let producers: Vec<_> = (0..3)
                .map(|producer| {
                    let queue = Arc::clone(&queue);
                    thread::spawn(move || (0..2).filter(|number| queue.push((producer, *number)).is_ok()).count())
                })
                .collect();
            queue.set_consumer(thread::current());
            let mut taken: Vec<(u32, u32)> = Vec::new();
            queue.drain(1, &mut taken);
            queue.close();
            while !queue.is_finished() {
                if queue.drain(8, &mut taken) == 0 {
                    thread::yield_now();
                }
            }
            let let_in: usize = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
            assert_eq!(taken.len(), let_in);
            assert_eq!(queue.push((9, 9)), Err((9, 9)), "closed for good");
        },
        SCHEDULES,
    );
}
