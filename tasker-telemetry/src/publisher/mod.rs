//! The publisher: hands each event to everybody who subscribed to it, and accounts for each.
//!
//! ```text
//! publishing threads ──► Queue (bounded) ──► router thread ──► mailbox (bounded) ──► one thread a subscriber
//!                  └───► inline subscribers, on the spot
//! ```
//! A publishing thread never waits and never runs a queued handler. The router runs no user code, so no subscriber can
//! delay another. What does not fit is dropped and counted, by subscriber and reason ([`Health`]). Spans are made by one more
//! thread behind the router, of bare records ([`RecordSink`]): no event is written out for them.
//! It decides nothing about tasks and steps: that an event happened is `lifecycle`'s word.

mod account;
mod build;
mod harvest;
mod head;
mod health;
mod inline;
mod interest;
#[cfg_attr(not(feature = "_store"), allow(dead_code, reason = "only the store implements it"))]
mod keeper;
mod lanes;
mod order;
mod queue;
#[cfg(test)]
mod queue_tests;
mod record;
mod router;
mod sending;
mod short;
mod strip;
mod sync;
mod tap;
mod ticket;
mod track;
mod watch;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use self::build::build;
pub(crate) use self::head::header;
pub use self::health::{Health, QueueHealth, SubscriberHealth};
#[cfg_attr(not(feature = "_store"), allow(unused_imports, reason = "only the store implements it"))]
pub(crate) use self::keeper::{Books, Held, Keeper, Kept};
pub(crate) use self::lanes::Lanes;
pub(crate) use self::record::{Fact, Inputs, OUT_OF_LINE, Opening, Published, Reason, Record, StepPlace, TaskEnd};
pub(crate) use self::short::{Numbers, ShortStep};
pub(crate) use self::tap::RecordSink;
pub(crate) use self::ticket::{End, Ended, Ticket};

use self::account::Account;
use self::inline::InlineSubscriber;
use self::queue::Queue;
use self::router::Item;
use self::short::ShortEntry;
use crate::event::EventKind;
use crate::subscriber::Registration;

/// The sizes and time limits of a publisher.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// How many events may wait for the router.
    pub(crate) queue_capacity: usize,
    /// How many events may wait for one subscriber.
    pub(crate) subscriber_capacity: usize,
    /// How long one async handler may take.
    pub(crate) handler_timeout: Duration,
}

/// A number that no other publisher of this process has, and is not 0.
fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// As what records of two events are counted: no kind has that number.
const BEGUN: usize = EventKind::ALL.len();

/// The same for finished spans that are no event.
#[cfg(feature = "api")]
const SPAN: usize = BEGUN + 1;

/// The publisher of one telemetry.
pub(crate) struct Publisher {
    /// The bits of all kinds that somebody wants now.
    mask: AtomicU32,
    /// The bits of those that spans are made of; 0 when there are none. A task that is not traced leaves them out.
    span_mask: u32,
    /// The same for inline subscribers, and for those behind the queue.
    inline_mask: u32,
    queued_mask: AtomicU32,
    /// The same of all who may want something later, too: the log, whose level can change.
    all_mask: u32,
    all_queued_mask: u32,
    /// That of the inline subscribers and of those behind the queue, without the log.
    lasting: (u32, u32),
    inline: Box<[InlineSubscriber]>,
    queued: Box<[Arc<Account>]>,
    spans: Option<Arc<Account>>,
    keeper: Option<Arc<Account>>,
    queue: Arc<Queue<Item, ShortEntry>>,
    /// The queue's own number: its lanes are known to threads by it.
    id: u64,
    router: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// Set when the telemetry shuts down: what comes later is dropped and counted.
    closed: AtomicBool,
    /// Events accepted that do not go through the queue, by kind; the queue counts the others.
    published: [AtomicU64; EventKind::ALL.len()],
}

