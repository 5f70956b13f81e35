//! What became of every event, by subscriber: the books.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastant::Instant;

use super::health::SubscriberHealth;
use super::interest::Interest;
use super::keeper;
use super::record::Record;
use super::router::Message;
use super::tap;
use super::watch::Watch;
use crate::catalog::SubscriberSpec;
use crate::subscriber::HandlerError;

/// The books of one subscriber.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) spec: &'static SubscriberSpec,
    pub(super) interest: Interest,
    /// It makes spans: events of tasks that are not traced are not for it.
    spans: bool,
    capacity: u64,
    /// Dropped by publishing threads, which take no lock.
    queue_full: AtomicU64,
    closed: AtomicU64,
    handling: Handling,
    /// Touched by the router once a batch, by the subscriber's thread when a handler did anything but take an event and be done.
    books: Mutex<Books>,
}

/// How far the handling is: what every event touches. The subscriber's thread alone writes it, without the lock of the books; of
/// inline subscribers, and where whole batches are handled, whoever holds that lock.
#[derive(Debug)]
#[repr(align(64))]
struct Handling {
    /// Events that are no longer in the backlog.
    handled: AtomicU64,
    /// When the call under way began; [`Instant::ZERO`]: none is.
    since: fastant::Atomic,
    abandoned: AtomicBool,
}

impl Default for Handling {
    fn default() -> Self {
        let (handled, abandoned) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { handled, since: fastant::Atomic::new(Instant::ZERO), abandoned }
    }
}

impl Handling {
    /// So many more. Who reads that number knows of all that was done for them.
    fn add(&self, events: u64) {
        self.handled.store(self.handled.load(Ordering::Relaxed) + events, Ordering::Release);
    }

    fn handled(&self) -> u64 {
        self.handled.load(Ordering::Acquire)
    }

