//! What a publishing thread hands over: the bare facts of one event, small and cheap to copy.
//!
//! Texts, ids and typed structs are made of it on the subscribers' side (`build.rs`), by whoever needs them.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use super::order::{Numbered, Place};
use crate::catalog::{EventSpec, StepSpec};
use crate::event::{EventKind, Payload};
use crate::failure::Failure;
use crate::lifecycle::TaskCore;
use crate::time::Timestamp;
use crate::trace::{Call, CarriedSpan, SpanId, TaskTrace};
use crate::value::Value;

/// One event, not yet written out.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) kind: EventKind,
    /// The event's number in its task: its identity is made of it, and for one that goes through the queue its place in the
    /// order of the task's events ([`OUT_OF_LINE`] for others).
    pub(crate) sequence: u32,
    pub(crate) at: Timestamp,
    /// `None` for an event published outside any task; its identity then is `sequence` under `stray`.
    pub(crate) task: Option<Arc<TaskCore>>,
    pub(crate) step: Option<StepPlace>,
    pub(crate) fact: Fact,
    /// Its task is that of the record before it, and not here: on the way to the router, which sees to it. All threads count on
    /// a task, and so wait for each other.
    pub(crate) follows: bool,
}

/// Added to the numbers of events that do not go through the queue, so that those that do are without gaps.
pub(crate) const OUT_OF_LINE: u32 = 1 << 31;

impl Numbered for Record {
    #[inline]
    fn place(&self) -> Option<Place<'_>> {
        let task = self.task.as_ref()?;
        let width = match self.fact {
            Fact::Begun(_) => 2,
            Fact::Short { opening, ended } => opening.events() + u32::from(ended.is_some()),
            _ => 1,
        };
        let place = Place { line: Arc::as_ptr(task) as usize, next: task.next_in_line(), number: self.sequence, width };
        (self.sequence < OUT_OF_LINE).then_some(place)
    }
}

/// Which attempt of which step.
#[derive(Clone, Copy)]
pub(crate) struct StepPlace {
    pub(crate) spec: &'static StepSpec,
    /// The step's number in its task, from 0.
    pub(crate) number: u32,
    /// From 1.
    pub(crate) attempt: u32,
    /// The span that the step runs in; 0 where that is its task's, and where there are no spans.
    pub(crate) parent: u64,
}

impl StepPlace {
    /// Added to the numbers of steps whose attempts an engine counts: their ids then differ from those of the steps inside
    /// them, which count for themselves.
    const DRIVEN: u32 = 1 << 31;

    /// The number of the first of them in a task.
    pub(crate) const FIRST_DRIVEN: u32 = Self::DRIVEN;

    /// The place of a step that begins in a task.
    pub(crate) fn of(spec: &'static StepSpec, task: &TaskCore) -> Self {
        Self { spec, number: task.next_step(), attempt: 1, parent: 0 }
    }

    /// The span of that attempt, in its task.
    pub(crate) fn span(&self, task: &TaskCore) -> SpanId {
        SpanId::of_step(task.nonce(), self.number, self.attempt)
    }

    /// The same, where an engine counts the attempts.
    pub(crate) fn driven(spec: &'static StepSpec, task: &TaskCore, attempt: u32) -> Self {
        Self { spec, number: task.next_step() | Self::DRIVEN, attempt, parent: 0 }
    }

    pub(crate) const fn is_driven(&self) -> bool {
        self.number & Self::DRIVEN != 0
    }

    /// How many attempts the step gets in all: as it says itself, unless an engine knows better.
    pub(crate) fn retry_limit(&self, task: &TaskCore) -> u32 {
        let own = self.spec.retry_limit.max(1);
        match task.engine().filter(|_| self.is_driven()) {
            Some(engine) => engine.retry_limit(own),
            None => own,
        }
    }
}

