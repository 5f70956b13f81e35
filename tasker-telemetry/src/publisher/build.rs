//! From facts to the event that subscribers see: typed struct, ids as text, header.
//!
//! Runs on a subscriber's thread (or on the publishing one for inline subscribers), never inside the life cycle.

use std::mem;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::record::{Fact, Record, TaskEnd};
use crate::event::{__Stamp, ErasedEvent, Event, EventKind, EventRecord, Header, Payload, observability, step, task};
use crate::event::{Reuse, StepHeader, TaskHeader};
use crate::id;
use crate::trace::SpanId;
use crate::value::Value;

/// What is left of the last events of each kind that nobody kept: the next one is written over it. A thread of its own each.
#[derive(Default)]
pub(super) struct Used {
    payloads: [Option<Arc<dyn ErasedEvent>>; EventKind::ALL.len()],
    step_id: String,
    span_id: String,
}

impl Used {
    /// An event that has been handled.
    pub(super) fn take(&mut self, event: EventRecord) {
        let kind = event.kind() as usize;
        let (header, payload) = event.into_parts();
        if let Some(step) = header.step {
            self.step_id = step.id;
        }
        if let Some(span_id) = header.span_id {
            self.span_id = span_id;
        }
        if let (Payload::System(event), Some(used)) = (payload, self.payloads.get_mut(kind)) {
            *used = Some(event);
        }
    }
}

/// Writes the record out.
pub(crate) fn build(record: &Record) -> EventRecord {
    build_with(record, &mut Used::default())
}

/// The same, over what is left of others.
pub(super) fn build_with(record: &Record, used: &mut Used) -> EventRecord {
    let header = header_with(record, used);
    let payload = match &record.fact {
        Fact::Published(published) => {
            return EventRecord::new(record.kind, published.spec, header, published.payload.clone());
        }
        fact => fact,
    };
    match record.kind {
        EventKind::TaskInitializeRequested => {
            let context = record.task.iter().flat_map(|task| task.context()).collect();
            system(used, record.kind, header, task::InitializeRequested::new(context))
        }
        EventKind::TaskStartRequested => system(used, record.kind, header, task::StartRequested::new(record.at)),
        EventKind::TaskCompleted => system(used, record.kind, header, completed(record, payload)),
        EventKind::TaskFailed => system(used, record.kind, header, failed(record, payload)),
        EventKind::TaskCancelled => system(used, record.kind, header, task::Cancelled::new(reason(payload))),
        EventKind::StepExecutionRequested => {
            let inputs = match (payload, record.step) {
                (Fact::Inputs(values), Some(place)) => named(place.spec.fields, values),
                _ => Map::new(),
            };
            system(used, record.kind, header, step::ExecutionRequested::new(inputs))
        }
        EventKind::StepStarted => {
            let queue_time = match payload {
                Fact::Started { queue_nanos } => seconds(*queue_nanos),
                _ => 0.0,
            };
            system(used, record.kind, header, step::Started::new(record.at, queue_time))
        }
        EventKind::StepCompleted => {
            let nanos = match payload {
                Fact::Completed { nanos, .. } => *nanos,
                _ => 0,
            };
            system(used, record.kind, header, step::Completed::new(record.at.before(nanos), record.at, seconds(nanos)))
        }
        EventKind::StepFailed => system(used, record.kind, header, step_failed(record, payload)),
        EventKind::StepRetryRequested => {
            let (wait, strategy, why) = wait(record, payload);
            system(used, record.kind, header, step::RetryRequested::new(why, wait, strategy))
        }
        EventKind::ObservabilityStepBackoff => {
            let (wait, strategy, _) = wait(record, payload);
            system(used, record.kind, header, observability::StepBackoff::new(wait, strategy))
        }
        EventKind::ObservabilityStepProcessing => {
            let (nanos, queue_nanos) = match payload {
                Fact::Processing { nanos, queue_nanos } => (*nanos, *queue_nanos),
                _ => (0, 0),
            };
            // What a body used of processor and memory cannot be told apart from what else its threads did: left open.
            let event = observability::StepProcessing::new(seconds(nanos), seconds(queue_nanos), None, None);
            system(used, record.kind, header, event)
        }
        EventKind::StepMaxRetriesReached => {
            let message = match payload {
                Fact::Exhausted(failure) => failure.message.clone(),
                _ => String::new(),
            };
            system(used, record.kind, header, step::MaxRetriesReached::new(message))
        }
        EventKind::StepCancelled => system(used, record.kind, header, step::Cancelled::new(reason(payload))),
        // The embedded driver makes no other transition; an event of that kind comes as `Fact::Published`.
        other => {
            EventRecord::new(other, <task::Cancelled as Event>::SPEC, header, Payload::Dynamic(Arc::new(Json::Null)))
        }
    }
}

