//! How what happens in a task gets to the publisher.

use std::sync::Arc;
use std::{mem, ptr};

use super::TaskCore;
use crate::event::EventKind;
use crate::publisher::{Fact, Inputs, Lanes, Numbers, Opening, Publisher, Record, ShortStep, StepPlace};
use crate::time::Timestamp;
use crate::trace::TaskTrace;

impl TaskCore {
    /// The number of the event of that kind that happens now. Those that go through the queue have numbers from 0, without gaps.
    #[inline]
    pub(crate) fn next_event(&self, kind: EventKind) -> u32 {
        if self.queued & kind.bit() != 0 { self.counted.in_line(1) } else { self.counted.out_of_line() }
    }

    /// A short step begins: its number, and that of the first event that its beginning is told by.
    #[inline]
    pub(crate) fn open(&self) -> Numbers {
        Numbers::counted(self.counted.short_step(self.opening_counts))
    }

    /// Hands an event of this task to the publisher, if anybody listens to its kind; `fact` is asked for only then.
    #[inline]
    pub(crate) fn emit(
        self: &Arc<Self>,
        kind: EventKind,
        at: Timestamp,
        step: Option<StepPlace>,
        fact: impl FnOnce() -> Fact,
    ) {
        if self.wants(kind) {
            self.emit_wanted(kind, at, step, fact());
        }
    }

    #[inline(never)]
    fn emit_wanted(self: &Arc<Self>, kind: EventKind, at: Timestamp, step: Option<StepPlace>, mut fact: Fact) {
        let mut record = |follows| {
            let fact = mem::replace(&mut fact, Fact::Bare);
            Record { kind, sequence: self.next_event(kind), at, task: self.unless(follows), step, fact, follows }
        };
        if self.direct & kind.bit() != 0 {
            self.core.publisher().send(kind, self.owner(), record);
        } else {
            self.publish(record(false));
        }
    }

    /// Whether a step that begins at once can say so in one record.
    #[inline]
    pub(crate) const fn wants_begun(&self) -> bool {
        matches!(self.opening, Opening::Both)
    }

    /// As whose the publisher knows its records.
    #[inline]
    fn owner(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// The task for a record, unless that follows one of the same task.
    #[inline]
    fn unless(self: &Arc<Self>, follows: bool) -> Option<Arc<Self>> {
        if follows { None } else { Some(Arc::clone(self)) }
    }

    /// Hands `step.execution_requested` and `step.started` to the publisher, if [`wants_begun`](Self::wants_begun).
    #[inline(never)]
    pub(crate) fn emit_begun(self: &Arc<Self>, at: Timestamp, step: StepPlace, mut inputs: Option<Inputs>) {
        self.core.publisher().send_begun(self.owner(), |follows| Record {
            kind: EventKind::StepStarted,
            sequence: self.counted.in_line(2),
            at,
            task: self.unless(follows),
            step: Some(step),
            fact: Fact::Begun(inputs.take()),
            follows,
        });
    }

    /// Tells the publisher that a short step begins. `FULLY`: that is to be told. `false`: that takes more than a look, see [`Publisher::send_short`].
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the way of most steps")]
    pub(crate) fn tell_opening<const FULLY: bool>(&self, lanes: &mut Lanes, step: ShortStep) -> bool {
        (!FULLY && self.opening == Opening::Nothing) || self.core.publisher().put_short(lanes, self, step, None)
    }

    /// It ends well, after so long. `step`: as it began; `FULLY`: that is to be told. Where its beginning is still the last that the thread has told, and nothing
    /// has happened in the task since, its end is added to that. Otherwise: the numbers by which it has to be told.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "called in two places, of which one is the way of most steps")]
    pub(crate) fn tell_short_end<const FULLY: bool>(
        &self,
        lanes: &mut Lanes,
        step: ShortStep,
        nanos: u64,
    ) -> Result<(), Numbers> {
        if !FULLY && self.direct & EventKind::StepCompleted.bit() == 0 {
            return Ok(());
        }
        let before = self.counted.event_in_line();
        // (Where its beginning is not told, no entry has its numbers.)
        let is_next = step.numbers.comes_before(self.opening_counts, before);
        if is_next && Publisher::add_end(lanes, ptr::from_ref(self).addr(), step.numbers, nanos) {
            return Ok(());
        }
        let numbers = step.numbers.at_event(Numbers::counted(before).event());
        if !FULLY
            && self.core.publisher().put_short(lanes, self, ShortStep { numbers, opens: false, ..step }, Some(nanos))
        {
            return Ok(());
        }
        Err(numbers)
    }

    /// As what the publisher counts the beginning of a short step, or its end alone.
    #[inline]
    pub(crate) fn short_kind(&self, opens: bool) -> usize {
        if opens { self.opening as usize } else { EventKind::StepCompleted as usize }
    }

    /// By which events the beginning of a short step is told.
    #[inline]
    pub(crate) const fn opening(&self) -> Opening {
        self.opening
    }

    /// Hands on a record of this task, which somebody wants to have.
    pub(crate) fn publish(self: &Arc<Self>, record: Record) {
        let publisher = self.core.publisher();
        if let Some(undecided) = self.trace.as_ref().and_then(TaskTrace::undecided) {
            if publisher.span_mask() & record.kind.bit() != 0 {
                undecided.push(self, record.clone());
            }
            if !publisher.wants(record.kind) {
                return;
            }
        }
        publisher.publish(record);
    }

    /// The task has ended, so it is known whether its spans are kept.
    pub(crate) fn decide(self: &Arc<Self>, keep: bool) {
        let Some(undecided) = self.trace.as_ref().and_then(TaskTrace::undecided) else { return };
        if let Ok(records) = undecided.take()
            && keep
        {
            self.release(records);
        }
    }

    pub(super) fn release(self: &Arc<Self>, records: Vec<Record>) {
        let records = records.into_iter().map(|record| Record { task: Some(Arc::clone(self)), ..record });
        self.core.publisher().publish_spans(records.collect());
    }
}
