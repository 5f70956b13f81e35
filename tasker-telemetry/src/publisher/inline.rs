//! Subscribers that run on the publishing thread.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::account::{Account, Outcome};
use super::build::build;
use super::record::Record;
use crate::subscriber::{Dispatch, DynSubscriber};

/// A subscriber that runs on the publishing thread.
pub(super) struct InlineSubscriber {
    pub(super) account: Arc<Account>,
    subscriber: Arc<dyn DynSubscriber + Send + Sync>,
}

impl InlineSubscriber {
    pub(super) fn new(subscriber: Arc<dyn DynSubscriber + Send + Sync>) -> Self {
        let account = Arc::new(Account::new(subscriber.spec(), usize::MAX));
        Self { account, subscriber }
    }
}

/// How deeply inline handlers may publish events that come back to inline handlers. Deeper is a loop.
const DEEPEST: u32 = 8;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Lets everybody who wants the event have it, before this returns. A panic of a handler ends here.
pub(super) fn run(subscribers: &[InlineSubscriber], record: &Record) {
    let depth = DEPTH.try_with(Cell::get).unwrap_or(DEEPEST);
    let mut event = None;
    for InlineSubscriber { account, subscriber } in subscribers {
        if !account.interest.covers(record.kind, || record.name()) {
            continue;
        }
        account.admit_inline();
        if depth >= DEEPEST {
            account.end_inline(Outcome::Recursion, record.kind.name());
            continue;
        }
        let event = event.get_or_insert_with(|| build(record));
        let _ = DEPTH.try_with(|cell| cell.set(depth + 1));
        let outcome = catch_unwind(AssertUnwindSafe(|| match subscriber.dispatch(event) {
            None => Outcome::Filtered,
            Some(Dispatch::Untyped) => Outcome::Untyped,
            Some(Dispatch::Done(result)) => Outcome::of(result),
            // The derive refuses async handlers of inline subscribers.
            Some(Dispatch::Later(_)) => Outcome::Failed("an inline handler cannot be async".to_owned()),
        }));
        let _ = DEPTH.try_with(|cell| cell.set(depth));
        account.end_inline(outcome.unwrap_or_else(|panic| Outcome::panicked(&*panic)), event.name());
    }
}
