//! The way through the store: what writes records down stands between the router and the subscribers, so that what is announced
//! is written.
//!
//! The router hands over what it has sorted and goes back to the queue. The keeper lets go of it when it is written, or when that
//! takes too long: nobody but the keeper ever waits for a database.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::account::Account;
use super::record::{Fact, Record};
use super::router::Message;
use super::ticket::Ticket;
use crate::catalog::{Source, SubscriberSpec};
use crate::event::EventKind;

/// What writes records down before subscribers see them. It counts what becomes of them in its [`Books`].
pub(crate) trait Keeper: Send {
    /// Takes records, in the order in which they were published; and what must be let go of when they are written.
    fn keep(&self, held: Held);

    /// Sees to it that [`Ticket::passed`] is called once when everything taken so far is written or given up; `last`: nothing
    /// follows, and what is not written at the ticket's deadline never will be.
    fn flush(&self, ticket: Arc<Ticket>, last: bool);

    /// Time is up at shutdown: lets go of everything.
    fn give_up(&self);
}

/// Records for the keeper, and what subscribers get once they are written. Dropped, it lets go of that.
pub(crate) struct Held {
    pub(crate) records: Vec<Record>,
    deliveries: Vec<Delivery>,
}

/// What goes to one subscriber.
pub(super) struct Delivery {
    pub(super) sender: Sender<Message>,
    pub(super) account: Arc<Account>,
    pub(super) message: Message,
}

impl Delivery {
    pub(super) fn send(self) {
        let events = match &self.message {
            Message::Events(records) => records.len(),
            Message::Flush(_) | Message::LastFlush(_) => 0,
        };
        if let Err(unsent) = self.sender.send(self.message) {
            match unsent.0 {
                Message::Events(_) => self.account.lost_thread(events),
                Message::Flush(ticket) | Message::LastFlush(ticket) => ticket.passed(),
            }
        }
    }
}

impl Held {
    pub(super) const fn new(records: Vec<Record>, deliveries: Vec<Delivery>) -> Self {
        Self { records, deliveries }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.records.is_empty() && self.deliveries.is_empty()
    }

    /// Whether somebody waits for it.
    pub(crate) const fn is_awaited(&self) -> bool {
        !self.deliveries.is_empty()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.deliveries.drain(..).for_each(Delivery::send);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("records", &self.records.len()).finish_non_exhaustive()
    }
}

/// What became of the records that a keeper was given.
#[derive(Clone)]
pub(crate) struct Books(pub(super) Arc<Account>);

impl Books {
    /// The books of a keeper of so many unwritten records at most.
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Arc::new(Account::of_keeper(capacity)))
    }

    /// So many are written.
    pub(crate) fn written(&self, records: usize) {
        self.0.end_batch(records, None);
    }

    /// So many are lost.
    pub(crate) fn lost(&self, records: usize, reason: &'static str) {
        self.0.drop_admitted(records, reason);
    }

    /// Written, waiting, and lost by reason.
    pub(crate) fn read(&self) -> (u64, u64, std::collections::BTreeMap<&'static str, u64>) {
        let health = self.0.health();
        (health.delivered, health.backlog, health.dropped)
    }
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books").finish_non_exhaustive()
    }
}

/// A keeper, and its books.
pub(crate) struct Kept {
    pub(crate) keeper: Box<dyn Keeper>,
    pub(crate) books: Books,
}

/// The kinds that are written down: all of tasks and steps.
pub(super) const KINDS: u32 = EventKind::TaskInitializeRequested.bit()
    | EventKind::TaskStartRequested.bit()
    | EventKind::TaskCompleted.bit()
    | EventKind::TaskFailed.bit()
    | EventKind::TaskRetryRequested.bit()
    | EventKind::TaskCancelled.bit()
    | EventKind::TaskResolvedManually.bit()
    | EventKind::StepExecutionRequested.bit()
    | EventKind::StepStarted.bit()
    | EventKind::StepCompleted.bit()
    | EventKind::StepFailed.bit()
    | EventKind::StepRetryRequested.bit()
    | EventKind::StepMaxRetriesReached.bit()
    | EventKind::StepCancelled.bit()
    | EventKind::StepResolvedManually.bit();

/// Whether the record is one that is written down. What an operator did was written when it was done.
pub(super) fn is_kept(record: &Record) -> bool {
    KINDS & record.kind.bit() != 0 && !matches!(record.fact, Fact::Published(_) | Fact::Carried(_))
}

/// As what it stands in the books.
pub(super) static SPEC: SubscriberSpec = SubscriberSpec {
    name: "tasker_telemetry::store::Store",
    patterns: &["task.*", "step.*"],
    inline: false,
    source: Source { module: module_path!(), file: file!(), line: line!() },
};
