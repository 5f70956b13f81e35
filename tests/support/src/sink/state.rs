//! What the threads of a sink share.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Mode, Request};
use crate::span::ReceivedSpan;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) mode: Mode,
    /// Counts the changes of the mode: who hangs, hangs until the next one.
    pub(crate) changes: u64,
    pub(crate) is_stopped: bool,
    pub(crate) connections: HashMap<u64, TcpStream>,
    pub(crate) connections_made: u64,
    pub(crate) spans: Vec<ReceivedSpan>,
    pub(crate) span_count: u64,
    pub(crate) requests: Vec<Request>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Spans are counted and not kept.
    pub(crate) only_counts: bool,
}

impl Shared {
    pub(crate) fn new(only_counts: bool) -> Self {
        let state = State {
            mode: Mode::Healthy,
            changes: 0,
            is_stopped: false,
            connections: HashMap::new(),
            connections_made: 0,
            spans: Vec::new(),
            span_count: 0,
            requests: Vec::new(),
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), only_counts }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes everybody who waits for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until the condition holds or the time is over; whether it holds.
    pub(crate) fn wait(&self, time: Duration, holds: impl Fn(&State) -> bool) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), time, |state| !holds(state))
            .unwrap_or_else(PoisonError::into_inner);
        holds(&state)
    }

    /// Sleeps until the mode changes or the sink stops; at most so long.
    pub(crate) fn hang(&self, since: u64, at_most: Duration) {
        self.wait(at_most, |state| state.is_stopped || state.changes != since);
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.change(|state| {
            state.mode = mode;
            state.changes += 1;
        });
    }

    /// Cuts all connections, so that no thread is stuck in one.
    pub(crate) fn cut(&self) {
        for (_, stream) in self.lock().connections.drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// The mode for a request that came now, and how many changes it has seen.
    pub(crate) fn mode_for_request(&self) -> (Mode, u64) {
        let mut state = self.lock();
        let mode = state.mode.clone();
        match &mut state.mode {
            Mode::Recover { failures: 0, .. } => return (Mode::Healthy, state.changes),
            Mode::Recover { failures, .. } => *failures -= 1,
            _ => {}
        }
        (mode, state.changes)
    }

    /// Waits for so many spans; panics with what is there when they do not come.
    #[track_caller]
    pub(crate) fn expect(&self, what: &str, time: Duration, is_there: impl Fn(&State) -> bool) {
        let begun = Instant::now();
        if !self.wait(time, is_there) {
            let state = self.lock();
            panic!(
                "{what} did not come within {:?}: {} spans, {} requests {:#?}",
                begun.elapsed(),
                state.span_count,
                state.requests.len(),
                state.requests.last()
            );
        }
    }
}
