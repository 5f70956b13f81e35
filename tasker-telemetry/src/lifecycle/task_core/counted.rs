//! What publishing threads count of a task: its steps, and its events that have an order.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::Counts;
use crate::publisher::OUT_OF_LINE;

/// Apart from what others read: they would wait for each other's cache line.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Counted {
    /// How many steps have begun, and above that how many events that go through the queue have happened: a step's beginning
    /// counts both at once. (After four thousand million steps an event's number is left out.)
    numbers: AtomicU64,
    completed: AtomicU32,
    failed: AtomicU32,
    /// Events that do not go through the queue.
    others: AtomicU32,
}

impl Counted {
    /// A step begins, and with it so many events that go through the queue happen: its number, and that of the first of them.
    #[inline]
    pub(super) fn step_with(&self, events: u32) -> (u32, u32) {
        let before = self.short_step(Self::of_step(events));
        (steps_of(before), events_of(before))
    }

    /// What the beginning of a step counts with which so many events happen.
    pub(super) const fn of_step(events: u32) -> u64 {
        1 | (events as u64) << 32
    }

    /// A step begins that counts so much: what was counted before.
    #[inline]
    pub(super) fn short_step(&self, counts: u64) -> u64 {
        self.numbers.fetch_add(counts, Ordering::Relaxed)
    }

    /// An event happens that goes through the queue: what was counted before.
    #[inline]
    pub(super) fn event_in_line(&self) -> u64 {
        self.numbers.fetch_add(1 << 32, Ordering::Relaxed)
    }

    /// So many events happen that go through the queue: the number of the first. They have numbers from 0, without gaps.
    #[inline]
    pub(super) fn in_line(&self, events: u32) -> u32 {
        events_of(self.numbers.fetch_add(u64::from(events) << 32, Ordering::Relaxed))
    }

    /// An event happens that does not: its number.
    pub(super) fn out_of_line(&self) -> u32 {
        self.others.fetch_add(1, Ordering::Relaxed) | OUT_OF_LINE
    }

    #[inline]
    pub(super) fn completed(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// All steps so far, and those before.
    pub(super) fn counts(&self, before: Counts) -> Counts {
        let read = |counter: &AtomicU32| u64::from(counter.load(Ordering::Relaxed));
        Counts {
            total: before.total + u64::from(steps_of(self.numbers.load(Ordering::Relaxed))),
            completed: before.completed + read(&self.completed),
            failed: before.failed + read(&self.failed),
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the lower half is what is meant")]
const fn steps_of(numbers: u64) -> u32 {
    numbers as u32
}

#[allow(clippy::cast_possible_truncation, reason = "the upper half is what is meant")]
const fn events_of(numbers: u64) -> u32 {
    (numbers >> 32) as u32 & !OUT_OF_LINE
}
