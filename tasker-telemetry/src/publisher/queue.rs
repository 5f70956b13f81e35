//! The one bounded queue between the threads that publish and the router.
//!
//! Many producers, one consumer, first in first out: what happened before stands before, whatever thread it came from.
//! No producer ever waits: a full queue hands the item back. The consumer sleeps without a time limit, and the pairing of
//! `len` and `asleep` below wakes it for certain.

use std::time::Duration;

use super::sync::{AtomicBool, AtomicUsize, OnceLock, Ordering, SegQueue, Thread, park, park_timeout};

/// Added to `len` when the queue is closed: then every push finds it full.
const CLOSED: usize = 1 << (usize::BITS - 2);

/// A bounded queue whose consumer can sleep.
pub(super) struct Queue<T> {
    items: SegQueue<T>,
    /// Items in the queue, counted *before* the push: never less than what is really in it.
    len: AtomicUsize,
    capacity: usize,
    high_water: AtomicUsize,
    asleep: AtomicBool,
    consumer: OnceLock<Thread>,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            items: SegQueue::new(),
            len: AtomicUsize::new(0),
            capacity: capacity.min(CLOSED),
            high_water: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            consumer: OnceLock::new(),
        }
    }

    /// Names the thread that consumes; it alone may call [`drain`](Self::drain) and [`sleep`](Self::sleep).
    pub(super) fn set_consumer(&self, thread: Thread) {
        let _ = self.consumer.set(thread);
    }

    /// Puts an item at the end, or gives it back when the queue is full.
    pub(super) fn push(&self, item: T) -> Result<(), T> {
        // SeqCst: in the total order of this addition and the consumer's `asleep` store one stands first. Either we see
        // that it sleeps, or it sees that there is something and does not go to sleep.
        let before = self.len.fetch_add(1, Ordering::SeqCst);
        if before >= self.capacity {
            self.len.fetch_sub(1, Ordering::SeqCst);
            return Err(item);
        }
        self.items.push(item);
        self.wake_if_asleep();
        Ok(())
    }

    /// Puts an item at the end whatever the capacity; for the few that control the consumer.
    pub(super) fn push_unbounded(&self, item: T) {
        self.len.fetch_add(1, Ordering::SeqCst);
        self.items.push(item);
        self.wake_if_asleep();
    }

    fn wake_if_asleep(&self) {
        if self.asleep.load(Ordering::SeqCst)
            && self.asleep.swap(false, Ordering::SeqCst)
            && let Some(consumer) = self.consumer.get()
        {
            consumer.unpark();
        }
    }

    /// Lets nobody in any more. Whoever was let in before will have pushed shortly: drain until [`is_finished`](Self::is_finished).
    pub(super) fn close(&self) {
        self.len.fetch_add(CLOSED, Ordering::SeqCst);
    }

    /// Whether the queue is closed and everything that was let in has been taken out.
    pub(super) fn is_finished(&self) -> bool {
        self.len.load(Ordering::SeqCst) == CLOSED
    }

    /// Takes up to `limit` items from the front.
    pub(super) fn drain(&self, limit: usize, into: &mut Vec<T>) -> usize {
        self.high_water.fetch_max(self.len(), Ordering::Relaxed);
        let mut taken = 0;
        while taken < limit
            && let Some(item) = self.items.pop()
        {
            into.push(item);
            taken += 1;
        }
        if taken > 0 {
            self.len.fetch_sub(taken, Ordering::SeqCst);
        }
        taken
    }

    /// Sleeps until something is pushed, or for `at_most`.
    pub(super) fn sleep(&self, at_most: Option<Duration>) {
        self.asleep.store(true, Ordering::SeqCst);
        if self.len.load(Ordering::SeqCst) == 0 {
            match at_most {
                Some(limit) => park_timeout(limit),
                None => park(),
            }
        }
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// How many items wait.
    pub(super) fn len(&self) -> usize {
        (self.len.load(Ordering::SeqCst) & !CLOSED).min(self.capacity)
    }

    /// How many may wait.
    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many have waited at once, as far as the consumer saw.
    pub(super) fn high_water(&self) -> usize {
        self.high_water.load(Ordering::Relaxed)
    }
}
