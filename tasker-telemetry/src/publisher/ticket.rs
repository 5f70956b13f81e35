//! A promise that everything before a point in the queue has been handled, or that time is up.
//!
//! It can be awaited on any runtime and waited for without one: it asks for no timer, the router keeps its deadline.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub(crate) struct Ticket {
    state: Mutex<State>,
    changed: Condvar,
    deadline: Instant,
}

#[derive(Debug, Default)]
struct State {
    end: Option<End>,
    /// How many subscribers have still to come past it.
    waiting_for: usize,
    wakers: Vec<Waker>,
}

/// How a ticket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything was handled.
    Done,
    /// The deadline came first.
    Late,
}

impl End {
    /// Late when it was, or something after it was.
    pub(crate) const fn and(self, in_time: bool) -> Self {
        if in_time { self } else { Self::Late }
    }
}

impl Ticket {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), deadline }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Says how many subscribers must come past.
    pub(super) fn wait_for(&self, subscribers: usize) {
        self.lock().waiting_for = subscribers;
        if subscribers == 0 {
            self.done();
        }
    }

    /// So many more must come past.
    pub(crate) fn wait_for_more(&self, others: usize) {
        self.lock().waiting_for += others;
    }

    /// One subscriber came past.
    pub(crate) fn passed(&self) {
        let mut state = self.lock();
        state.waiting_for = state.waiting_for.saturating_sub(1);
        if state.waiting_for == 0 {
            drop(state);
            self.done();
        }
    }

    pub(crate) fn done(&self) {
        self.end(End::Done);
    }

    pub(crate) fn late(&self) {
        self.end(End::Late);
    }

    fn end(&self, end: End) {
        let wakers = {
            let mut state = self.lock();
            state.end.get_or_insert(end);
            std::mem::take(&mut state.wakers)
        };
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().end.is_some()
    }

    /// Blocks until it has ended, which it has at its deadline.
    pub(crate) fn wait(&self) -> End {
        let mut state = self.lock();
        loop {
            if let Some(end) = state.end {
                return end;
            }
            // The router ends it at the deadline, its books closed; the grace is for a machine too busy to let it.
            let Some(left) =
                (self.deadline + GRACE).checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                return End::Late;
            };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Awaits a ticket.
#[derive(Debug)]
pub(crate) struct Ended(pub(crate) Arc<Ticket>);

impl Future for Ended {
    type Output = End;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let mut state = self.0.lock();
        if let Some(end) = state.end {
            return Poll::Ready(end);
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}
