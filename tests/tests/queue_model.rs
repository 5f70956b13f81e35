//! The queue's protocol, and the order restored behind it, under a model checker: many schedules of few operations, each
//! chosen by shuttle.
//!
//! The files under test are the library's own; only the atomics, the locks, the parking and the list are shuttle's.

#![allow(dead_code, unreachable_pub, clippy::pedantic, reason = "the included files are linted where they live")]

/// In the place of the library's `sync.rs`.
mod sync {
    pub(super) use std::sync::OnceLock;

    use shuttle::sync::{Arc, Condvar};

    pub(super) use shuttle::sync::MutexGuard;
    pub(super) use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

    /// A thread that sleeps until it is woken, and for no other reason: shuttle's `park` may wake by itself, which would hide a lost
    /// wake-up.
    #[derive(Clone)]
    pub(super) struct Thread(Arc<(shuttle::sync::Mutex<bool>, Condvar)>);

    shuttle::thread_local! {
        static CURRENT: Thread = Thread(Arc::new((shuttle::sync::Mutex::new(false), Condvar::new())));
    }

    impl Thread {
        pub(super) fn current() -> Self {
            CURRENT.with(Self::clone)
        }

        pub(super) fn unpark(&self) {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_one();
        }
    }

    pub(super) fn park() {
        let Thread(own) = Thread::current();
        let mut is_woken = own.0.lock().unwrap();
        while !*is_woken {
            is_woken = own.1.wait(is_woken).unwrap();
        }
        *is_woken = false;
    }

    pub(super) fn park_timeout(_: std::time::Duration) {
        park();
    }

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

#[path = "../../tasker-telemetry/src/publisher/harvest.rs"]
mod harvest;
#[path = "../../tasker-telemetry/src/publisher/order.rs"]
mod order;
#[path = "../../tasker-telemetry/src/publisher/queue.rs"]
mod queue;
#[path = "../../tasker-telemetry/src/publisher/strip.rs"]
mod strip;
#[path = "../../tasker-telemetry/src/publisher/track.rs"]
mod track;

use std::sync::atomic::AtomicU32;

use harvest::{Harvest, Read};
use order::{Numbered, Order, Place};
use queue::Refused;
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU32 as SharedU32, AtomicU64, Ordering};
use shuttle::thread;
use strip::Entry;
use sync::Thread;

const SCHEDULES: usize = 3_000;

/// Some schedules at random, and more in which few threads are held up at the worst time: those find what needs a long delay of one.
fn check(scenario: impl Fn() + Clone + Send + Sync + 'static) {
    shuttle::check_random(scenario.clone(), SCHEDULES);
    shuttle::check_pct(scenario, 2 * SCHEDULES, 3);
}

type Queue<T> = queue::Queue<T, Pair>;
type Lane<T> = queue::Lane<T, Pair>;

/// An entry of two words, which belong together.
#[derive(Default)]
struct Pair(AtomicU64, AtomicU64);

impl Entry for Pair {
    type Content = u64;
    type Owner = usize;

    fn put(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
        self.1.store(number, Ordering::Relaxed);
    }

    fn content(&self) -> Option<u64> {
        let (first, second) = (self.0.load(Ordering::Relaxed), self.1.load(Ordering::Relaxed));
        assert_eq!(first, second, "half of it was published");
        Some(first)
    }

    fn is(&self, number: u64) -> bool {
        self.0.load(Ordering::Relaxed) == number
    }
}

/// Puts a number down, as whoever uses the queue does.
fn put<T>(queue: &Queue<T>, lane: &mut Lane<T>, owner: usize, number: u64) -> Result<(), Refused> {
    let is_put = queue.put_in(lane, 1, owner, number, None);
    if is_put { Ok(()) } else { queue.put_anew(lane, 1, owner, (number, None), || owner) }
}

/// What was read: an item, or an entry with its owner and its end.
enum Seen<T> {
    Item(T),
    Entry(usize, u64, Option<u64>),
}

