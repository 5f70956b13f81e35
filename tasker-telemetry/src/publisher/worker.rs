//! The thread of one subscriber: writes each event out and lets the handler have it.
//!
//! A thread each is what keeps a handler that panics, hangs or dawdles from everybody else's events. Async handlers run
//! here, too, one at a time and in order; under a tokio runtime, if the telemetry was built inside one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use super::account::{Account, Outcome};
use super::build::{Desk, build_other};
use super::router::{Mailbox, Message};
use super::watch::Watch;
use crate::drive::{Runtime, block_on};
use crate::subscriber::{Dispatch, DynSubscriber};

type Make = Box<dyn FnOnce() -> Box<dyn DynSubscriber> + Send>;

pub(super) fn start(make: Make, account: Arc<Account>, handler_timeout: Duration) -> std::io::Result<Mailbox> {
    let (sender, receiver) = channel();
    let mailbox = Mailbox { account: Arc::clone(&account), sender, at_deadline: None };
    let runtime = Runtime::current();
    // Linux shows 15 bytes of a thread's name: the type's own, without its path, says most.
    let short = account.spec.name.rsplit("::").next().unwrap_or_default();
    thread::Builder::new().name(format!("sub-{short}")).spawn(move || {
        let _inside = runtime.enter();
        match catch_unwind(AssertUnwindSafe(make)) {
            Ok(subscriber) => run(&*subscriber, &receiver, &account, handler_timeout),
            Err(_) => account.failed_to_start(&receiver),
        }
    })?;
    Ok(mailbox)
}

fn run(subscriber: &dyn DynSubscriber, receiver: &Receiver<Message>, account: &Account, handler_timeout: Duration) {
    let (mut desk, mut watch) = (Desk::default(), Watch::default());
    for message in receiver {
        match message {
            Message::Flush(ticket) | Message::LastFlush(ticket) => ticket.passed(),
            Message::Events(records) => {
                let mut batch = desk.batch();
                for record in &records {
                    if !account.begin(&mut watch) {
                        return; // abandoned at shutdown: what is left has been counted
                    }
                    let other;
                    let event = if let Some(event) = batch.write(record) {
                        event
                    } else {
                        other = build_other(record);
                        &other
                    };
                    let outcome = catch_unwind(AssertUnwindSafe(|| match subscriber.dispatch(event) {
                        None => Outcome::Filtered,
                        Some(Dispatch::Untyped) => Outcome::Untyped,
                        Some(Dispatch::Done(result)) => Outcome::of(result),
                        Some(Dispatch::Later(future)) => match block_on(future, handler_timeout) {
                            Some(result) => Outcome::of(result),
                            None => Outcome::TimedOut,
                        },
                    }));
                    account.end(outcome.unwrap_or_else(|panic| Outcome::panicked(&*panic)), event.name());
                }
                account.rest(&mut watch);
                // All at once: what counts who holds a task is touched by the publishing threads, too.
                drop(records);
            }
        }
    }
}
