//! The store's own thread: takes records from the router, writes them in batches, and lets go of what waits for them.
//!
//! ```text
//! router ──► waiting records ──► one transaction at a time ──► what was held for them goes to the subscribers
//!                  │ a write failed, or somebody has waited long enough
//!                  └──► everybody is let go at once, rows wait; tried again, ever more rarely, until all is written
//! ```
//! There is one writer, so rows are written in the order in which things happened. What waits is bounded by the publisher's
//! books: what does not fit never comes here.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep_until};

use super::db::Db;
use super::error::{Fault, fault};
use super::health::State;
use super::options::{Decided, Durability};
use super::rows::{self, fold};
use super::write::{Sign, Statements, WriteError};
use crate::publisher::{Books, Fact, Held, Keeper, Record, Ticket};
use crate::time::Timestamp;

/// How many records are written in one transaction at most.
const MOST_RECORDS: usize = 2_000;

/// And how many while writing does not succeed: what is too much for the time limit must become less.
const LEAST_RECORDS: usize = 20;

/// The waits before a failed write is tried again.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What the writer is told.
pub(super) enum Order {
    Held(Held),
    /// `true`: nothing follows.
    Flush(Arc<Ticket>, bool),
    GiveUp,
}

/// The publisher's way to the writer.
pub(super) struct Gate {
    pub(super) orders: UnboundedSender<Order>,
}

impl Keeper for Gate {
    fn keep(&self, held: Held) {
        // Where the writer is gone what comes back is dropped, and so let go.
        let _ = self.orders.send(Order::Held(held));
    }

    fn flush(&self, ticket: Arc<Ticket>, last: bool) {
        if let Err(unsent) = self.orders.send(Order::Flush(ticket, last))
            && let Order::Flush(ticket, _) = unsent.0
        {
            ticket.passed();
        }
    }

    fn give_up(&self) {
        let _ = self.orders.send(Order::GiveUp);
    }
}

/// A write that is under way, of so many records; of none, it is a sign of life alone.
type Writing = (usize, Pin<Box<dyn Future<Output = Result<(), WriteError>>>>);

/// See the module.
pub(super) struct Writer {
    pub(super) db: Db,
    pub(super) statements: Arc<Statements>,
    pub(super) options: Decided,
    pub(super) worker_id: Arc<str>,
    pub(super) books: Books,
    pub(super) state: Arc<State>,
    /// Records that are not written, those of a write under way included.
    waiting: VecDeque<Record>,
    /// What is let go of once so many records have been seen to, in their order.
    held: VecDeque<(u64, Instant, Held)>,
    tickets: VecDeque<(u64, Arc<Ticket>)>,
    /// Nothing follows: once all is written, it is over.
    last: bool,
    /// How many records have come, and how many of them have been seen to.
    taken: u64,
    settled: u64,
    /// Whether nothing is held for the records that wait: the last write failed, or took too long.
    behind: bool,
    /// How many records the next write takes at most.
    portion: usize,
    wait: Duration,
    /// Not before then is a failed write tried again.
    again_at: Option<Instant>,
    next_sign: Instant,
    lost_before: u64,
}

impl Writer {
    pub(super) fn new(
        db: Db,
        statements: Arc<Statements>,
        options: Decided,
        worker_id: Arc<str>,
        books: Books,
        state: Arc<State>,
    ) -> Self {
        Self {
            db,
            statements,
            options,
            worker_id,
            books,
            state,
            waiting: VecDeque::new(),
            held: VecDeque::new(),
            tickets: VecDeque::new(),
            last: false,
            taken: 0,
            settled: 0,
            behind: false,
            portion: MOST_RECORDS,
            wait: FIRST_WAIT,
            again_at: None,
            next_sign: Instant::now(),
            lost_before: 0,
        }
    }

    /// The database could not be reached at first: nobody waits for it.
    pub(super) const fn begin_behind(&mut self) {
        self.behind = true;
    }

    /// Writes until the publisher has no more to say and nothing is left, or time is up. What then waits to hear that it is over
    /// hears it from the caller.
    pub(super) async fn run(mut self, mut orders: UnboundedReceiver<Order>) -> Vec<Arc<Ticket>> {
        let mut writing: Option<Writing> = None;
        let mut open = true;
        while open || writing.is_some() || !self.waiting.is_empty() {
            if self.last && writing.is_none() && self.waiting.is_empty() {
                break;
            }
            if writing.is_none() {
                writing = self.next_write();
            }
            let release_at = self.held.front().map(|(_, deadline, _)| *deadline);
            let idle = writing.is_none();
            tokio::select! {
                order = orders.recv(), if open => match order {
                    Some(Order::GiveUp) => return self.give_up(),
                    Some(order) => {
                        self.obey(order);
                        // What else has come goes into the same transaction.
                        while let Ok(order) = orders.try_recv() {
                            if let Order::GiveUp = order {
                                return self.give_up();
                            }
                            self.obey(order);
                        }
                    }
                    None => open = false,
                },
                (count, result) = async {
                    match &mut writing {
                        Some((count, write)) => (*count, write.await),
                        None => std::future::pending().await,
                    }
                } => {
                    writing = None;
                    self.written(count, result);
                }
                () = until(release_at) => self.fall_behind(&format!("slower than {:?}", self.options.delivery_timeout)),
                () = until(self.again_at), if idle => {}
                () = sleep_until(self.sign_due()), if idle => {}
            }
        }
        self.end()
    }

    /// Everybody is let go; what is left is counted by the publisher, who knows what it gave, and says that time is up.
    fn give_up(mut self) -> Vec<Arc<Ticket>> {
        self.tickets.clear();
        self.end()
    }