fn read_all<T: Copy>(queue: &Queue<T>, taken: &mut Vec<Seen<T>>) -> usize {
    let mut harvests = Vec::new();
    let read = queue.read(&mut harvests);
    let before = taken.len();
    for harvest in harvests {
        harvest.each(|read| {
            taken.push(match read {
                Read::Item(item) => Seen::Item(*item),
                Read::Entry(owner, number, end) => Seen::Entry(*owner, number, end),
            });
        });
    }
    assert_eq!(taken.len() - before, read);
    queue.give_back(read);
    read
}

fn read<T>(queue: &Queue<T>, taken: &mut Vec<T>) -> usize {
    let mut harvests: Vec<Harvest<T, Pair>> = Vec::new();
    let read = queue.read(&mut harvests);
    taken.extend(harvests.into_iter().flat_map(|harvest| harvest.pieces).flatten());
    queue.give_back(read);
    read
}

/// The consumer sleeps without a time limit: a lost wake-up is a deadlock, which shuttle reports.
#[test]
fn no_schedule_loses_a_wake_up() {
    check(|| {
        let queue = Arc::new(Queue::new(100));
        let producers: Vec<_> = (0..2)
            .map(|producer| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut lane = queue.open_lane();
                    for number in 0..2 {
                        assert!(queue.push_in(&mut lane, 0, 0, |_| (producer, number)).is_ok());
                    }
                })
            })
            .collect();
        queue.set_consumer(Thread::current());
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
    });
}

/// What is let in is taken out, what is not is given back: nothing is both, nothing is neither.
#[test]
fn no_schedule_loses_an_item_at_the_close() {
    check(|| {
        let queue = Arc::new(Queue::new(2));
        let producers: Vec<_> = (0..3)
            .map(|producer| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut lane = queue.open_lane();
                    let mut push = |number: &u32| match producer {
                        0 => queue.push(0, (producer, *number)).is_ok(),
                        _ => queue.push_in(&mut lane, 0, 0, |_| (producer, *number)).is_ok(),
                    };
                    (0..2).filter(&mut push).count()
                })
            })
            .collect();
        queue.set_consumer(Thread::current());
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
        let mut lane = queue.open_lane();
        assert!(queue.push_in(&mut lane, 0, 0, |_| (9, 9)).is_err(), "closed for good");
    });
}

/// What follows an item of its owner is read in one piece with it.
#[test]
fn no_schedule_parts_what_belongs_together() {
    check(|| {
        let queue = Arc::new(Queue::new(100));
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let mut lane = queue.open_lane();
                for owner in [5, 5, 6, 6, 6] {
                    assert!(queue.push_in(&mut lane, 0, owner, |follows| (owner, follows)).is_ok());
                }
            }
        });
        queue.set_consumer(Thread::current());
        let mut seen = Vec::new();
        while seen.len() < 5 {
            let mut harvests: Vec<Harvest<(usize, bool), Pair>> = Vec::new();
            let count = queue.read(&mut harvests);
            queue.give_back(count);
            for piece in harvests.into_iter().flat_map(|harvest| harvest.pieces) {
                for (place, (owner, follows)) in piece.iter().enumerate() {
                    assert!(!follows || (place > 0 && piece[place - 1].0 == *owner), "{piece:?}");
                    seen.push(*owner);
                }
            }
            if count == 0 {
                queue.sleep(None);
            }
        }
        seen.sort_unstable(); // what found the lock taken went another way
        assert_eq!(seen, [5, 5, 6, 6, 6]);
        producer.join().unwrap();
    });
}

