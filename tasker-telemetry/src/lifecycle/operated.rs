//! What is done to a task from outside: an operator has it run again, closes or cancels it, another process takes it up.
//!
//! Here, too, the state machine decides, and a transition is one event. The events are made before the store is asked, since
//! their ids stand in its rows, and told when it has agreed.

use std::sync::Arc;

use super::TaskCore;
use super::resumed::{ResumedTask, core_of};
use super::task_run::cancelled;
use crate::event::{__Stamp, ErasedEvent, Event, EventKind, Payload};
use crate::id;
use crate::publisher::{Fact, Published, Record, header};
use crate::state::{Entity, IllegalTransition, State, transition};
use crate::telemetry::Core;
use crate::time::{Moment, Timestamp};
use crate::trace::Carrier;

/// See the module.
pub(crate) struct Operated {
    task: Arc<TaskCore>,
    carrier: Carrier,
    records: Vec<Record>,
}

/// An event as it stands in the store.
pub(crate) struct Told {
    pub(crate) event_id: String,
    pub(crate) event: &'static str,
    pub(crate) number: u32,
    /// The part of the task's life that it belongs to.
    pub(crate) part: u64,
}

impl Operated {
    /// A task of this store, whoever ran it.
    pub(crate) fn new(core: &Arc<Core>, carrier: Carrier) -> Self {
        Self { task: core_of(core, &carrier), carrier, records: Vec::new() }
    }

    /// A change of the task or of one of its steps; `payload` is that event's.
    pub(crate) fn change<E: Event>(
        &mut self,
        (entity, from, to): (Entity, State, State),
        at: Timestamp,
        payload: E,
    ) -> Result<Told, IllegalTransition> {
        let kind = transition(entity, from, to)?;
        let task = Some(Arc::clone(&self.task));
        let sequence = self.task.next_event(kind);
        let mut record = Record { kind, sequence, at, task, step: None, fact: Fact::Bare, follows: false };
        let mut event = payload;
        event.__stamp(&__Stamp(&header(&record)));
        let event: Arc<dyn ErasedEvent> = Arc::new(event);
        record.fact = Fact::Published(Arc::new(Published { spec: E::SPEC, payload: Payload::System(event) }));
        let told = self.told(&record);
        self.records.push(record);
        Ok(told)
    }

    /// The end of a task that had none: `reason` says why it is cancelled. Its root span is made here.
    pub(crate) fn cancel(&mut self, from: State, reason: String) -> Result<(Told, Timestamp), IllegalTransition> {
        transition(Entity::Task, from, State::Cancelled)?;
        let record = cancelled(&self.task, Moment::now(), reason.into());
        let told = self.told(&record);
        let at = record.at;
        self.records.push(record);
        Ok((told, at))
    }

    fn told(&self, record: &Record) -> Told {
        let event_id = id::text(id::event_id(record.at, self.task.nonce(), record.sequence));
        Told { event_id, event: record.kind.name(), number: record.sequence, part: self.task.nonce() }
    }

    /// It is done: tells what happened.
    pub(crate) fn tell(self) {
        self.tell_all();
    }

    /// It is done, and the task goes on here.
    pub(crate) fn take_up(self) -> ResumedTask {
        let (task, carrier) = self.tell_all();
        ResumedTask::begin(task, carrier)
    }

    fn tell_all(self) -> (Arc<TaskCore>, Carrier) {
        let Self { task, carrier, records } = self;
        for record in records {
            // As for any task that is cancelled where it runs.
            if let (EventKind::TaskCancelled, Fact::TaskEnded(_), Some(metrics)) =
                (record.kind, &record.fact, task.metrics())
            {
                metrics.began();
                metrics.cancelled();
            }
            if task.wants(record.kind) {
                task.publish(record);
            }
        }
        (task, carrier)
    }
}
