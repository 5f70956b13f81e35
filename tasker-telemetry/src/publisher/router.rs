//! The router: takes events from the queue and puts each into the mailbox of everybody who subscribed to it.
//!
//! It runs no user code and waits for nobody, so it is always back at the queue in time.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use super::account::Account;
use super::harvest::{Harvest, Read};
use super::keeper::{self, Delivery, Held, Kept, is_kept};
use super::order::Order;
use super::queue::Queue;
use super::record::{Fact, Record};
use super::short::ShortEntry;
use super::ticket::Ticket;

/// What stands in the queue.
pub(super) enum Item {
    Event(Record),
    /// For the maker of spans alone.
    Spans(Vec<Record>),
    Flush(Arc<Ticket>),
    Shutdown(Arc<Ticket>),
}

/// What a subscriber's thread is sent.
pub(super) enum Message {
    Events(Vec<Record>),
    Flush(Arc<Ticket>),
    /// The same, and nothing follows.
    LastFlush(Arc<Ticket>),
}

/// The way to one subscriber.
pub(super) struct Mailbox {
    pub(super) account: Arc<Account>,
    pub(super) sender: Sender<Message>,
    /// Called when time is up at shutdown and not everything has been handled.
    pub(super) at_deadline: Option<Box<dyn Fn() + Send>>,
}

impl Mailbox {
    /// Spans do not wait until their records are written: they are no announcements, and nobody acts on them.
    fn waits_for_keeper(&self) -> bool {
        !self.account.makes_spans()
    }

    fn delivery(&self, message: Message) -> Delivery {
        Delivery { sender: self.sender.clone(), account: Arc::clone(&self.account), message }
    }
}

/// How long the router stays awake after the last event, looking every [`NAP`]: while it does, nobody has to wake it.
const LINGER: Duration = Duration::from_millis(10);
const NAP: Duration = Duration::from_millis(1);

/// After so many of what was read, what was sorted is sent off and the places are given back.
const AT_ONCE: usize = 256;

/// How often all lanes are read again before a flush is passed on.
const MOST_READINGS: usize = 16;

pub(super) fn start(
    queue: Arc<Queue<Item, ShortEntry>>,
    mailboxes: Vec<Mailbox>,
    kept: Option<Kept>,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("tasker-router".to_owned()).spawn(move || {
        queue.set_consumer(thread::current());
        let (order, harvests, orders) = (Order::new(), Vec::new(), Vec::new());
        let (tickets, outgoing, to_keep) = (Vec::new(), Vec::new(), Vec::new());
        let keeper = if kept.is_some() { keeper::KINDS } else { 0 };
        let wanted = mailboxes.iter().fold(keeper, |mask, mailbox| mask | mailbox.account.interest.mask());
        Router { queue, mailboxes, kept, order, harvests, orders, tickets, wanted, outgoing, to_keep }.run();
    })
}

/// What is to be sent to one subscriber.
struct Pile {
    records: Vec<Record>,
    /// How many were sent the last time: so many will probably be sent this time.
    last: usize,
    /// Where the task lies that the last record of the life cycle belongs to. One of the records holds it.
    task: Option<usize>,
    /// Each record has its task with it.
    whole: bool,
}

