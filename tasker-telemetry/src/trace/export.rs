//! The way of finished spans, or of other items, to one exporter: a bounded queue, and a thread that sends batches from it.
//!
//! A slow or dead backend costs its own exporter only: nobody waits for this thread but `flush` and `shutdown`, and those not
//! beyond their deadline.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::books::Books;
use super::span::Span;
use crate::failure::Failure;
use crate::publisher::Ticket;
use crate::resource::Resource;

/// Sends spans somewhere. Runs on a thread of its own, may block until `until`, and may panic.
pub(crate) trait SpanSink: Send {
    /// As what it stands in the books.
    fn name(&self) -> &'static str;

    /// Told once, before anything else, where the spans come from.
    fn set_resource(&mut self, _resource: &Resource) {}

    /// Told once, before anything else, where it stands in the books. `true`: it enters there itself what became of every span,
    /// because it keeps some for longer than one call.
    fn keep_books(&mut self, _books: &Arc<Books>) -> bool {
        false
    }

    /// How long spans wait for others, unless the settings say.
    fn delay(&self) -> Duration {
        Batching::default().delay
    }

    /// Sends a batch, or as much of its beginning as one request can hold.
    fn export(&mut self, spans: &[Span], until: Instant) -> Result<Sent, SendError>;

    /// Sees to it that what it was given is where it belongs, if it keeps anything back; an error is only told.
    fn flush(&mut self, _until: Instant) -> Result<(), String> {
        Ok(())
    }

    /// Called once, when no more spans follow; an error is only told.
    fn shutdown(&mut self, _until: Instant) -> Result<(), String> {
        Ok(())
    }
}

/// What items of one kind are handed to, in batches, on a thread of its own: spans, lines of logs.
pub(crate) trait Sink<T>: Send {
    /// As what it stands in the books.
    fn name(&self) -> &'static str;

    /// As [`SpanSink::keep_books`].
    fn keep_books(&mut self, _books: &Arc<Books>) -> bool {
        false
    }

    /// As [`SpanSink::export`].
    fn export(&mut self, items: &[T], until: Instant) -> Result<Sent, SendError>;

    /// As [`SpanSink::flush`].
    fn flush(&mut self, _until: Instant) -> Result<(), String> {
        Ok(())
    }

    /// As [`SpanSink::shutdown`].
    fn shutdown(&mut self, _until: Instant) -> Result<(), String> {
        Ok(())
    }
}

impl Sink<Span> for Box<dyn SpanSink> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn keep_books(&mut self, books: &Arc<Books>) -> bool {
        (**self).keep_books(books)
    }

    fn export(&mut self, spans: &[Span], until: Instant) -> Result<Sent, SendError> {
        (**self).export(spans, until)
    }

    fn flush(&mut self, until: Instant) -> Result<(), String> {
        (**self).flush(until)
    }

    fn shutdown(&mut self, until: Instant) -> Result<(), String> {
        (**self).shutdown(until)
    }
}

/// The backend answered, and took all but so many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) rejected: usize,
    /// How many at the end of the batch had no room in the request.
    pub(crate) left: usize,
    /// What it said about those, or as a warning.
    pub(crate) message: Option<String>,
}

/// A batch that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SendError {
    pub(crate) message: String,
    pub(crate) again: Again,
}

/// Whether to send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    /// Who sends has sent it again and again already.
    Enough,
    Soon,
    /// The server said when.
    After(Duration),
}

/// How batches are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batching {
    /// How many spans may wait.
    pub(crate) queue: usize,
    /// How many go in one request at most.
    pub(crate) batch: usize,
    /// How long a span waits for others.
    pub(crate) delay: Duration,
    /// How long one request may take.
    pub(crate) timeout: Duration,
    /// How long a batch is sent again and again before it is dropped.
    pub(crate) patience: Duration,
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            queue: 131_072,
            batch: 4_096,
            delay: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            patience: Duration::from_mins(1),
        }
    }
}

/// That much later; "for ever" is some years.
fn after(now: Instant, time: Duration) -> Instant {
    const FOR_EVER: Duration = Duration::from_hours(24 * 365);
    now.checked_add(time).unwrap_or_else(|| now + FOR_EVER)
}