impl Publisher {
    /// Starts the threads that the subscribers need; none at all when there is no subscriber behind the queue.
    pub(crate) fn start(
        subscribers: Vec<Registration>,
        span_sink: Option<Box<dyn RecordSink>>,
        kept: Option<Kept>,
        limits: &Limits,
    ) -> std::io::Result<Self> {
        let (mut inline, mut queued, mut makers) = (Vec::new(), Vec::new(), Vec::new());
        for registration in subscribers {
            match registration {
                Registration::Inline(subscriber) => inline.push(InlineSubscriber::new(subscriber)),
                Registration::Queued(make, spec) => {
                    queued.push(Arc::new(Account::new(spec, limits.subscriber_capacity)));
                    makers.push(make);
                }
            }
        }
        let queue = Arc::new(Queue::new(limits.queue_capacity));
        let spans = span_sink.is_some().then(|| Arc::new(Account::of_spans(limits.subscriber_capacity)));
        let keeper = kept.as_ref().map(|kept| Arc::clone(&kept.books.0));
        let router = if makers.is_empty() && spans.is_none() && kept.is_none() {
            None
        } else {
            let mut mailboxes = Vec::with_capacity(makers.len());
            for (make, account) in makers.into_iter().zip(&queued) {
                mailboxes.push(worker::start(make, Arc::clone(account), limits.handler_timeout)?);
            }
            if let (Some(sink), Some(account)) = (span_sink, &spans) {
                mailboxes.push(tap::start(sink, Arc::clone(account))?);
            }
            Some(router::start(Arc::clone(&queue), mailboxes, kept)?)
        };
        let inline_mask = inline.iter().fold(0, |mask, subscriber| mask | subscriber.account.interest.mask());
        let mask_of = |log: bool| {
            let counts = |account: &&Arc<Account>| log || !std::ptr::eq(account.spec, &raw const crate::logs::SPEC);
            queued.iter().chain(&keeper).filter(counts).fold(0, |mask, account| mask | account.interest.mask())
        };
        let (lasting, queued_mask) = (mask_of(false), mask_of(true));
        Ok(Self {
            mask: AtomicU32::new(inline_mask | queued_mask),
            all_mask: inline_mask | queued_mask,
            all_queued_mask: queued_mask,
            lasting: (inline_mask | lasting, lasting),
            span_mask: if spans.is_some() { tap::KINDS } else { 0 },
            inline_mask,
            queued_mask: AtomicU32::new(queued_mask),
            inline: inline.into(),
            queued: queued.into(),
            spans,
            keeper,
            queue,
            id: next_id(),
            router: Mutex::new(router),
            closed: AtomicBool::new(false),
            published: [const { AtomicU64::new(0) }; EventKind::ALL.len()],
        })
    }

    /// A publisher to which nobody listens.
    pub(crate) fn silent() -> Self {
        Self {
            mask: AtomicU32::new(0),
            span_mask: 0,
            inline_mask: 0,
            queued_mask: AtomicU32::new(0),
            all_mask: 0,
            all_queued_mask: 0,
            lasting: (0, 0),
            inline: Box::default(),
            queued: Box::default(),
            spans: None,
            keeper: None,
            queue: Arc::new(Queue::new(0)),
            id: next_id(),
            router: Mutex::new(None),
            closed: AtomicBool::new(false),
            published: [const { AtomicU64::new(0) }; EventKind::ALL.len()],
        }
    }

    /// Whether somebody subscribed to events of that kind. Ask before building anything.
    #[inline]
    pub(crate) fn wants(&self, kind: EventKind) -> bool {
        self.mask() & kind.bit() != 0
    }

    /// The bits of all kinds that somebody wants now.
    #[inline]
    pub(crate) fn mask(&self) -> u32 {
        self.mask.load(Ordering::Relaxed)
    }

    /// The log wants events of these kinds from now on; tasks under way go on as they began.
    pub(crate) fn log_wants(&self, kinds: u32) {
        let (all, queued) = self.lasting;
        self.queued_mask.store(queued | kinds & self.all_queued_mask, Ordering::Relaxed);
        self.mask.store(all | kinds & self.all_mask, Ordering::Relaxed);
    }

    /// The bits of all kinds that spans are made of.
    pub(crate) const fn span_mask(&self) -> u32 {
        self.span_mask
    }

    /// The bits of all kinds that go through the queue, of a task whose spans are made as they end or not.
    #[inline]
    pub(crate) fn queue_mask(&self, for_spans: bool) -> u32 {
        self.queued_mask.load(Ordering::Relaxed) | if for_spans { self.span_mask } else { 0 }
    }

    /// The bits of all kinds that inline subscribers get.
    pub(crate) const fn inline_mask(&self) -> u32 {
        self.inline_mask
    }

    /// Whether nobody subscribed to anything, and no spans are made.
    #[inline]
    pub(crate) fn is_silent(&self) -> bool {
        self.mask() | self.span_mask == 0
    }