/// Who and when. Also for a driver's events, which hold these values in their structs.
pub(crate) fn header(record: &Record) -> Header {
    header_with(record, &mut Used::default())
}

fn header_with(record: &Record, used: &mut Used) -> Header {
    let (nonce, event_nonce, task) = match &record.task {
        Some(task) => (
            task.nonce(),
            task.event_nonce(),
            Some(TaskHeader {
                id: Arc::clone(task.id().text()),
                name: task.name(),
                correlation_id: Arc::clone(task.correlation_id()),
            }),
        ),
        None => (id::stray_nonce(), id::stray_nonce(), None),
    };
    let step = record.step.map(|place| StepHeader {
        id: {
            let mut text = mem::take(&mut used.step_id);
            id::write(id::step_id(nonce, place.number), &mut text);
            text
        },
        name: place.spec.name,
        attempt_number: place.attempt,
        retry_limit: record.task.as_ref().map_or(place.spec.retry_limit.max(1), |task| place.retry_limit(task)),
    });
    let trace = record.task.as_ref().and_then(|task| task.trace());
    let span_id = trace.map(|trace| match record.step {
        Some(place) => SpanId::of_step(nonce, place.number, place.attempt),
        None => trace.root(),
    });
    Header {
        event_id: id::event_id(record.at, event_nonce, record.sequence),
        timestamp: record.at,
        task,
        step,
        trace_id: trace.and(record.task.as_ref()).map(|task| Arc::clone(task.trace_text())),
        span_id: span_id.map(|id| {
            let mut text = mem::take(&mut used.span_id);
            id.write(&mut text);
            text
        }),
    }
}

fn system<E: Event + Reuse>(used: &mut Used, kind: EventKind, header: Header, mut event: E) -> EventRecord {
    let last = used.payloads.get_mut(kind as usize).and_then(Option::take);
    let event = write_over(last, &mut event, &header).unwrap_or_else(|| {
        event.__stamp(&__Stamp(&header));
        Arc::new(event)
    });
    EventRecord::new(kind, E::SPEC, header, Payload::System(event))
}

/// Writes an event over the last one of its kind. `None`: there is none, or somebody kept it.
fn write_over<E: Event + Reuse>(
    last: Option<Arc<dyn ErasedEvent>>,
    event: &mut E,
    header: &Header,
) -> Option<Arc<dyn ErasedEvent>> {
    let mut last = last?;
    let free = Arc::get_mut(&mut last)?.as_any_mut().downcast_mut::<E>()?;
    event.reuse(free);
    event.__stamp(&__Stamp(header));
    mem::swap(free, event);
    Some(last)
}

fn completed(record: &Record, fact: &Fact) -> task::Completed {
    let Fact::TaskEnded(end) = fact else { return task::Completed::default() };
    let TaskEnd { started_at, nanos, total_steps, completed_steps, failed_steps, .. } = **end;
    task::Completed::new(started_at, record.at, seconds(nanos), total_steps, completed_steps, failed_steps)
}

fn failed(record: &Record, fact: &Fact) -> task::Failed {
    let Fact::TaskEnded(end) = fact else { return task::Failed::default() };
    let TaskEnd { started_at, nanos, total_steps, completed_steps, failed_steps, ref failure, .. } = **end;
    let mut event = task::Failed {
        started_at,
        completed_at: record.at,
        execution_duration: seconds(nanos),
        total_steps,
        completed_steps,
        failed_steps,
        ..task::Failed::default()
    };
    if let Some(failure) = failure {
        event.error_message.clone_from(&failure.message);
        event.error_class.clone_from(&failure.class);
        failure.error_type().clone_into(&mut event.error_type);
        event.error_chain.clone_from(&failure.chain);
        failure.backtrace().clone_into(&mut event.backtrace);
    }
    event
}

fn step_failed(record: &Record, fact: &Fact) -> step::Failed {
    let Fact::Failed { nanos, failure, .. } = fact else { return step::Failed::default() };
    step::Failed {
        started_at: record.at.before(*nanos),
        completed_at: record.at,
        execution_duration: seconds(*nanos),
        error_message: failure.message.clone(),
        error_class: failure.class.clone(),
        error_type: failure.error_type().to_owned(),
        error_chain: failure.chain.clone(),
        backtrace: failure.backtrace().to_vec(),
        retryable: failure.retryable,
        ..step::Failed::default()
    }
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