/// What an event says beyond who and when.
#[derive(Clone)]
pub(crate) enum Fact {
    /// Nothing more, or what the task itself holds.
    Bare,
    /// `step.execution_requested`
    Inputs(Inputs),
    /// `step.execution_requested` and, at the same moment, `step.started`: most steps wait for nothing, and one record is half
    /// the work of two. The router takes them apart.
    Begun(Option<Inputs>),
    /// A step that had nothing to wait for and has no inputs: what its beginning is told by, and `step.completed` after so many
    /// nanoseconds, if it had ended before the router took this. The router takes them apart, too.
    Short { opening: Opening, ended: Option<u64> },
    /// `step.started`
    Started { queue_nanos: u64 },
    /// `step.completed`. The body began `nanos` before the record's time.
    Completed { nanos: u64, queue_nanos: u64, inputs: Option<Inputs> },
    /// `step.failed`, likewise; `retried`: another attempt follows.
    Failed { nanos: u64, queue_nanos: u64, retried: bool, failure: Arc<Failure> },
    /// `step.retry_requested` and `observability.step.backoff`
    Wait { wait_nanos: u64, server_requested: bool, failure: Arc<Failure> },
    /// `observability.step.processing`
    Processing { nanos: u64, queue_nanos: u64 },
    /// `step.max_retries_reached`
    Exhausted(Arc<Failure>),
    /// `step.cancelled`. It had waited for `queue_nanos`, and then, if it `ran`, its body for `nanos`.
    Cancelled { nanos: u64, queue_nanos: u64, ran: bool, reason: Reason, inputs: Option<Inputs> },
    /// `task.completed`, `task.failed` and `task.cancelled`
    TaskEnded(Arc<TaskEnd>),
    /// No event: a finished span that came with a task from another process.
    Carried(Arc<CarriedSpan>),
    /// No event: a finished call to another service.
    #[cfg_attr(not(feature = "api"), allow(dead_code, reason = "only `api` makes calls"))]
    Call(Arc<Call>),
    /// Every event that user code published.
    Published(Arc<Published>),
}

/// By which events the beginning of a step that waits for nothing is told: those that somebody wants. The number of each is that as
/// what the publisher counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(clippy::cast_possible_truncation, reason = "there are few kinds")]
pub(crate) enum Opening {
    /// What is told then is the end alone.
    Nothing = EventKind::StepCompleted as u8,
    /// `step.execution_requested`
    Asked = EventKind::StepExecutionRequested as u8,
    /// `step.started`
    Started = EventKind::StepStarted as u8,
    Both = super::BEGUN as u8,
}

impl Opening {
    /// Of events of these kinds.
    pub(crate) const fn among(kinds: u32) -> Self {
        let asked = kinds & EventKind::StepExecutionRequested.bit() != 0;
        let started = kinds & EventKind::StepStarted.bit() != 0;
        match (asked, started) {
            (false, false) => Self::Nothing,
            (true, false) => Self::Asked,
            (false, true) => Self::Started,
            (true, true) => Self::Both,
        }
    }

    /// The bits of their kinds.
    #[inline]
    const fn kinds(self) -> u32 {
        let (asked, started) = (EventKind::StepExecutionRequested.bit(), EventKind::StepStarted.bit());
        match self {
            Self::Nothing => 0,
            Self::Asked => asked,
            Self::Started => started,
            Self::Both => asked | started,
        }
    }

    /// How many they are.
    #[inline]
    pub(crate) const fn events(self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::Asked | Self::Started => 1,
            Self::Both => 2,
        }
    }
}

/// The values of a step's `fields(..)`, masked. Behind one thin pointer: a record stays small.
pub(crate) type Inputs = Arc<Box<[Value]>>;

/// Why a task or step was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its future was dropped before its end; who dropped it does not say why.
    Dropped,
}

impl Reason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped before it finished",
        }
    }
}

/// How a task ended.
pub(crate) struct TaskEnd {
    pub(crate) started_at: Timestamp,
    pub(crate) nanos: u64,
    pub(crate) total_steps: u64,
    pub(crate) completed_steps: u64,
    pub(crate) failed_steps: u64,
    pub(crate) failure: Option<Arc<Failure>>,
    /// Why, if it was cancelled.
    pub(crate) reason: Option<Cow<'static, str>>,
}

/// An event of user code. For a system event of a driver the payload is stamped when the event is built.
pub(crate) struct Published {
    pub(crate) spec: &'static EventSpec,
    pub(crate) payload: Payload,
}

impl Record {
    /// The record, moved out; an empty one stays.
    pub(super) fn take(&mut self) -> Self {
        let empty = Self {
            kind: self.kind,
            sequence: OUT_OF_LINE,
            at: self.at,
            task: None,
            step: None,
            fact: Fact::Bare,
            follows: false,
        };
        mem::replace(self, empty)
    }

    /// Whether it stands for other events than its kind says, and has to be taken apart.
    #[inline]
    pub(super) const fn is_several(&self) -> bool {
        matches!(self.fact, Fact::Begun(_) | Fact::Short { .. })
    }

