//! The thread that gets bare records instead of events: what spans are made of.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use super::account::Account;
use super::record::Record;
use super::router::{Mailbox, Message};
use super::ticket::Ticket;
use super::watch::Watch;
use crate::catalog::{Source, SubscriberSpec};
use crate::event::EventKind;

/// What takes records, on a thread of its own.
pub(crate) trait RecordSink: Send {
    /// Takes records, in the order in which they were published.
    fn take(&mut self, records: Vec<Record>);

    /// Sees to it that [`Ticket::passed`] is called once when everything taken so far has gone its way; `last`: nothing follows,
    /// and what is not gone at the ticket's deadline never will be.
    fn flush(&mut self, ticket: Arc<Ticket>, last: bool);

    /// What to call when time is up at shutdown and not everything has gone its way.
    fn give_up(&self) -> Box<dyn Fn() + Send>;
}

/// The kinds that spans are made of: each end is one span, each custom event one event of a span. A start says when an open
/// task began.
pub(super) const KINDS: u32 = EventKind::TaskStartRequested.bit()
    | EventKind::TaskCompleted.bit()
    | EventKind::TaskFailed.bit()
    | EventKind::TaskCancelled.bit()
    | EventKind::StepCompleted.bit()
    | EventKind::StepFailed.bit()
    | EventKind::StepCancelled.bit()
    | EventKind::Custom.bit();

/// As what it stands in the books.
pub(super) static SPEC: SubscriberSpec = SubscriberSpec {
    name: "tasker_telemetry::trace::TelemetrySubscriber",
    patterns: &[
        "task.start_requested",
        "task.completed",
        "task.failed",
        "task.cancelled",
        "step.completed",
        "step.failed",
        "step.cancelled",
    ],
    inline: false,
    source: Source { module: module_path!(), file: file!(), line: line!() },
};

pub(super) fn start(sink: Box<dyn RecordSink>, account: Arc<Account>) -> std::io::Result<Mailbox> {
    let (sender, receiver) = channel();
    let at_deadline = Some(sink.give_up());
    let mailbox = Mailbox { account: Arc::clone(&account), sender, at_deadline };
    thread::Builder::new().name("tasker-spans".to_owned()).spawn(move || {
        let (mut sink, mut watch) = (sink, Watch::default());
        for message in receiver {
            match message {
                Message::Flush(ticket) => sink.flush(ticket, false),
                Message::LastFlush(ticket) => sink.flush(ticket, true),
                Message::Events(records) => {
                    if !account.begin(&mut watch) {
                        return; // abandoned at shutdown: what is left has been counted
                    }
                    let count = records.len();
                    let taken = catch_unwind(AssertUnwindSafe(|| sink.take(records)));
                    let failure = taken.err().map(|panic| {
                        format!("making spans panicked: {}", crate::failure::Failure::of_panic(&*panic).message)
                    });
                    if let Some(failure) = &failure {
                        tracing::error!(target: "tasker_telemetry", "{failure}");
                    }
                    account.end_batch(count, failure);
                    account.rest(&mut watch);
                }
            }
        }
    })?;
    Ok(mailbox)
}
