//! The queue's protocol, and the order restored behind it, under a model checker: many schedules of few operations, each
//! chosen by shuttle.
//!
//! The files under test are the library's own; only the atomics, the locks, the parking and the list are shuttle's.

#![allow(dead_code, unreachable_pub, clippy::pedantic, reason = "the included files are linted where they live")]

/// In the place of the library's `sync.rs`.
mod sync {
    pub(super) use std::sync::OnceLock;

    pub(super) use shuttle::sync::MutexGuard;
    pub(super) use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
    pub(super) use shuttle::thread::{Thread, park, park_timeout};

    /// As `parking_lot` has it.
    pub(super) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn new(inside: T) -> Self {
            Self(shuttle::sync::Mutex::new(inside))
        }

        pub(super) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }

        pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    /// A list with a lock: what is checked is the protocol around it, and each operation is a point to switch at.
    pub(super) struct SegQueue<T>(Mutex<std::collections::VecDeque<T>>);

    impl<T> SegQueue<T> {
        pub(super) fn new() -> Self {
            Self(Mutex::new(std::collections::VecDeque::new()))
        }

        pub(super) fn push(&self, item: T) {
            self.0.lock().push_back(item);
        }

        pub(super) fn pop(&self) -> Option<T> {
            self.0.lock().pop_front()
        }

        pub(super) fn is_empty(&self) -> bool {
            self.0.lock().is_empty()
        }
    }
}

#[path = "../../tasker-telemetry/src/publisher/order.rs"]
mod order;
#[path = "../../tasker-telemetry/src/publisher/queue.rs"]
mod queue;

use std::sync::atomic::AtomicU32;

use order::{Numbered, Order, Place};
use queue::Queue;
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU32 as SharedU32, Ordering};
use shuttle::thread;

const SCHEDULES: usize = 5_000;

fn read<T>(queue: &Queue<T>, taken: &mut Vec<T>) -> usize {
    let mut pieces = Vec::new();
    let read = queue.read(&mut pieces);
    taken.extend(pieces.into_iter().flatten());
    queue.give_back(read);
    read
}

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
                        let lane = queue.open_lane();
                        for number in 0..2 {
                            assert!(queue.push_in(&lane, 0, 0, |_| (producer, number)).is_ok());
                        }
                    })
                })
                .collect();
            queue.set_consumer(thread::current());
            let mut taken: Vec<(u32, u32)> = Vec::new();
            while taken.len() < 4 {
                if read(&queue, &mut taken) == 0 {
                    queue.sleep(None);
                }
            }
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            taken.sort_unstable();
            assert_eq!(taken, [(0, 0), (0, 1), (1, 0), (1, 1)]);
            assert_eq!(queue.len(), 0);
            assert_eq!(queue.tally()[0], 4);
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
                    thread::spawn(move || {
                        let lane = queue.open_lane();
                        let push = |number: &u32| match producer {
                            0 => queue.push(0, (producer, *number)).is_ok(),
                            _ => queue.push_in(&lane, 0, 0, |_| (producer, *number)).is_ok(),
                        };
                        (0..2).filter(push).count()
                    })
                })
                .collect();
            queue.set_consumer(thread::current());
            let mut taken: Vec<(u32, u32)> = Vec::new();
            read(&queue, &mut taken);
            queue.close();
            while !queue.is_finished() {
                if read(&queue, &mut taken) == 0 {
                    thread::yield_now();
                }
            }
            let let_in: usize = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
            assert_eq!(taken.len(), let_in);
            let lane = queue.open_lane();
            assert!(queue.push_in(&lane, 0, 0, |_| (9, 9)).is_err(), "closed for good");
        },
        SCHEDULES,
    );
}

