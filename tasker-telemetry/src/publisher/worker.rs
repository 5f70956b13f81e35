//! The thread of one subscriber: writes each event out and lets the handler have it.
//!
//! A thread each is what keeps a handler that panics, hangs or dawdles from everybody else's events. Async handlers run
//! here, too, one at a time and in order; under a tokio runtime, if the telemetry was built inside one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::build::build;
use super::health::{Account, Outcome};
use super::router::{Mailbox, Message};
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
    for message in receiver {
        match message {
            Message::Flush(ticket) | Message::LastFlush(ticket) => ticket.passed(),
            Message::Events(records) => {
                for record in records {
                    if !account.begin() {
                        return; // abandoned at shutdown: what is left has been counted
                    }
                    let event = build(&record);
                    drop(record);
                    let outcome = catch_unwind(AssertUnwindSafe(|| match subscriber.dispatch(&event) {
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
            }
        }
    }
}

/// Polls a future on this thread until it is ready or `limit` is over. `None`: it was not ready in time, and is dropped.
fn block_on<T>(future: impl Future<Output = T>, limit: Duration) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let deadline = Instant::now().checked_add(limit);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return Some(value);
        }
        match deadline {
            None => thread::park(),
            Some(deadline) => {
                let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
                thread::park_timeout(left);
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The tokio runtime, if any, in which the telemetry was built: handlers may use its timers and sockets.
struct Runtime {
    #[cfg(feature = "tokio")]
    handle: Option<tokio::runtime::Handle>,
}

impl Runtime {
    #[cfg(feature = "tokio")]
    fn current() -> Self {
        Self { handle: tokio::runtime::Handle::try_current().ok() }
    }

    #[cfg(feature = "tokio")]
    fn enter(&self) -> Option<tokio::runtime::EnterGuard<'_>> {
        self.handle.as_ref().map(tokio::runtime::Handle::enter)
    }

    #[cfg(not(feature = "tokio"))]
    const fn current() -> Self {
        Self {}
    }

    #[cfg(not(feature = "tokio"))]
    #[allow(clippy::unused_self, reason = "the same shape as with tokio")]
    const fn enter(&self) -> Option<()> {
        None
    }
}
