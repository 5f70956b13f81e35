//! What became of every event, by subscriber: the books, and the page that shows them.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::interest::Interest;
use super::keeper;
use super::record::Record;
use super::router::Message;
use super::tap;
use crate::catalog::SubscriberSpec;
use crate::metrics::push::PushHealth;
#[cfg(feature = "_store")]
use crate::store::StoreHealth;
use crate::subscriber::HandlerError;
use crate::trace::{ExporterHealth, SpansHealth};

/// How the telemetry itself is doing. Serialises to JSON; durations are in seconds.
///
/// For each subscriber, at any time nothing is under way: `published = delivered + filtered + dropped`.
///
/// ```
/// use tasker_telemetry::Telemetry;
/// let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
/// let health = telemetry.health();
/// assert_eq!(health.queue.depth, 0);
/// assert!(health.is_clean(), "{health:#?}");
/// ```
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// The service's name.
    pub service_name: String,
    /// The queue between publishing threads and subscribers.
    pub queue: QueueHealth,
    /// Each subscriber, by name.
    pub subscribers: Vec<SubscriberHealth>,
    /// Events published, by name; those of users together as `custom`.
    pub published: BTreeMap<&'static str, u64>,
    /// Tasks that were begun, those of single steps included.
    pub tasks_started: u64,
    /// The spans, where any are made.
    pub spans: Option<SpansHealth>,
    /// Steps that ran outside any task, each as a task of its own.
    pub implicit_tasks: u64,
    /// Synchronous steps that ran above `max_concurrent_steps`, because waiting would have blocked the thread that the
    /// holders of the permits need.
    pub concurrency_overruns: u64,
    /// How sending logs over OTLP fares, where they are sent.
    pub logs: Option<ExporterHealth>,
    /// Correlation ids that were given and can be none: the trace id stands for them.
    pub invalid_correlation_ids: u64,
    /// What `Catalog::validate` found when the telemetry was built.
    pub catalog_problems: Vec<String>,
    /// How pushing metrics fares, in the order in which the pushers were started.
    pub metric_pushes: Vec<PushHealth>,
    /// The store, if there is one.
    #[cfg(feature = "_store")]
    pub store: Option<StoreHealth>,
}

impl Health {
    /// Whether no event was dropped and nothing failed, the pushing of metrics included.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let spans = self.spans.as_ref();
        let lost = |spans: &SpansHealth| spans.dropped() + spans.undecided_evicted + spans.span_events_dropped > 0;
        !spans.is_some_and(lost)
            && self.subscribers.iter().all(|subscriber| subscriber.dropped.is_empty() && subscriber.failed == 0)
            && self.metric_pushes.iter().all(|push| push.failed == 0)
    }

    /// All dropped events of all subscribers.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.subscribers.iter().map(SubscriberHealth::dropped_total).sum()
    }

    /// The subscriber whose type has that name, with or without its path.
    #[must_use]
    pub fn subscriber(&self, name: &str) -> Option<&SubscriberHealth> {
        self.subscribers
            .iter()
            .find(|subscriber| subscriber.name == name || subscriber.name.rsplit("::").next() == Some(name))
    }
}

/// The queue between publishing threads and subscribers.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[non_exhaustive]
pub struct QueueHealth {
    /// How many events fit.
    pub capacity: usize,
    /// How many wait now.
    pub depth: usize,
    /// How many have waited at once, as far as was seen.
    pub high_water: usize,
    /// How often the order of a task's events had a gap that nothing filled in time: an event that was dropped, or one that
    /// another thread published at the very same moment.
    pub skipped: usize,
    /// Of those, the events that were delivered later, after some that have a higher number.
    pub late: usize,
}