/// What follows an item of its owner is read in one piece with it, and what is added to an item is read with it.
#[test]
fn no_schedule_parts_what_belongs_together() {
    shuttle::check_random(
        || {
            let queue = Arc::new(Queue::new(100));
            let producer = thread::spawn({
                let queue = Arc::clone(&queue);
                move || {
                    let lane = queue.open_lane();
                    let mut added = 0;
                    for owner in [5, 5, 6, 6, 6] {
                        assert!(queue.push_in(&lane, 0, owner, |follows| (owner, follows, 0)).is_ok());
                        let add = |item: &mut (usize, bool, usize)| {
                            item.2 += 1;
                            true
                        };
                        added += usize::from(Queue::change_last(&lane, 0, owner, add));
                    }
                    added
                }
            });
            queue.set_consumer(thread::current());
            let (mut seen, mut added) = (Vec::new(), 0);
            while seen.len() < 5 {
                let mut pieces: Vec<Vec<(usize, bool, usize)>> = Vec::new();
                let count = queue.read(&mut pieces);
                queue.give_back(count);
                for piece in pieces {
                    for (place, (owner, follows, changes)) in piece.iter().enumerate() {
                        assert!(!follows || (place > 0 && piece[place - 1].0 == *owner), "{piece:?}");
                        added += changes;
                        seen.push(*owner);
                    }
                }
                if count == 0 {
                    queue.sleep(None);
                }
            }
            seen.sort_unstable(); // what found the lock taken went another way
            assert_eq!((seen, added), (vec![5, 5, 6, 6, 6], producer.join().unwrap()));
        },
        SCHEDULES,
    );
}

/// An event of the one task of these schedules.
struct Event {
    next: std::sync::Arc<AtomicU32>,
    number: u32,
}

impl Numbered for Event {
    fn place(&self) -> Option<Place<'_>> {
        Some(Place { line: 0, next: &self.next, number: self.number, width: 1 })
    }
}

/// A thread publishes, has another publish, and publishes again: what happened before is seen before, by whatever lanes it
/// came. Meanwhile a third publishes at the same time, whose events have no order to these but must not be lost.
#[test]
fn no_schedule_turns_cause_and_effect_around() {
    shuttle::check_random(
        || {
            let queue = Arc::new(Queue::new(100));
            let (numbers, next) = (Arc::new(SharedU32::new(0)), std::sync::Arc::new(AtomicU32::new(0)));
            let push = {
                let (queue, numbers, next) = (Arc::clone(&queue), Arc::clone(&numbers), std::sync::Arc::clone(&next));
                move |lane: &queue::Lane<Labelled>, what| {
                    let make = |_| {
                        let number = numbers.fetch_add(1, Ordering::Relaxed);
                        Labelled(what, Event { next: std::sync::Arc::clone(&next), number })
                    };
                    assert!(queue.push_in(lane, 0, 0, make).is_ok());
                }
            };
            let chain = thread::spawn({
                let (push, queue) = (push.clone(), Arc::clone(&queue));
                move || {
                    let lane = queue.open_lane();
                    push(&lane, 1);
                    let (inner, other) = (push.clone(), Arc::clone(&queue));
                    thread::spawn(move || inner(&other.open_lane(), 2)).join().unwrap();
                    push(&lane, 3);
                }
            });
            let beside = thread::spawn({
                let (push, queue) = (push.clone(), Arc::clone(&queue));
                move || push(&queue.open_lane(), 9)
            });
            queue.set_consumer(thread::current());
            let (mut order, mut seen) = (Order::new(), Vec::new());
            while seen.len() < 4 {
                order.begin_reading();
                let mut taken = Vec::new();
                let count = read(&queue, &mut taken);
                for event in taken {
                    if order.admits(&event) {
                        seen.push(event.0);
                    } else {
                        order.hold(event);
                    }
                }
                order.settle(|event| seen.push(event.0));
                if count == 0 && !order.is_waiting() {
                    queue.sleep(None);
                }
            }
            chain.join().unwrap();
            beside.join().unwrap();
            seen.retain(|what| *what != 9);
            assert_eq!(seen, [1, 2, 3]);
            assert_eq!(order.skipped, order.late, "nothing was dropped: what was skipped came");
        },
        SCHEDULES,
    );
}

struct Labelled(u32, Event);

impl Numbered for Labelled {
    fn place(&self) -> Option<Place<'_>> {
        self.1.place()
    }
}
