//! The ends of short steps: those that ended well, at once, and had not waited. A step like that is one more in three series (it
//! was a success, it waited for nothing, it took so long), so it is counted in one place that all three count, too.

use std::sync::atomic::{AtomicU64, Ordering};

use super::DEFAULT_BUCKETS;
use super::cell::LevelSeries;
use super::histogram::most_nanos;
use super::shards::{Shards, Slot, Writer};

/// The most nanoseconds of each bucket of [`DEFAULT_BUCKETS`] but the last.
const MOST: [u64; DEFAULT_BUCKETS.len()] = {
    let (mut most, mut bucket) = ([0; DEFAULT_BUCKETS.len()], 0);
    while bucket < most.len() {
        most[bucket] = most_nanos(DEFAULT_BUCKETS[bucket]).expect("a bound that nanoseconds have");
        bucket += 1;
    }
    most
};

/// The ends of one step's short runs in one task.
#[derive(Debug)]
pub(super) struct ShortEnds(Shards<Ends>);

/// What some of the threads counted. Nearly all of it falls into the first bucket, which lies in one cache line with what
/// else is needed then. (Two lines in all: processors like to fetch the other of a pair, too.)
#[derive(Debug, Default)]
#[repr(C, align(128))]
struct Ends {
    nanos: AtomicU64,
    /// From when on there may be an exemplar to keep for the first bucket.
    due: AtomicU64,
    counts: [AtomicU64; MOST.len() + 1],
}

impl Ends {
    #[inline]
    fn add(&self, writer: Writer, bucket: usize, nanos: u64) {
        if let Some(count) = self.counts.get(bucket) {
            writer.add(count, 1);
        }
        writer.add(&self.nanos, nanos);
    }

    #[inline]
    fn is_due(&self, now_unix_nanos: u64) -> bool {
        now_unix_nanos >= self.due.load(Ordering::Relaxed)
    }
}

impl ShortEnds {
    pub(super) fn new() -> Self {
        Self(Shards::new(Ends::default))
    }

    /// One more that took so long, and is no longer in progress. Says whether it may be time to keep an exemplar. `None`: it is
    /// not one that fell into the first bucket, on a thread that has copies of its own; and nothing has happened.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the way of most steps")]
    pub(super) fn add_own(&self, in_progress: &LevelSeries, nanos: u64, at_unix_nanos: u64) -> Option<bool> {
        if nanos > MOST[0] {
            return None;
        }
        let slot = Slot::of_thread();
        let (level, ends) = (in_progress.own(slot)?, self.0.own(slot)?);
        level.dec();
        ends.add(Writer::Alone, 0, nanos);
        Some(ends.is_due(at_unix_nanos))
    }

    /// The same for each.
    pub(super) fn add(&self, in_progress: &LevelSeries, nanos: u64, at_unix_nanos: u64) -> bool {
        in_progress.dec();
        let bucket = MOST.iter().position(|most| nanos <= *most).unwrap_or(MOST.len());
        self.0.write(Ends::default, |ends, writer| {
            ends.add(writer, bucket, nanos);
            bucket > 0 || ends.is_due(at_unix_nanos)
        })
    }

    /// Until then there is no exemplar to keep of one that took so long.
    pub(super) fn exemplar_due(&self, nanos: u64, due_unix_nanos: u64) {
        if nanos <= MOST[0] {
            self.0.write(Ends::default, |ends, _| ends.due.store(due_unix_nanos, Ordering::Relaxed));
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.sum(|ends| ends.counts.iter().map(read).fold(0, u64::wrapping_add))
    }

    /// How many there are in a bucket.
    pub(super) fn count_of(&self, bucket: usize) -> u64 {
        self.sum(|ends| ends.counts.get(bucket).map_or(0, read))
    }

    /// How long they took together.
    pub(super) fn nanos(&self) -> u64 {
        self.sum(|ends| read(&ends.nanos))
    }

    fn sum(&self, of: impl Fn(&Ends) -> u64) -> u64 {
        self.0.iter().map(of).fold(0, u64::wrapping_add)
    }
}

fn read(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests;