impl Pile {
    const fn new(whole: bool) -> Self {
        Self { records: Vec::new(), last: 0, task: None, whole }
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a record is then moved once")]
    fn push(&mut self, record: Record) {
        if let (Some(task), false) = (&record.task, is_published(&record)) {
            self.task = Some(Arc::as_ptr(task) as usize);
        }
        self.put(record);
    }

    /// A copy for this subscriber. It goes without its task where that is the task of the one before, as [`Batch`] has it: to
    /// hold a task is to count up what all threads count.
    ///
    /// [`Batch`]: super::build::Batch
    #[inline]
    fn push_copy(&mut self, record: &Record) {
        let task = record.task.as_ref().map(|task| Arc::as_ptr(task) as usize);
        if task.is_none() || task != self.task || self.whole || is_published(record) {
            self.push(record.clone());
        } else {
            let Record { kind, sequence, at, step, ref fact, follows, .. } = *record;
            self.put(Record { kind, sequence, at, task: None, step, fact: fact.clone(), follows });
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as above")]
    fn put(&mut self, record: Record) {
        if self.records.capacity() == 0 {
            self.begin();
        }
        self.records.push(record);
    }

    #[cold]
    fn begin(&mut self) {
        self.records.reserve_exact(self.last);
    }

    fn take(&mut self) -> Vec<Record> {
        self.last = self.records.len();
        self.task = None;
        std::mem::take(&mut self.records)
    }
}

/// Whether user code made its payload.
#[inline]
const fn is_published(record: &Record) -> bool {
    matches!(record.fact, Fact::Published(_))
}

struct Router {
    queue: Arc<Queue<Item, ShortEntry>>,
    mailboxes: Vec<Mailbox>,
    /// What writes records down before subscribers get them.
    kept: Option<Kept>,
    order: Order<Record>,
    /// What was read and has not been sorted.
    harvests: Vec<Harvest<Item, ShortEntry>>,
    /// What was read and asks something of the router itself.
    orders: Vec<Item>,
    /// Flushes under way.
    tickets: Vec<Arc<Ticket>>,
    /// The bits of all kinds that a mailbox or the keeper wants.
    wanted: u32,
    /// One batch for each mailbox, filled while a batch is sorted.
    outgoing: Vec<Pile>,
    /// The same for what writes records down.
    to_keep: Vec<Record>,
}

/// Gives each record its task that goes with the one before it.
fn give_tasks(piece: &mut [Item]) {
    let mut task = None;
    let mut items = piece.iter_mut().peekable();
    while let Some(item) = items.next() {
        let Item::Event(record) = item else { continue };
        if record.follows {
            (record.task, record.follows) = (task.take(), false);
        }
        if let Some(Item::Event(Record { follows: true, .. })) = items.peek() {
            task.clone_from(&record.task);
        }
    }
}

impl Router {
    fn run(mut self) {
        let mut last_event = Instant::now();
        self.outgoing = self.mailboxes.iter().map(|mailbox| Pile::new(mailbox.account.makes_spans())).collect();
        loop {
            let taken = self.read();
            if !self.orders.is_empty()
                && let Some(ticket) = self.obey()
            {
                return self.shutdown(&ticket);
            }
            self.expire();
            if self.order.is_waiting() {
                continue; // what waits, waits for one more reading
            }
            if taken > 0 {
                last_event = Instant::now();
            } else if last_event.elapsed() < LINGER {
                thread::park_timeout(NAP);
            } else {
                self.queue.sleep(self.next_deadline());
            }
        }
    }

    /// Reads all that was pushed so far, and sends it off. Says how much that was.
    fn read(&mut self) -> usize {
        self.order.begin_reading();
        let taken = self.queue.read(&mut self.harvests);
        for mut harvest in std::mem::take(&mut self.harvests) {
            harvest.pieces.iter_mut().for_each(|piece| give_tasks(piece));
            let mut count = 0;
            harvest.each(|read| {
                self.take_in(read);
                count += 1;
                if count == AT_ONCE {
                    count = 0;
                    self.queue.give_back(AT_ONCE);
                    self.send();
                }
            });
            self.queue.give_back(count);
            self.send();
        }
        if self.order.is_waiting() {
            let mut settled = Vec::new();
            self.order.settle(|record| settled.push(record));
            for record in &mut settled {
                self.sort_apart(record);
            }
            self.send();
        }
        self.queue.set_disorder(self.order.skipped, self.order.late);
        taken
    }

    /// Sorts what goes on at once.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "called once; a record is then made where it is used")]
    fn take_in(&mut self, read: Read<'_, Item, ShortEntry>) {
        match read {
            Read::Entry(task, opened, ended) => {
                let mut record = opened.record(Arc::clone(task), ended);
                if self.order.admits(&record) {
                    self.sort_apart(&mut record);
                } else {
                    self.order.hold(record);
                }
            }
            Read::Item(Item::Event(record)) if self.order.admits(record) => self.sort_apart(record),
            Read::Item(Item::Event(record)) => self.order.hold(record.take()),
            Read::Item(Item::Spans(records)) => self.send_to_spans(std::mem::take(records)),
            Read::Item(item @ (Item::Flush(_) | Item::Shutdown(_))) => {
                self.orders.push(std::mem::replace(item, Item::Spans(Vec::new())));
            }
        }
    }

    /// Does what it was asked to do: what had been pushed before has been read by now. `Some`: it is to shut down.
    fn obey(&mut self) -> Option<Arc<Ticket>> {
        // What was pushed before waits for one more reading, rarely for some; under a load that never ends others may always wait.
        for _ in 0..MOST_READINGS {
            if self.order.is_waiting() {
                self.read();
            }
        }
        let mut shutdown = None;
        for order in std::mem::take(&mut self.orders) {
            match order {
                Item::Flush(ticket) => self.flush(ticket, Message::Flush, false),
                Item::Shutdown(ticket) => shutdown = Some(ticket),
                Item::Event(_) | Item::Spans(_) => {}
            }
        }
        shutdown
    }

    /// Sorts what the record stands for, as far as anybody wants it. Records are lent, and moved once: to the last who wants it.
    #[inline]
    fn sort_apart(&mut self, record: &mut Record) {
        if record.is_several() {
            record.take_apart(self.wanted, |part| self.sort(part));
        } else {
            self.sort(record);
        }
    }

    /// Puts the record on the pile of everybody who wants it.
    #[inline]
    fn sort(&mut self, record: &mut Record) {
        if self.kept.is_some() && is_kept(record) {
            self.to_keep.push(record.clone());
        }
        let mut taker: Option<&mut Pile> = None;
        for (mailbox, pile) in self.mailboxes.iter().zip(&mut self.outgoing) {
            if mailbox.account.wants(record)
                && let Some(other) = taker.replace(pile)
            {
                other.push_copy(record);
            }
        }
        if let Some(last) = taker {
            last.push(record.take());
        }
    }

    fn send_to_spans(&mut self, records: Vec<Record>) {
        let place = self.mailboxes.iter().position(|mailbox| mailbox.account.makes_spans());
        if let Some(place) = place {
            self.outgoing[place].records.extend(records);
        }
    }

    /// Sends the piles off, as far as each subscriber has room; through the keeper, if there is one.
    fn send(&mut self) {
        let mut deliveries = Vec::new();
        for (mailbox, pile) in self.mailboxes.iter().zip(&mut self.outgoing) {
            if pile.records.is_empty() {
                continue;
            }
            let fits = mailbox.account.admit(pile.records.len());
            pile.records.truncate(fits);
            if fits == 0 {
                pile.task = None;
            } else {
                let delivery = mailbox.delivery(Message::Events(pile.take()));
                match &self.kept {
                    Some(_) if mailbox.waits_for_keeper() => deliveries.push(delivery),
                    _ => delivery.send(),
                }
            }
        }
        let Some(kept) = &self.kept else { return };
        if !self.to_keep.is_empty() {
            let fits = kept.books.0.admit(self.to_keep.len());
            self.to_keep.truncate(fits);
        }
        let held = Held::new(std::mem::take(&mut self.to_keep), deliveries);
        if !held.is_empty() {
            kept.keeper.keep(held);
        }
    }

    fn flush(&mut self, ticket: Arc<Ticket>, message: fn(Arc<Ticket>) -> Message, last: bool) {
        self.send(); // what stands before it in the queue goes before it
        ticket.wait_for(self.mailboxes.len() + usize::from(self.kept.is_some()));
        let mut deliveries = Vec::new();
        for mailbox in &self.mailboxes {
            let delivery = mailbox.delivery(message(Arc::clone(&ticket)));
            match &self.kept {
                Some(_) if mailbox.waits_for_keeper() => deliveries.push(delivery),
                _ => delivery.send(),
            }
        }
        if let Some(kept) = &self.kept {
            kept.keeper.keep(Held::new(Vec::new(), deliveries));
            kept.keeper.flush(Arc::clone(&ticket), last);
        }
        self.tickets.push(ticket);
    }

    fn expire(&mut self) {
        let now = Instant::now();
        self.tickets.retain(|ticket| {
            if !ticket.has_ended() && ticket.deadline() <= now {
                ticket.late();
            }
            !ticket.has_ended()
        });
    }

    fn next_deadline(&self) -> Option<Duration> {
        let now = Instant::now();
        self.tickets.iter().map(|ticket| ticket.deadline().saturating_duration_since(now)).min()
    }

    /// Lets nobody in any more, sorts what is left, waits until it is handled or time is up, and counts what then remains.
    fn shutdown(mut self, ticket: &Arc<Ticket>) {
        self.queue.close();
        while !self.queue.is_finished() || self.order.is_waiting() {
            if self.read() == 0 {
                thread::yield_now(); // somebody was let in and is about to push
            }
        }
        for order in std::mem::take(&mut self.orders) {
            if let Item::Flush(ticket) | Item::Shutdown(ticket) = order {
                self.flush(ticket, Message::Flush, false);
            }
        }
        self.flush(Arc::clone(ticket), Message::LastFlush, true);
        while !ticket.has_ended() && Instant::now() < ticket.deadline() {
            thread::park_timeout(NAP);
        }
        if !ticket.has_ended() {
            self.mailboxes
                .iter()
                .for_each(|mailbox| mailbox.at_deadline.as_ref().into_iter().for_each(|give_up| give_up()));
            self.kept.iter().for_each(|kept| kept.keeper.give_up());
        }
        // First the books, then the word: whoever hears that it is over finds everything accounted for.
        for mailbox in &self.mailboxes {
            mailbox.account.abandon();
        }
        self.kept.iter().for_each(|kept| kept.books.0.abandon());
        for ticket in &self.tickets {
            ticket.late();
        }
    }
}