/// One subscriber.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SubscriberHealth {
    /// The subscriber's type, with its path.
    pub name: &'static str,
    /// Events that it subscribed to and that were published.
    pub published: u64,
    /// Events that a handler took, well or not.
    pub delivered: u64,
    /// Events that its filter declined.
    pub filtered: u64,
    /// Handler calls, among the delivered, that ended in an error, a panic or a time-out.
    pub failed: u64,
    /// Events that it never saw, by reason: `queue_full`, `subscriber_full`, `shutdown`, `start_failed`, `untyped`,
    /// `recursion`.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Events that wait for it.
    pub backlog: u64,
    /// How long the handler call that is under way has taken, in seconds.
    pub busy_seconds: Option<f64>,
    /// The last failure of a handler.
    pub last_error: Option<String>,
}

impl SubscriberHealth {
    /// The dropped events, whatever the reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

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
    /// Touched by the router and the subscriber's thread, for nanoseconds each.
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    routed: u64,
    delivered: u64,
    filtered: u64,
    failed: u64,
    dropped: BTreeMap<&'static str, u64>,
    backlog: u64,
    busy_since: Option<Instant>,
    last_error: Option<String>,
    abandoned: bool,
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
            books: Mutex::default(),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it gets that event.
    pub(super) fn wants(&self, record: &Record) -> bool {
        self.interest.covers(record.kind, record.name()) && (!self.spans || record.is_for_spans())
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
        let room = self.capacity.saturating_sub(books.backlog);
        let fits = room.min(events as u64);
        let over = events as u64 - fits;
        books.routed += events as u64;
        books.backlog += fits;
        if over > 0 {
            *books.dropped.entry("subscriber_full").or_default() += over;
        }
        usize::try_from(fits).unwrap_or(events)
    }

    /// One more event for an inline subscriber, which has no backlog.
    pub(super) fn admit_inline(&self) {
        let mut books = self.books();
        books.routed += 1;
        books.backlog += 1;
    }

    /// A handler call begins. `false`: the event has been counted as dropped already.
    pub(super) fn begin(&self) -> bool {
        let mut books = self.books();
        books.busy_since = Some(Instant::now());
        !books.abandoned
    }

    /// A handler call ended.
    pub(super) fn end(&self, outcome: Outcome, event: &'static str) {
        let mut books = self.books();
        if books.abandoned {
            return;
        }
        books.busy_since = None;
        books.backlog = books.backlog.saturating_sub(1);
        let failure = match outcome {
            Outcome::Delivered => None,
            Outcome::Filtered => {
                books.filtered += 1;
                return;
            }
            Outcome::Untyped => return *books.dropped.entry("untyped").or_default() += 1,
            Outcome::Recursion => return *books.dropped.entry("recursion").or_default() += 1,
            Outcome::Failed(message) => Some(message),
            Outcome::TimedOut => Some("took longer than its time limit".to_owned()),
        };
        books.delivered += 1;
        if let Some(message) = failure {
            books.failed += 1;
            let first = books.failed == 1;
            books.last_error = Some(format!("{event}: {message}"));
            let failed = books.failed;
            drop(books);
            // The first of a kind is a warning; a subscriber that fails at every event must not fill the log.
            if first || failed.is_power_of_two() {
                tracing::warn!(target: "tasker_telemetry", subscriber = self.spec.name, event, failures = failed, "a subscriber failed: {message}");
            }
        }
    }

    /// So many events were taken at once; `failure`: what went wrong then.
    pub(super) fn end_batch(&self, events: usize, failure: Option<String>) {
        let mut books = self.books();
        if books.abandoned {
            return;
        }
        books.busy_since = None;
        books.backlog = books.backlog.saturating_sub(events as u64);
        books.delivered += events as u64;
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
        if !books.abandoned {
            books.backlog = books.backlog.saturating_sub(events as u64);
            *books.dropped.entry(reason).or_default() += events as u64;
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
        let left = std::mem::take(&mut books.backlog);
        books.abandoned = true;
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
        SubscriberHealth {
            name: self.spec.name,
            published: books.routed + queue_full + closed,
            delivered: books.delivered,
            filtered: books.filtered,
            failed: books.failed,
            dropped,
            backlog: books.backlog,
            busy_seconds: books.busy_since.map(|since| since.elapsed().as_secs_f64()).filter(|_| !books.abandoned),
            last_error: books.last_error.clone(),
        }
    }
}