    fn rest(&self) {
        self.since.store(Instant::ZERO, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Books {
    routed: u64,
    /// Of those, what there was room for.
    admitted: u64,
    /// Of the handled events, those that were not delivered: filtered, or dropped after all.
    undelivered: u64,
    filtered: u64,
    failed: u64,
    dropped: BTreeMap<&'static str, u64>,
    last_error: Option<String>,
    /// How many events had been handled when time was up; what is handled later does not count.
    abandoned: Option<u64>,
}

impl Books {
    fn drop_handled(&mut self, reason: &'static str, events: u64) {
        self.undelivered += events;
        *self.dropped.entry(reason).or_default() += events;
    }
}

/// How the handling of one event ended.
pub(super) enum Outcome {
    Delivered,
    Filtered,
    /// The handler takes a type that an event published by name does not have.
    Untyped,
    Failed(String),
    TimedOut,
    /// Inline handlers published in a circle.
    Recursion,
}

impl Outcome {
    pub(super) fn of(result: Result<(), HandlerError>) -> Self {
        match result {
            Ok(()) => Self::Delivered,
            Err(error) => Self::Failed(error.message().to_owned()),
        }
    }

    pub(super) fn panicked(panic: &(dyn Any + Send)) -> Self {
        Self::Failed(format!("panicked: {}", crate::failure::Failure::of_panic(panic).message))
    }
}

impl Account {
    pub(super) fn new(spec: &'static SubscriberSpec, capacity: usize) -> Self {
        Self::with(spec, Interest::new(spec.patterns), false, capacity)
    }

    /// The books of what makes spans.
    pub(super) fn of_spans(capacity: usize) -> Self {
        Self::with(&tap::SPEC, Interest::in_kinds(tap::KINDS), true, capacity)
    }

    /// The books of what writes records down.
    pub(super) fn of_keeper(capacity: usize) -> Self {
        Self::with(&keeper::SPEC, Interest::in_kinds(keeper::KINDS), false, capacity)
    }

    fn with(spec: &'static SubscriberSpec, interest: Interest, spans: bool, capacity: usize) -> Self {
        Self {
            spec,
            interest,
            spans,
            capacity: capacity as u64,
            queue_full: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            handling: Handling::default(),
            books: Mutex::default(),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it gets that event.
    #[inline]
    pub(super) fn wants(&self, record: &Record) -> bool {
        self.interest.covers(record.kind, || record.name()) && (!self.spans || record.is_for_spans())
    }

    /// Whether it makes spans.
    pub(super) const fn makes_spans(&self) -> bool {
        self.spans
    }

    /// The queue was full.
    pub(super) fn drop_full(&self) {
        self.queue_full.fetch_add(1, Ordering::Relaxed);
    }

    /// The telemetry was shut down.
    pub(super) fn drop_closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many of `events` the subscriber has room for. The others are dropped and counted.
    pub(super) fn admit(&self, events: usize) -> usize {
        let mut books = self.books();
        let room = self.capacity.saturating_sub(self.backlog(&books));
        let fits = room.min(events as u64);
        let over = events as u64 - fits;
        books.routed += events as u64;
        books.admitted += fits;
        if over > 0 {
            *books.dropped.entry("subscriber_full").or_default() += over;
        }
        usize::try_from(fits).unwrap_or(events)
    }

    /// One more event for an inline subscriber, which has no backlog.
    pub(super) fn admit_inline(&self) {
        let mut books = self.books();
        books.routed += 1;
        books.admitted += 1;
    }

    /// What waits, the call under way included.
    fn backlog(&self, books: &Books) -> u64 {
        if books.abandoned.is_some() { 0 } else { books.admitted.saturating_sub(self.handling.handled()) }
    }

    /// A handler call begins on the subscriber's thread. `false`: the event has been counted as dropped already.
    #[inline]
    pub(super) fn begin(&self, watch: &mut Watch) -> bool {
        if let Some(now) = watch.look(Instant::now) {
            self.handling.since.store(now, Ordering::Relaxed);
        }
        !self.handling.abandoned.load(Ordering::Acquire)
    }

    /// A handler call ended there; [`begin`](Self::begin) or [`rest`](Self::rest) follows.
    #[inline]
    pub(super) fn end(&self, outcome: Outcome, event: &'static str) {
        match outcome {
            Outcome::Delivered => self.handling.add(1),
            other => self.end_otherwise(other, event),
        }
    }

    /// The subscriber's thread has nothing in hand.
    pub(super) fn rest(&self, watch: &mut Watch) {
        watch.rest();
        self.handling.rest();
    }

    /// A call of an inline handler ended, on any thread.
    pub(super) fn end_inline(&self, outcome: Outcome, event: &'static str) {
        self.end_otherwise(outcome, event);
    }

    #[cold]
    fn end_otherwise(&self, outcome: Outcome, event: &'static str) {
        let mut books = self.books();
        if books.abandoned.is_some() {
            return;
        }
        self.handling.add(1);
        let failure = match outcome {
            Outcome::Delivered => return,
            Outcome::Filtered => {
                books.filtered += 1;
                return books.undelivered += 1;
            }
            Outcome::Untyped => return books.drop_handled("untyped", 1),
            Outcome::Recursion => return books.drop_handled("recursion", 1),
            Outcome::Failed(message) => message,
            Outcome::TimedOut => "took longer than its time limit".to_owned(),
        };
        books.failed += 1;
        books.last_error = Some(format!("{event}: {failure}"));
        let failed = books.failed;
        drop(books);
        // The first of a kind is a warning; a subscriber that fails at every event must not fill the log.
        if failed.is_power_of_two() {
            tracing::warn!(target: "tasker_telemetry", subscriber = self.spec.name, event, failures = failed, "a subscriber failed: {failure}");
        }
    }

    /// So many events were taken at once; `failure`: what went wrong then.
    pub(super) fn end_batch(&self, events: usize, failure: Option<String>) {
        let mut books = self.books();
        if books.abandoned.is_some() {
            return;
        }
        self.handling.rest();
        self.handling.add(events as u64);
        if let Some(message) = failure {
            books.failed += events as u64;
            books.last_error = Some(message);
        }
    }

    /// The subscriber's thread is gone.
    pub(super) fn lost_thread(&self, events: usize) {
        self.drop_admitted(events, "start_failed");
    }

    /// So many events that there was room for are dropped all the same.
    pub(super) fn drop_admitted(&self, events: usize, reason: &'static str) {
        let mut books = self.books();
        if books.abandoned.is_none() {
            self.handling.add(events as u64);
            books.drop_handled(reason, events as u64);
        }
    }

    /// The subscriber could not be made: everything it is sent is lost, and counted.
    pub(super) fn failed_to_start(&self, receiver: &Receiver<Message>) {
        tracing::error!(target: "tasker_telemetry", subscriber = self.spec.name, "a subscriber panicked in `Default::default`");
        self.books().last_error = Some("panicked in `Default::default`".to_owned());
        for message in receiver {
            match message {
                Message::Events(records) => self.lost_thread(records.len()),
                Message::Flush(ticket) | Message::LastFlush(ticket) => ticket.passed(),
            }
        }
    }

    /// Time is up: what still waits, the call under way included, is dropped and counted.
    pub(super) fn abandon(&self) {
        let mut books = self.books();
        if books.abandoned.is_some() {
            return;
        }
        self.handling.abandoned.store(true, Ordering::Release);
        let handled = self.handling.handled();
        let left = books.admitted.saturating_sub(handled);
        books.abandoned = Some(handled);
        if left > 0 {
            *books.dropped.entry("shutdown").or_default() += left;
            tracing::warn!(target: "tasker_telemetry", subscriber = self.spec.name, events = left, "shut down before a subscriber had handled all its events");
        }
    }

    pub(super) fn health(&self) -> SubscriberHealth {
        let books = self.books();
        let mut dropped = books.dropped.clone();
        let (queue_full, closed) = (self.queue_full.load(Ordering::Relaxed), self.closed.load(Ordering::Relaxed));
        if queue_full > 0 {
            dropped.insert("queue_full", queue_full);
        }
        if closed > 0 {
            *dropped.entry("shutdown").or_default() += closed;
        }
        // Read once: of one number both come, so they add up while the subscriber goes on.
        let handled = books.abandoned.unwrap_or_else(|| self.handling.handled());
        let since = self.handling.since.load(Ordering::Relaxed);
        let is_busy = since != Instant::ZERO && books.abandoned.is_none();
        SubscriberHealth {
            name: self.spec.name,
            published: books.routed + queue_full + closed,
            delivered: handled.saturating_sub(books.undelivered),
            filtered: books.filtered,
            failed: books.failed,
            dropped,
            backlog: if books.abandoned.is_some() { 0 } else { books.admitted.saturating_sub(handled) },
            busy_seconds: is_busy.then(|| since.elapsed().as_secs_f64()),
            last_error: books.last_error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published, delivered, filtered, failed, waiting; dropped by reason.
    fn sums(account: &Account) -> ([u64; 5], Vec<(&'static str, u64)>) {
        let SubscriberHealth { published, delivered, filtered, failed, backlog, dropped, .. } = account.health();
        assert_eq!(published, delivered + filtered + dropped.values().sum::<u64>() + backlog);
        ([published, delivered, filtered, failed, backlog], dropped.into_iter().collect())
    }

    #[test]
    fn the_books_add_up_at_any_time_and_end_when_time_is_up() {
        let (account, mut watch) = (Account::new(&tap::SPEC, 5), Watch::default());
        assert_eq!(account.admit(7), 5);
        let full = ("subscriber_full", 2);
        assert_eq!(sums(&account), ([7, 0, 0, 0, 5], vec![full]));
        let mut handle = |outcome| {
            let begun = account.begin(&mut watch);
            assert!(account.health().busy_seconds.is_some());
            account.end(outcome, "some.event");
            begun
        };
        assert!(handle(Outcome::Delivered) && handle(Outcome::Filtered) && handle(Outcome::Untyped));
        assert_eq!(sums(&account), ([7, 1, 1, 0, 2], vec![full, ("untyped", 1)]));
        assert!(handle(Outcome::Failed("why".to_owned())));
        assert_eq!(sums(&account), ([7, 2, 1, 1, 1], vec![full, ("untyped", 1)]));
        account.rest(&mut watch);
        assert_eq!(account.health().busy_seconds, None);
        assert_eq!(account.admit(1), 1, "there is room again");

        assert!(account.begin(&mut watch));
        account.abandon();
        let end = ([8, 2, 1, 1, 0], vec![("shutdown", 2), full, ("untyped", 1)]);
        assert_eq!((sums(&account), account.health().busy_seconds), (end.clone(), None));
        account.end(Outcome::Delivered, "some.event");
        assert!(!account.begin(&mut watch));
        account.end(Outcome::Filtered, "some.event");
        assert_eq!(sums(&account), end, "it was dropped");
    }
}