/// The waits between attempts to send: doubled from this to that.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// One exporter, as whoever has items for it sees it.
pub(crate) struct Exporter<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for Exporter<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<T> {
    books: Arc<Books>,
    batching: Batching,
    state: Mutex<State<T>>,
    /// Told of spans, tickets, and the end.
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// When the first of them came.
    since: Option<Instant>,
    /// Who wants to know when all spans that came before them are gone.
    tickets: Vec<Arc<Ticket>>,
    /// No more spans follow, and what is left then is lost.
    deadline: Option<Instant>,
    closed: bool,
    /// At shutdown, time was up.
    given_up: bool,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            since: None,
            tickets: Vec::new(),
            deadline: None,
            closed: false,
            given_up: false,
        }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Exporter<T> {
    /// Starts the thread.
    pub(crate) fn start(mut sink: impl Sink<T> + 'static, batching: Batching) -> std::io::Result<Self> {
        let books = Arc::new(Books::new(sink.name()));
        let counts = !sink.keep_books(&books);
        let shared = Arc::new(Shared { books, batching, state: Mutex::default(), changed: Condvar::new() });
        // Linux shows 15 bytes of a thread's name: a type's own, without its path, says most.
        let name = format!("export-{}", sink.name().rsplit("::").next().unwrap_or_default().replace(' ', "-"));
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name(name).spawn(move || Worker { shared: theirs, sink, counts }.run())?;
        Ok(Self { shared })
    }

    /// As what it stands in the books.
    #[cfg(feature = "otlp")]
    pub(crate) fn name(&self) -> &'static str {
        self.shared.books.name
    }

    pub(crate) fn books(&self) -> &Books {
        &self.shared.books
    }

    /// Takes spans; what does not fit is dropped and counted.
    pub(crate) fn send(&self, spans: impl ExactSizeIterator<Item = T>) {
        let Shared { books, batching, changed, .. } = &*self.shared;
        let count = spans.len();
        books.produced(count);
        let mut state = self.shared.lock();
        let fits = batching.queue.saturating_sub(state.waiting.len()).min(count);
        let before = state.waiting.len();
        state.waiting.extend(spans.take(fits));
        if before == 0 && fits > 0 {
            state.since = Some(Instant::now());
        }
        let wake = before == 0 || (before < batching.batch && state.waiting.len() >= batching.batch);
        drop(state);
        if wake {
            changed.notify_one();
        }
        if fits < count {
            books.dropped(count - fits, "queue_full");
        }
    }

    /// Has the ticket passed when everything taken so far is gone; `last`: no more follows.
    pub(crate) fn flush(&self, ticket: Arc<Ticket>, last: bool) {
        let mut state = self.shared.lock();
        if last {
            state.deadline = Some(ticket.deadline());
        }
        state.tickets.push(ticket);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// No more spans follow.
    pub(crate) fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }

    /// Time is up: what is left is lost.
    pub(crate) fn give_up(&self) {
        self.shared.books.close();
        let mut state = self.shared.lock();
        state.given_up = true;
        state.waiting.clear();
        drop(state);
        self.shared.changed.notify_one();
    }
}

struct Worker<T, S> {
    shared: Arc<Shared<T>>,
    sink: S,
    /// Whether the books are kept here, and not by the sink.
    counts: bool,
}

/// What the thread does next.
enum Next<T> {
    Export(Vec<T>),
    /// `true`: no more spans follow.
    Pass(Vec<Arc<Ticket>>, bool),
    End,
}

