//! Who and when: the header of an event, written over that of the last one.
//!
//! Most of it is as it was: events of one step follow each other, and so do those of one task. Only what differs is written.

use std::mem;
use std::sync::Arc;

use super::record::{Record, StepPlace};
use crate::event::{Header, TaskHeader};
use crate::id;
use crate::lifecycle::TaskCore;
use crate::trace::SpanId;

/// What a header says now: the numbers behind its texts.
pub(super) struct Known {
    /// See [`task`](Self::task).
    task: Option<u64>,
    nonce: u64,
    event_nonce: u64,
    /// The step's number.
    step: Option<u32>,
    /// The step's number and attempt.
    span: Option<(u32, u32)>,
    /// A text for the id of the next step.
    spare: String,
}

impl Default for Known {
    /// That of a header that says nothing.
    fn default() -> Self {
        let nonce = id::stray_nonce();
        Self { task: None, nonce, event_nonce: nonce, step: None, span: None, spare: String::new() }
    }
}

impl Known {
    /// The task: the number that its events' ids grow from, which no other has, nor the same task taken up again.
    pub(super) const fn task(&self) -> Option<u64> {
        self.task
    }

    /// The record's task is the header's from now on.
    pub(super) fn turn_to(&mut self, task: Option<&TaskCore>, header: &mut Header) {
        let now = task.map(TaskCore::event_nonce);
        if now == self.task {
            return;
        }
        (self.task, self.step, self.span) = (now, None, None);
        (self.nonce, self.event_nonce) = match task {
            Some(task) => (task.nonce(), task.event_nonce()),
            None => (id::stray_nonce(), id::stray_nonce()),
        };
        header.trace_id = task.filter(|task| task.trace().is_some()).map(|task| Arc::clone(task.trace_text()));
        header.task = task.map(|task| TaskHeader {
            id: Arc::clone(task.id().text()),
            name: task.name(),
            correlation_id: Arc::clone(task.correlation_id()),
        });
    }

    /// Writes the rest, after [`turn_to`](Self::turn_to) that task.
    pub(super) fn write(&mut self, record: &Record, task: Option<&TaskCore>, header: &mut Header) {
        header.event_id = id::event_id(record.at, self.event_nonce, record.sequence);
        header.timestamp = record.at;
        match record.step {
            Some(place) => self.write_step(place, task, header),
            None => {
                if let Some(step) = header.step.take() {
                    (self.step, self.spare) = (None, step.id);
                }
            }
        }
        if header.trace_id.is_none() {
            header.span_id = None;
            return;
        }
        let text = header.span_id.get_or_insert_default();
        match record.step {
            Some(StepPlace { number, attempt, .. }) if self.span != Some((number, attempt)) => {
                SpanId::of_step(self.nonce, number, attempt).write(text);
                self.span = Some((number, attempt));
            }
            Some(_) => {}
            None => {
                if let Some(trace) = task.and_then(TaskCore::trace) {
                    trace.root().write(text);
                }
                self.span = None;
            }
        }
    }

    fn write_step(&mut self, place: StepPlace, task: Option<&TaskCore>, header: &mut Header) {
        let step = header.step.get_or_insert_default();
        if self.step != Some(place.number) {
            if step.id.is_empty() {
                step.id = mem::take(&mut self.spare);
            }
            id::write(id::step_id(self.nonce, place.number), &mut step.id);
            self.step = Some(place.number);
        }
        step.name = place.spec.name;
        step.attempt_number = place.attempt;
        step.retry_limit = match task.filter(|_| place.is_driven()) {
            Some(task) => place.retry_limit(task),
            None => place.spec.retry_limit.max(1),
        };
    }
}

/// The header of that record. Also for a driver's events, which hold these values in their structs.
pub(crate) fn header(record: &Record) -> Header {
    let (mut known, mut header) = (Known::default(), Header::default());
    let task = record.task.as_deref();
    known.turn_to(task, &mut header);
    known.write(record, task, &mut header);
    header
}