    fn end(mut self) -> Vec<Arc<Ticket>> {
        self.held.clear();
        self.tickets.drain(..).map(|(_, ticket)| ticket).collect()
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Held(mut held) => {
                let records = std::mem::take(&mut held.records);
                let strict = self.options.durability == Durability::Strict;
                if self.behind {
                    for record in &records {
                        answer(record, Ticket::late);
                    }
                }
                self.taken += records.len() as u64;
                self.waiting.extend(records);
                if !self.behind && (held.is_awaited() || strict) && self.settled < self.taken {
                    let deadline = Instant::now() + self.options.delivery_timeout;
                    self.held.push_back((self.taken, deadline, held));
                }
            }
            Order::Flush(ticket, last) => {
                self.tickets.push_back((self.taken, ticket));
                self.last |= last;
                self.settle(0);
            }
            Order::GiveUp => {}
        }
    }

    fn next_write(&mut self) -> Option<Writing> {
        let now = Instant::now();
        let sign = self.next_sign <= now;
        if (self.waiting.is_empty() && !sign) || self.again_at.is_some_and(|at| at > now) {
            return None;
        }
        self.again_at = None;
        let count = self.waiting.len().min(self.portion);
        let batch = fold(self.waiting.iter().take(count), &self.worker_id);
        let (db, statements) = (self.db.clone(), Arc::clone(&self.statements));
        let sign = sign.then(|| self.sign());
        let state = Arc::clone(&self.state);
        let write = async move {
            state.migrate(&db).await?;
            statements.write(&db, &batch, sign.as_ref()).await
        };
        Some((count, Box::pin(write)))
    }

    fn written(&mut self, count: usize, result: Result<(), WriteError>) {
        match result {
            Ok(()) => {
                self.wait = FIRST_WAIT;
                if count > 0 {
                    self.books.written(count);
                    if self.behind {
                        self.state.replayed.fetch_add(count as u64, Ordering::Relaxed);
                    }
                    self.state.transactions.fetch_add(1, Ordering::Relaxed);
                    self.waiting.drain(..count).for_each(|record| answer(&record, Ticket::done));
                    self.portion = (self.portion * 2).min(MOST_RECORDS);
                }
                if self.behind && self.waiting.is_empty() {
                    self.catch_up();
                }
                if count > 0 {
                    self.settle(count);
                }
            }
            Err(WriteError::Sql(error)) if count > 0 && fault(&error) == Fault::Rows => self.refused(count, &error),
            Err(error) => {
                self.again_at = Some(Instant::now() + self.wait);
                self.wait = (self.wait * 2).min(LONGEST_WAIT);
                self.portion = (self.portion / 2).max(LEAST_RECORDS);
                // The first rows that can be written again say that the process lives: until then others may think it dead.
                self.next_sign = Instant::now();
                self.fall_behind(&error.to_string());
            }
        }
    }

    /// Finds the one among the records that the database will never take, by halves; it alone is lost.
    fn refused(&mut self, count: usize, error: &sqlx::Error) {
        if count > 1 {
            self.portion = count / 2;
            return;
        }
        tracing::warn!(target: "tasker_telemetry", "the store refuses a row: {error}");
        self.state.note_error(&error.to_string());
        self.waiting.pop_front().iter().for_each(|record| answer(record, Ticket::late));
        self.books.lost(1, "refused");
        self.portion = 2;
        self.settle(1);
    }

    /// So many more records have been seen to: lets go of what was held for them.
    fn settle(&mut self, count: usize) {
        self.settled += count as u64;
        while self.held.front().is_some_and(|(mark, ..)| *mark <= self.settled) {
            self.held.pop_front();
        }
        while !self.last && self.tickets.front().is_some_and(|(mark, _)| *mark <= self.settled) {
            if let Some((_, ticket)) = self.tickets.pop_front() {
                ticket.passed();
            }
        }
    }

    /// Nobody waits for the store any more, until it has written everything.
    fn fall_behind(&mut self, why: &str) {
        self.held.clear();
        self.waiting.iter().for_each(|record| answer(record, Ticket::late));
        self.state.note_error(why);
        if !self.behind {
            self.behind = true;
            self.state.behind.store(true, Ordering::Release);
            self.lost_before = self.lost();
            tracing::warn!(
                target: "tasker_telemetry",
                waiting = self.waiting.len(),
                "the store cannot be written: {why}; events go on without it, rows wait"
            );
        }
    }

    fn catch_up(&mut self) {
        self.behind = false;
        self.state.behind.store(false, Ordering::Release);
        let lost = self.lost() - self.lost_before;
        tracing::warn!(target: "tasker_telemetry", lost, "the store is written again");
    }

    fn lost(&self) -> u64 {
        self.books.read().2.values().sum()
    }

    /// When the writer has to wake for a sign of life alone: not while it waits to try again, which takes one along.
    fn sign_due(&self) -> Instant {
        self.again_at.map_or(self.next_sign, |again_at| again_at.max(self.next_sign))
    }

    fn sign(&mut self) -> Sign {
        self.next_sign = Instant::now() + self.options.lease / 3;
        let lease = rows::nanos(u64::try_from(self.options.lease.as_nanos()).unwrap_or(u64::MAX));
        let lease_until = rows::nanos(Timestamp::now().as_unix_nanos()).saturating_add(lease);
        Sign { worker_id: Arc::clone(&self.worker_id), lease_until }
    }
}

/// Tells a step that waits for it whether its failure is written.
fn answer(record: &Record, answer: fn(&Ticket)) {
    if let Fact::Failed { failure, .. } = &record.fact
        && let Some(ticket) = &failure.written
    {
        answer(ticket);
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