impl<T: Send + 'static, S: Sink<T>> Worker<T, S> {
    fn run(mut self) {
        let mut ended = false;
        loop {
            match self.next() {
                Next::Export(batch) => self.export(&batch),
                Next::Pass(tickets, last) => {
                    let first = tickets.iter().map(|ticket| ticket.deadline()).min();
                    let until = after(Instant::now(), self.shared.batching.timeout);
                    let until = first.map_or(until, |first| first.min(until));
                    self.tell(|sink| sink.flush(until));
                    if last && !std::mem::replace(&mut ended, true) {
                        // Before anybody hears that all is done: the process may end then.
                        self.tell(|sink| sink.shutdown(until));
                    }
                    for ticket in tickets {
                        ticket.passed();
                    }
                }
                Next::End => {
                    if !ended {
                        let until = after(Instant::now(), self.shared.batching.timeout);
                        self.tell(|sink| sink.shutdown(until));
                    }
                    return;
                }
            }
        }
    }

    /// Has the sink do something that concerns no span.
    fn tell(&mut self, what: impl FnOnce(&mut S) -> Result<(), String>) {
        match catch_unwind(AssertUnwindSafe(|| what(&mut self.sink))) {
            Ok(Ok(())) => {}
            Ok(Err(message)) => self.shared.books.failed(&message),
            Err(panic) => self.shared.books.failed(&format!("panicked: {}", Failure::of_panic(&*panic).message)),
        }
    }

    fn next(&self) -> Next<T> {
        let Shared { batching, changed, .. } = &*self.shared;
        let mut state = self.shared.lock();
        loop {
            if state.given_up {
                return Next::End;
            }
            let due = state.since.map(|since| after(since, batching.delay));
            let now = Instant::now();
            let urgent = state.closed || !state.tickets.is_empty() || state.waiting.len() >= batching.batch;
            if !state.waiting.is_empty() && (urgent || due.is_some_and(|due| due <= now)) {
                let take = state.waiting.len().min(batching.batch);
                let batch: Vec<T> = state.waiting.drain(..take).collect();
                state.since = (!state.waiting.is_empty()).then_some(now);
                return Next::Export(batch);
            }
            if state.waiting.is_empty() && !state.tickets.is_empty() {
                return Next::Pass(std::mem::take(&mut state.tickets), state.deadline.is_some());
            }
            if state.closed {
                return Next::End;
            }
            state = match due {
                Some(due) => {
                    let waited = changed.wait_timeout(state, due.saturating_duration_since(now));
                    waited.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state)
                }
                None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Sends a batch, in as many requests as it takes.
    fn export(&mut self, batch: &[T]) {
        let mut rest = batch;
        while !rest.is_empty() {
            let done = self.export_some(rest);
            rest = rest.get(done..).unwrap_or_default();
        }
    }

    /// Sends the spans, or the first of them, again if need be, until they are taken, refused for good, or not worth more time.
    /// Gives how many are accounted for: at least one.
    fn export_some(&mut self, batch: &[T]) -> usize {
        let shared = Arc::clone(&self.shared);
        let begun = Instant::now();
        let mut wait = FIRST_WAIT;
        let dropped = |reason| {
            shared.books.dropped(batch.len(), reason);
            batch.len()
        };
        loop {
            let until = self.limit(after(Instant::now(), shared.batching.timeout));
            let sent = catch_unwind(AssertUnwindSafe(|| self.sink.export(batch, until)));
            let error = match sent {
                Ok(Ok(_)) if !self.counts => return batch.len(),
                Ok(Ok(Sent { rejected, left, message })) => {
                    let taken = batch.len().saturating_sub(left).max(1);
                    let rejected = rejected.min(taken);
                    shared.books.exported(taken - rejected);
                    shared.books.dropped(rejected, "rejected");
                    if let Some(message) = message {
                        shared.books.failed(&message);
                    }
                    return taken;
                }
                Ok(Err(error)) => error,
                Err(panic) => {
                    shared.books.failed(&format!("panicked: {}", Failure::of_panic(&*panic).message));
                    return dropped("panicked");
                }
            };
            shared.books.failed(&error.message);
            let pause = match error.again {
                Again::Never => return dropped("rejected"),
                Again::Enough => return dropped("export_failed"),
                Again::Soon => wait.mul_f64(jitter()),
                Again::After(asked) => asked,
            };
            let last = self.limit(after(begun, shared.batching.patience));
            // What the server asks for may be any number.
            if after(Instant::now(), pause) >= last || !self.pause(pause) {
                return dropped("export_failed");
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// That moment, or the deadline of the shutdown, if that is earlier.
    fn limit(&self, until: Instant) -> Instant {
        self.shared.lock().deadline.map_or(until, |deadline| deadline.min(until))
    }

    /// Waits; `false` when that has no sense any more.
    fn pause(&self, pause: Duration) -> bool {
        let until = after(Instant::now(), pause);
        let mut state = self.shared.lock();
        let waiters = state.tickets.len();
        loop {
            if state.given_up {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            // Somebody waits for us now: what can be sent is sent at once.
            if left.is_zero() || state.tickets.len() > waiters {
                return true;
            }
            state = match self.shared.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

/// A factor from 0.5 to 1.5, so that many processes do not all come back at once.
fn jitter() -> f64 {
    let random = crate::id::nonce() >> 40;
    #[allow(clippy::cast_precision_loss, reason = "24 bits")]
    let unit = random as f64 / f64::from(1_u32 << 24);
    0.5 + unit
}
