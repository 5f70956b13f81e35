//! From facts to the event that subscribers see: typed struct, ids as text, header.
//!
//! Runs on a subscriber's thread (or on the publishing one for inline subscribers), never inside the life cycle. A subscriber's
//! thread has a [`Desk`]: it writes each event over the last one of its kind.

use std::sync::Arc;
use std::{mem, ptr};

use serde_json::{Map, Value as Json};

use super::head::{Known, header};
use super::record::{Fact, Record, TaskEnd};
use crate::event::{Event, EventKind, EventRecord, Header, PassingEvent, Payload, Rewrite, observability, step, task};
use crate::failure::Failure;
use crate::lifecycle::TaskCore;
use crate::time::Timestamp;
use crate::value::Value;

/// Writes the record out.
pub(crate) fn build(record: &Record) -> EventRecord {
    let mut desk = Desk::default();
    desk.batch().write(record);
    desk.event.unwrap_or_else(|| build_other(record))
}

/// The same for what [`Batch::write`] does not write: the events of user code, whose payloads are there already.
pub(super) fn build_other(record: &Record) -> EventRecord {
    let header = header(record);
    if let Fact::Published(published) = &record.fact {
        return EventRecord::new(record.kind, published.spec, header, published.payload.clone());
    }
    // The embedded driver makes no other transition; an event of that kind comes as `Fact::Published`.
    EventRecord::new(record.kind, <task::Cancelled as Event>::SPEC, header, Payload::Dynamic(Arc::new(Json::Null)))
}

/// Where events are written: one over the other.
#[derive(Default)]
pub(super) struct Desk {
    /// The last event, on top.
    event: Option<EventRecord>,
    /// Of which task its payload tells.
    task: Option<u64>,
    known: Known,
    /// The last payloads of the other kinds, by kind.
    sheets: Vec<Option<Sheet>>,
}

/// A payload to be written over.
struct Sheet {
    payload: Box<dyn PassingEvent>,
    /// Of which task it tells.
    task: Option<u64>,
}

impl Sheet {
    fn blank<E: Rewrite>() -> Self {
        Self { payload: Box::new(E::default()), task: None }
    }
}

impl Desk {
    /// For records that live longer than it.
    pub(super) const fn batch(&mut self) -> Batch<'_, '_> {
        Batch { desk: self, last: None }
    }
}

/// A desk while records of one batch are written, which are all still there: that of a task is recognised by where the task lies.
pub(super) struct Batch<'d, 'r> {
    desk: &'d mut Desk,
    last: Option<&'r TaskCore>,
}

impl<'r> Batch<'_, 'r> {
    /// Writes the event of the record. `None`: its payload is not made here ([`build_other`]).
    ///
    /// Every event of the life cycle has a task; one that comes without belongs to that of the last one before it.
    pub(super) fn write(&mut self, record: &'r Record) -> Option<&EventRecord> {
        let payload = &record.fact;
        let at = record.at;
        match record.kind {
            _ if matches!(payload, Fact::Published(_)) => None,
            EventKind::TaskInitializeRequested => {
                let context = self.task(record).into_iter().flat_map(TaskCore::context).collect();
                self.system(record, |event: &mut task::InitializeRequested| event.say(context))
            }
            EventKind::TaskStartRequested => self.system(record, |event: &mut task::StartRequested| event.say(at)),
            EventKind::TaskCompleted => self.system(record, |event| completed(event, record)),
            EventKind::TaskFailed => self.system(record, |event| failed(event, record)),
            EventKind::TaskCancelled => self.system(record, |event: &mut task::Cancelled| event.say(reason(payload))),
            EventKind::StepExecutionRequested => {
                let inputs = match (payload, record.step) {
                    (Fact::Inputs(values), Some(place)) => named(place.spec.fields, values),
                    _ => Map::new(),
                };
                self.system(record, |event: &mut step::ExecutionRequested| event.say(inputs))
            }
            EventKind::StepStarted => {
                let queue_time = match payload {
                    Fact::Started { queue_nanos } => seconds(*queue_nanos),
                    _ => 0.0,
                };
                self.system(record, |event: &mut step::Started| event.say(at, queue_time))
            }
            EventKind::StepCompleted => {
                let nanos = match payload {
                    Fact::Completed { nanos, .. } => *nanos,
                    _ => 0,
                };
                self.system(record, |event: &mut step::Completed| event.say(at.before(nanos), at, seconds(nanos)))
            }
            EventKind::StepFailed => self.system(record, |event| step_failed(event, record)),
            EventKind::StepRetryRequested => {
                let (wait, strategy, why) = wait(record, payload);
                self.system(record, |event: &mut step::RetryRequested| event.say(why, wait, strategy))
            }
            EventKind::ObservabilityStepBackoff => {
                let (wait, strategy, _) = wait(record, payload);
                self.system(record, |event: &mut observability::StepBackoff| event.say(wait, strategy))
            }
            EventKind::ObservabilityStepProcessing => {
                let (nanos, queue_nanos) = match payload {
                    Fact::Processing { nanos, queue_nanos } => (*nanos, *queue_nanos),
                    _ => (0, 0),
                };
                // What a body used of processor and memory cannot be told apart from what else its threads did: left open.
                self.system(record, |event: &mut observability::StepProcessing| {
                    event.say(seconds(nanos), seconds(queue_nanos), None, None);
                })
            }
            EventKind::StepMaxRetriesReached => {
                let message = match payload {
                    Fact::Exhausted(failure) => failure.message.clone(),
                    _ => String::new(),
                };
                self.system(record, |event: &mut step::MaxRetriesReached| event.say(message))
            }
            EventKind::StepCancelled => self.system(record, |event: &mut step::Cancelled| event.say(reason(payload))),
            _ => None,
        }
    }

    fn task(&self, record: &'r Record) -> Option<&'r TaskCore> {
        record.task.as_deref().or(self.last)
    }

    /// Writes an event of the type `E`; what is its own is said by `own`.
    fn system<E: Rewrite>(&mut self, record: &'r Record, own: impl FnOnce(&mut E)) -> Option<&EventRecord> {
        let (kind, its_task) = (record.kind, self.task(record));
        let Desk { event, task, known, sheets } = &mut *self.desk;
        let event = event.get_or_insert_with(|| {
            EventRecord::new(kind, E::SPEC, Header::default(), Payload::Passing(Sheet::blank::<E>().payload))
        });
        let last_kind = event.kind();
        let (header, payload) = event.rewrite(kind, E::SPEC)?;
        if last_kind != kind {
            let next = take_sheet(sheets, kind).unwrap_or_else(Sheet::blank::<E>);
            let last = mem::replace(payload, next.payload);
            put_away(sheets, last_kind, Sheet { payload: last, task: mem::replace(task, next.task) });
        }
        if !its_task.zip(self.last).is_some_and(|(task, last)| ptr::eq(task, last)) {
            known.turn_to(its_task, header);
            self.last = its_task;
        }
        known.write(record, its_task, header);
        let is_same_task = mem::replace(task, known.task()) == known.task();
        if let Some(event) = (**payload).as_any_mut().downcast_mut::<E>() {
            event.rewrite(header, is_same_task);
            own(event);
        }
        Some(event)
    }
}