    /// Each event of those kinds that it stands for, in their order. What is left of it is empty.
    #[inline]
    pub(super) fn take_apart(&mut self, kinds: u32, mut each: impl FnMut(&mut Self)) {
        let (opening, ended, mut inputs) = match mem::replace(&mut self.fact, Fact::Bare) {
            Fact::Begun(inputs) => (Opening::Both, None, inputs),
            Fact::Short { opening, ended } => (opening, ended, None),
            _ => (Opening::Nothing, None, None),
        };
        let told = opening.kinds() | ended.map_or(0, |_| EventKind::StepCompleted.bit());
        let (mut wanted, mut sequence) = (told & kinds, self.sequence);
        for kind in [EventKind::StepExecutionRequested, EventKind::StepStarted, EventKind::StepCompleted] {
            let bit = kind.bit();
            if wanted & bit != 0 {
                wanted &= !bit;
                // The last one has the task itself: all threads count on it.
                let task = if wanted == 0 { self.task.take() } else { self.task.clone() };
                let (at, fact) = match kind {
                    EventKind::StepExecutionRequested => (self.at, inputs.take().map_or(Fact::Bare, Fact::Inputs)),
                    EventKind::StepStarted => (self.at, Fact::Started { queue_nanos: 0 }),
                    _ => {
                        let nanos = ended.unwrap_or(0);
                        (self.at.after(nanos), Fact::Completed { nanos, queue_nanos: 0, inputs: None })
                    }
                };
                each(&mut Self { kind, sequence, at, task, step: self.step, fact, follows: false });
            }
            sequence = sequence.wrapping_add(u32::from(told & bit != 0));
        }
    }

    /// Whether it belongs to a task whose spans are made as they end.
    pub(crate) fn is_for_spans(&self) -> bool {
        // What an operator did is no end of a body.
        let by_hand = self.kind != EventKind::Custom && matches!(self.fact, Fact::Published(_));
        !by_hand && self.task.as_ref().and_then(|task| task.trace()).is_some_and(TaskTrace::is_sampled)
    }

    /// A span that came with its task.
    pub(crate) fn carried(span: CarriedSpan) -> Self {
        Self {
            kind: EventKind::StepCompleted,
            sequence: 0,
            at: Timestamp::from_unix_nanos(span.end),
            task: None,
            step: None,
            fact: Fact::Carried(Arc::new(span)),
            follows: false,
        }
    }

    /// The event's name.
    pub(crate) fn name(&self) -> &'static str {
        match &self.fact {
            Fact::Published(published) => published.spec.name,
            _ => self.kind.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_several_events_is_taken_apart_into_those_that_are_wanted() {
        use EventKind::{StepCompleted, StepExecutionRequested, StepStarted};
        const AT: u64 = 1_772_366_400_000_000_000;
        let parts = |opening, ended, kinds: &[EventKind]| {
            let (at, fact) = (Timestamp::from_unix_nanos(AT), Fact::Short { opening, ended });
            let mut record =
                Record { kind: StepStarted, sequence: 6, at, task: None, step: None, fact, follows: false };
            let mut parts = Vec::new();
            record.take_apart(kinds.iter().fold(0, |kinds, kind| kinds | kind.bit()), |part| {
                parts.push((part.kind, part.sequence, part.at.as_unix_nanos() - AT));
            });
            assert!(!record.is_several());
            parts
        };
        let (all, some) = ([StepExecutionRequested, StepStarted, StepCompleted], [StepStarted, StepCompleted]);
        let (asked, started) = ((StepExecutionRequested, 6, 0), (StepStarted, 7, 0));
        assert_eq!(parts(Opening::Both, Some(9), &all), [asked, started, (StepCompleted, 8, 9)]);
        assert_eq!(parts(Opening::Both, Some(9), &some), [started, (StepCompleted, 8, 9)]);
        assert_eq!(parts(Opening::Both, None, &all), [asked, started]);
        assert_eq!(parts(Opening::Started, Some(9), &all), [(StepStarted, 6, 0), (StepCompleted, 7, 9)]);
        assert_eq!(parts(Opening::Asked, Some(9), &all), [asked, (StepCompleted, 7, 9)]);
        assert_eq!(parts(Opening::Started, None, &[StepCompleted]), []);
    }

    #[test]
    fn a_record_stays_small() {
        assert!(size_of::<Record>() <= 80, "{} bytes", size_of::<Record>());
    }
}
