//! The beginning of a short step as it lies in a lane: five words, to which its end is added.

use crossbeam_utils::atomic::AtomicCell;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::record::{Fact, OUT_OF_LINE, Opening, Record, StepPlace};
use super::strip::Entry;
use crate::catalog::StepSpec;
use crate::event::EventKind;
use crate::lifecycle::TaskCore;
use crate::time::Timestamp;

/// A step that waits for nothing and has no inputs, in its first attempt.
#[derive(Clone, Copy)]
pub(crate) struct ShortStep {
    pub(crate) spec: &'static StepSpec,
    /// The step's number in its task.
    pub(crate) number: u32,
    /// That of the first event that is told.
    pub(crate) sequence: u32,
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
        let Self { spec, number, sequence, at, parent, opens } = self;
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

/// Added to the number of an end alone: what goes through the queue has none so high.
const ALONE: u32 = OUT_OF_LINE;

/// The words. Published and read in their order by what the strip does around them.
#[derive(Default)]
pub(super) struct ShortEntry {
    spec: AtomicCell<Option<&'static StepSpec>>,
    /// Above the step's number the event's, and above that whether it is an end alone.
    numbers: AtomicU64,
    at: AtomicU64,
    parent: AtomicU64,
}

impl Entry for ShortEntry {
    type Content = ShortStep;
    type Owner = Arc<TaskCore>;

    #[inline]
    fn put(&self, step: ShortStep) {
        self.spec.store(Some(step.spec));
        let sequence = if step.opens { step.sequence } else { step.sequence | ALONE };
        self.numbers.store(u64::from(sequence) << 32 | u64::from(step.number), Ordering::Relaxed);
        self.at.store(step.at.as_unix_nanos(), Ordering::Relaxed);
        self.parent.store(step.parent, Ordering::Relaxed);
    }

    #[inline]
    fn content(&self) -> Option<ShortStep> {
        let numbers = self.numbers.load(Ordering::Relaxed);
        let sequence = low_half(numbers >> 32);
        Some(ShortStep {
            spec: self.spec.load()?,
            number: low_half(numbers),
            sequence: sequence & !ALONE,
            opens: sequence & ALONE == 0,
            at: Timestamp::from_unix_nanos(self.at.load(Ordering::Relaxed)),
            parent: self.parent.load(Ordering::Relaxed),
        })
    }

    #[inline]
    fn is(&self, sequence: u32) -> bool {
        low_half(self.numbers.load(Ordering::Relaxed) >> 32) == sequence
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