fn take_sheet(sheets: &mut [Option<Sheet>], kind: EventKind) -> Option<Sheet> {
    sheets.get_mut(kind as usize)?.take()
}

#[inline]
fn put_away(sheets: &mut Vec<Option<Sheet>>, kind: EventKind, sheet: Sheet) {
    if sheets.is_empty() {
        sheets.resize_with(EventKind::ALL.len(), || None);
    }
    if let Some(place) = sheets.get_mut(kind as usize) {
        *place = Some(sheet);
    }
}

fn completed(event: &mut task::Completed, record: &Record) {
    let (started_at, duration, total, completed, failed) = counts(ended(record));
    event.say(started_at, record.at, duration, total, completed, failed);
}

fn failed(event: &mut task::Failed, record: &Record) {
    let end = ended(record);
    let (started_at, duration, total, completed, failed) = counts(end);
    let (message, class, error_type, chain, backtrace) = error(end.and_then(|end| end.failure.as_deref()));
    event.say(started_at, record.at, duration, total, completed, failed, message, class, error_type, chain, backtrace);
}

fn step_failed(event: &mut step::Failed, record: &Record) {
    let (nanos, failure) = match &record.fact {
        Fact::Failed { nanos, failure, .. } => (*nanos, Some(&**failure)),
        _ => (0, None),
    };
    let (message, class, error_type, chain, backtrace) = error(failure);
    let retryable = failure.is_some_and(|failure| failure.retryable);
    let started_at = record.at.before(nanos);
    event.say(started_at, record.at, seconds(nanos), message, class, error_type, chain, backtrace, retryable);
}

fn ended(record: &Record) -> Option<&TaskEnd> {
    if let Fact::TaskEnded(end) = &record.fact { Some(&**end) } else { None }
}

/// When it began, how long it took, and how many steps it had: all, those that ended well, those that failed.
fn counts(end: Option<&TaskEnd>) -> (Timestamp, f64, u64, u64, u64) {
    end.map_or_else(Default::default, |end| {
        (end.started_at, seconds(end.nanos), end.total_steps, end.completed_steps, end.failed_steps)
    })
}

/// What an error says, its class and category, its causes, and where it came from.
fn error(failure: Option<&Failure>) -> (String, String, String, Vec<String>, Vec<String>) {
    failure.map_or_else(Default::default, |failure| {
        let error_type = failure.error_type().to_owned();
        let (chain, backtrace) = (failure.chain.clone(), failure.backtrace().to_vec());
        (failure.message.clone(), failure.class.clone(), error_type, chain, backtrace)
    })
}

fn wait(record: &Record, fact: &Fact) -> (f64, String, String) {
    let Fact::Wait { wait_nanos, server_requested, failure } = fact else { return Default::default() };
    let strategy = match record.step {
        Some(place) if !server_requested => place.spec.backoff.strategy(),
        _ => "server_requested",
    };
    (seconds(*wait_nanos), strategy.to_owned(), failure.message.clone())
}

fn reason(fact: &Fact) -> String {
    let reason = match fact {
        Fact::Cancelled { reason, .. } => Some(reason.as_str()),
        Fact::TaskEnded(end) => end.reason.as_deref(),
        _ => None,
    };
    reason.unwrap_or_default().to_owned()
}

fn named(names: &[&'static str], values: &[Value]) -> Map<String, Json> {
    names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.to_json())).collect()
}

/// Seconds of a duration given in nanoseconds.
#[allow(clippy::cast_precision_loss, reason = "exact up to 104 days, and nobody reads nanoseconds beyond")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
