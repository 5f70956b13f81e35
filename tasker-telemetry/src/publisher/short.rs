//! The beginning of a short step as it lies in a lane: five words, to which its end is added.

use crossbeam_utils::atomic::AtomicCell;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::record::{Fact, OUT_OF_LINE, Opening, Record, StepPlace};
use super::strip::Entry;
use crate::catalog::StepSpec;
use crate::event::EventKind;
use crate::lifecycle::TaskCore;
use crate::time::{LATEST, Timestamp};

/// A step's number in its task, and above that the number of the first event that it is told by: as a task counts both, so that one
/// addition gives them and no step takes them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers(u64);

/// The bits of the event's number.
const EVENT: u64 = ((OUT_OF_LINE - 1) as u64) << 32;

impl Numbers {
    /// Those of no step.
    pub(crate) const NONE: Self = Self(u64::MAX);

    pub(crate) const fn new(step: u32, event: u32) -> Self {
        Self(step as u64 | (event as u64) << 32)
    }

    /// What a task has counted before: the number of its steps, and above that of its events.
    #[inline]
    pub(crate) const fn counted(before: u64) -> Self {
        Self(before)
    }

    /// That of the step.
    #[inline]
    pub(crate) const fn step(self) -> u32 {
        low_half(self.0)
    }

    /// That of the event.
    #[inline]
    pub(crate) const fn event(self) -> u32 {
        low_half((self.0 & EVENT) >> 32)
    }

    /// Whether nothing has been counted between what counted so much after these, and an event before which this was counted: but for
    /// steps of which nothing was told.
    #[inline]
    pub(crate) const fn comes_before(self, counts: u64, before: u64) -> bool {
        (self.0.wrapping_add(counts) ^ before) >> 32 == 0
    }

    /// The step's, with another event.
    pub(crate) const fn at_event(self, event: u32) -> Self {
        Self::new(self.step(), event)
    }

    pub(super) const fn as_u64(self) -> u64 {
        self.0
    }
}

/// A step that waits for nothing and has no inputs, in its first attempt.
#[derive(Clone, Copy)]
pub(crate) struct ShortStep {
    pub(crate) spec: &'static StepSpec,
    pub(crate) numbers: Numbers,
    /// When it began.
    pub(crate) at: Timestamp,
    /// As in [`StepPlace`].
    pub(crate) parent: u64,
    /// Its beginning is told, by the events that its task's are told by; else only its end.
    pub(crate) opens: bool,
}

impl ShortStep {
    /// What it stands for, with the step's end if that is known.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a record is made where it is used: moved there, it costs twice as much")]
    pub(super) fn record(self, task: Arc<TaskCore>, ended: Option<u64>) -> Record {
        let Self { spec, numbers, at, parent, opens } = self;
        let (number, sequence) = (numbers.step(), numbers.event());
        let opening = if opens { task.opening() } else { Opening::Nothing };
        let (kind, at, fact) = match (opening, ended) {
            (Opening::Nothing, Some(nanos)) => {
                (EventKind::StepCompleted, at.after(nanos), Fact::Completed { nanos, queue_nanos: 0, inputs: None })
            }
            _ => (EventKind::StepStarted, at, Fact::Short { opening, ended }),
        };
        let step = Some(StepPlace { spec, number, attempt: 1, parent });
        Record { kind, sequence, at, task: Some(task), step, fact, follows: false }
    }
}

/// Added to the time of an end alone: no time is so late, in nanoseconds since 1970.
const ALONE: u64 = 1 << 63;

const _: () = assert!(LATEST < ALONE, "a clock that is set wrong must not make an end of a beginning");

/// The words. Published and read in their order by what the strip does around them.
#[derive(Default)]
pub(super) struct ShortEntry {
    spec: AtomicCell<Option<&'static StepSpec>>,
    numbers: AtomicU64,
    /// When it began, and above that whether it is an end alone.
    at: AtomicU64,
    parent: AtomicU64,
}

impl Entry for ShortEntry {
    type Content = ShortStep;
    type Owner = Arc<TaskCore>;

    #[inline]
    fn put(&self, step: ShortStep) {
        self.spec.store(Some(step.spec));
        self.numbers.store(step.numbers.as_u64(), Ordering::Relaxed);
        let at = step.at.as_unix_nanos();
        self.at.store(if step.opens { at } else { at | ALONE }, Ordering::Relaxed);
        self.parent.store(step.parent, Ordering::Relaxed);
    }

    #[inline]
    fn content(&self) -> Option<ShortStep> {
        let at = self.at.load(Ordering::Relaxed);
        Some(ShortStep {
            spec: self.spec.load()?,
            numbers: Numbers(self.numbers.load(Ordering::Relaxed)),
            opens: at & ALONE == 0,
            at: Timestamp::from_unix_nanos(at & !ALONE),
            parent: self.parent.load(Ordering::Relaxed),
        })
    }

    #[inline]
    fn is(&self, numbers: u64) -> bool {
        self.numbers.load(Ordering::Relaxed) == numbers
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the lower half is what is meant")]
const fn low_half(numbers: u64) -> u32 {
    numbers as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order between the words is the strip's: none of them may hide behind a lock of the crate's.
    #[test]
    fn the_words_are_words() {
        assert!(AtomicCell::<Option<&'static StepSpec>>::is_lock_free());
        assert!(size_of::<ShortEntry>() <= 32, "{} bytes", size_of::<ShortEntry>());
    }
}