    /// Whether somebody subscribed to the custom event of that name.
    pub(crate) fn wants_custom(&self, name: &str) -> bool {
        self.wants(EventKind::Custom)
            && (self.inline.iter().map(|subscriber| &subscriber.account).chain(&self.queued))
                .any(|account| account.interest.covers(EventKind::Custom, || name))
    }

    /// Hands an event on. Never blocks on the queue; runs inline subscribers before it returns.
    pub(crate) fn publish(&self, record: Record) {
        let bit = record.kind.bit();
        let for_spans = self.span_mask & bit != 0 && record.is_for_spans();
        if self.all_mask & bit == 0 && !for_spans {
            return;
        }
        if self.closed.load(Ordering::Relaxed) {
            self.drop_everywhere(&record, Account::drop_closed);
            return;
        }
        if self.inline_mask & bit != 0 {
            inline::run(&self.inline, &record);
        }
        if self.all_queued_mask & bit == 0 && !for_spans {
            self.published[record.kind as usize].fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.push(record.kind as usize, Item::Event(record));
    }

    /// Hands over what spans are made of and nobody else gets: the records of a task that turned out to be worth keeping.
    pub(crate) fn publish_spans(&self, records: Vec<Record>) {
        let Some(account) = &self.spans else { return };
        if self.closed.load(Ordering::Relaxed) || self.lock_router().is_none() {
            for _ in &records {
                account.drop_closed();
            }
        } else if !records.is_empty() {
            self.queue.push_unbounded(Item::Spans(records));
        }
    }

    /// The same for one finished span, within the queue's bound.
    #[cfg(feature = "api")]
    pub(crate) fn publish_span(&self, record: Record) {
        let Some(account) = &self.spans else { return };
        if self.closed.load(Ordering::Relaxed) {
            account.drop_closed();
        } else {
            self.push(SPAN, Item::Spans(vec![record]));
        }
    }

    fn behind_queue(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.queued.iter().chain(&self.spans).chain(&self.keeper)
    }

    #[cold]
    fn drop_everywhere(&self, record: &Record, drop: fn(&Account)) {
        for account in self.inline.iter().map(|subscriber| &subscriber.account).chain(self.behind_queue()) {
            if account.wants(record) {
                drop(account);
            }
        }
    }

    /// Asks that everything published so far be handled. The answer is the ticket's.
    pub(crate) fn flush(&self, deadline: Instant) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket::new(deadline));
        if self.behind_queue().next().is_none() || self.lock_router().is_none() {
            ticket.done();
        } else {
            self.queue.push_unbounded(Item::Flush(Arc::clone(&ticket)));
        }
        ticket
    }

    /// Takes no more events, has those that wait handled, and ends the threads. The ticket is done when everything was
    /// handled, or at the deadline: what then is left is dropped and counted.
    pub(crate) fn shutdown(&self, deadline: Instant) -> Arc<Ticket> {
        self.closed.store(true, Ordering::Relaxed);
        let ticket = Arc::new(Ticket::new(deadline));
        if self.lock_router().take().is_some() {
            self.queue.push_unbounded(Item::Shutdown(Arc::clone(&ticket)));
        } else {
            ticket.done();
        }
        ticket
    }

    fn lock_router(&self) -> std::sync::MutexGuard<'_, Option<std::thread::JoinHandle<()>>> {
        self.router.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of the queue and of each subscriber.
    pub(crate) fn health(&self) -> Health {
        let mut subscribers: Vec<_> = self
            .inline
            .iter()
            .map(|subscriber| &subscriber.account)
            .chain(self.behind_queue())
            .map(|account| account.health())
            .collect();
        subscribers.sort_by_key(|subscriber| subscriber.name);
        let (mut tally, (skipped, late)) = (self.queue.tally(), self.queue.disorder());
        for kind in [EventKind::StepExecutionRequested, EventKind::StepStarted] {
            tally[kind as usize] += tally[BEGUN];
        }
        Health {
            queue: QueueHealth {
                capacity: self.queue.capacity(),
                depth: self.queue.len(),
                high_water: self.queue.high_water(),
                skipped,
                late,
            },
            subscribers,
            published: EventKind::ALL
                .into_iter()
                .map(|kind| kind as usize)
                .map(|kind| (kind, self.published[kind].load(Ordering::Relaxed) + tally[kind]))
                .map(|(kind, count)| (EventKind::ALL[kind].name(), count))
                .filter(|(_, count)| *count > 0)
                .collect(),
            ..Health::default()
        }
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher")
            .field("inline", &self.inline.len())
            .field("queued", &self.queued.len())
            .finish_non_exhaustive()
    }
}