/// An entry is read once, whole, with its owner, and in the order of its lane, also between items. Its end is read with it, or the one
/// who ends it knows that it has to be told for itself. The consumer sleeps without a time limit.
#[test]
fn no_schedule_loses_an_entry_or_its_end() {
    check(|| {
        let queue = Arc::new(Queue::<u64>::new(100));
        let producers: Vec<_> = (1..=2)
            .map(|producer| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut lane = queue.open_lane();
                    // Of two owners, so that it has to be said whose it is in between, too.
                    for (number, owner) in (0..3).zip([producer, producer, 10 * producer]) {
                        let number = 100 * owner as u64 + number;
                        let is_put = put(&queue, &mut lane, owner, number).is_ok();
                        if !is_put || !Queue::add_end(&lane, 2, owner, number, 1) {
                            let marked = number + if is_put { 10_000 } else { 20_000 };
                            assert!(queue.push_in(&mut lane, 2, 0, |_| marked).is_ok());
                        }
                    }
                })
            })
            .collect();
        queue.set_consumer(Thread::current());
        let (mut seen, mut ends, mut put, mut last) = (Vec::new(), 0, 0, [0; 30]);
        while ends < 6 {
            if read_all(&queue, &mut seen) == 0 {
                queue.sleep(None);
            }
            for seen in seen.drain(..) {
                let number = match seen {
                    Seen::Entry(owner, number, end) => {
                        assert_eq!(number / 100, owner as u64);
                        ends += end.unwrap_or(0);
                        put += 1;
                        number
                    }
                    Seen::Item(item) => {
                        ends += 1;
                        continue_with(item)
                    }
                };
                let lane = if number >= 1_000 { number / 1_000 } else { number / 100 };
                // An item may have gone to the list of all threads, and overtake: entries do not.
                if matches!(seen, Seen::Entry(..)) {
                    assert!(last[lane as usize] <= number, "{number} after {}", last[lane as usize]);
                    last[lane as usize] = number;
                }
            }
        }
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        assert_eq!((queue.len(), queue.tally()[1], queue.tally()[2]), (0, put, 6));
    });
}

/// The number of the entry whose end such an item tells.
const fn continue_with(item: u64) -> u64 {
    item % 10_000
}

/// Entries that are let in are read, also at the close; those that are not are given back.
#[test]
fn no_schedule_loses_an_entry_at_the_close() {
    check(|| {
        let queue = Arc::new(Queue::<u64>::new(3));
        let producers: Vec<_> = (1..=2)
            .map(|producer| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut lane = queue.open_lane();
                    let entries = (0..2).filter(|number| put(&queue, &mut lane, producer, *number).is_ok()).count();
                    entries + usize::from(queue.push_in(&mut lane, 0, 0, |_| 7).is_ok())
                })
            })
            .collect();
        queue.set_consumer(Thread::current());
        let mut taken = Vec::new();
        read_all(&queue, &mut taken);
        queue.close();
        while !queue.is_finished() {
            if read_all(&queue, &mut taken) == 0 {
                thread::yield_now();
            }
        }
        let let_in: usize = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
        assert_eq!(taken.len(), let_in);
        assert_eq!(put(&queue, &mut queue.open_lane(), 1, 9), Err(Refused::Full), "closed for good");
    });
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
    check(|| {
        let queue = Arc::new(Queue::new(100));
        let (numbers, next) = (Arc::new(SharedU32::new(0)), std::sync::Arc::new(AtomicU32::new(0)));
        let push = {
            let (queue, numbers, next) = (Arc::clone(&queue), Arc::clone(&numbers), std::sync::Arc::clone(&next));
            move |lane: &mut Lane<Labelled>, what| {
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
                let mut lane = queue.open_lane();
                push(&mut lane, 1);
                let (inner, other) = (push.clone(), Arc::clone(&queue));
                thread::spawn(move || inner(&mut other.open_lane(), 2)).join().unwrap();
                push(&mut lane, 3);
            }
        });
        let beside = thread::spawn({
            let (push, queue) = (push.clone(), Arc::clone(&queue));
            move || push(&mut queue.open_lane(), 9)
        });
        queue.set_consumer(Thread::current());
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
    });
}

struct Labelled(u32, Event);

impl Numbered for Labelled {
    fn place(&self) -> Option<Place<'_>> {
        self.1.place()
    }
}
