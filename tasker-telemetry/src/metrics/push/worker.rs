//! The thread that pushes.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Push, PushBooks, PushError};
use crate::metrics::MetricsBackend;
use crate::publisher::Ticket;

/// How long a push may take that no shutdown waits for.
const LIMIT: Duration = Duration::from_secs(10);

/// The wait before a last push is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// How long dropping a pusher may take.
const DROP_LIMIT: Duration = Duration::from_secs(5);

/// Pushes metrics until it is dropped, which pushes them for the last time. [`Builder::push_metrics`](crate::Builder::push_metrics)
/// keeps one in the telemetry; start one yourself where it shall live longer or shorter.
///
/// ```
/// # use std::time::{Duration, Instant};
/// # use tasker_telemetry::Telemetry;
/// # use tasker_telemetry::metrics::push::{Push, PushError, Pusher};
/// # use tasker_telemetry::metrics::MetricsBackend;
/// # struct Nowhere;
/// # impl Push for Nowhere {
/// #     fn name(&self) -> &'static str { "nowhere" }
/// #     fn push(&mut self, _: &MetricsBackend, _: Instant) -> Result<(), PushError> { Ok(()) }
/// # }
/// let telemetry = Telemetry::builder().auto_subscribers(false).build()?;
/// let pusher = Pusher::start(telemetry.metrics(), Nowhere, Duration::from_secs(10))?;
/// pusher.push_now()?;
/// drop(pusher);
/// assert_eq!(telemetry.health().metric_pushes[0].pushed, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping the pusher stops it"]
pub struct Pusher {
    name: &'static str,
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
    /// It was told that there will be no further push.
    stopped: AtomicBool,
}

/// Push now.
struct Command {
    deadline: Instant,
    last: bool,
    answer: Box<dyn FnOnce(Result<(), PushError>) + Send>,
}

impl Pusher {
    /// Starts the thread; the first push is one interval from now. An interval below a millisecond counts as one.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(metrics: MetricsBackend, push: impl Push, every: Duration) -> std::io::Result<Self> {
        Self::start_boxed(metrics, Box::new(push), every)
    }

    pub(crate) fn start_boxed(metrics: MetricsBackend, push: Box<dyn Push>, every: Duration) -> std::io::Result<Self> {
        let name = push.name();
        let (commands, to_do) = mpsc::channel();
        let books = metrics.open_push_books(name);
        let every = every.max(Duration::from_millis(1));
        let worker = Worker { metrics, push, every, books };
        let thread = std::thread::Builder::new().name(format!("tasker-{name}")).spawn(move || worker.run(&to_do))?;
        Ok(Self { name, commands, thread: Some(thread), stopped: AtomicBool::new(false) })
    }

    /// Pushes now, and waits for it: at most 10 s.
    ///
    /// # Errors
    /// [`PushError`] when it did not arrive, or took too long.
    pub fn push_now(&self) -> Result<(), PushError> {
        let deadline = Instant::now() + LIMIT;
        let (answer, answered) = mpsc::sync_channel(1);
        self.command(deadline, false, Box::new(move |result| _ = answer.send(result)))?;
        answered.recv_timeout(LIMIT).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(PushError::Late),
            RecvTimeoutError::Disconnected => Err(ENDED),
        })
    }

    /// What [`Push::name`] says.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Has it push until then, for good when it is the `last` time; the ticket is done when that went well.
    pub(crate) fn ask(&self, deadline: Instant, last: bool) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket::new(deadline));
        if self.stopped.fetch_or(last, Ordering::Relaxed) {
            ticket.done(); // with the last push
            return ticket;
        }
        let answer = Arc::clone(&ticket);
        let asked = self.command(
            deadline,
            last,
            Box::new(move |result| if result.is_ok() { answer.done() } else { answer.late() }),
        );
        if asked.is_err() {
            ticket.late();
        }
        ticket
    }

    fn command(
        &self,
        deadline: Instant,
        last: bool,
        answer: Box<dyn FnOnce(Result<(), PushError>) + Send>,
    ) -> Result<(), PushError> {
        self.commands.send(Command { deadline, last, answer }).map_err(|_| ENDED)
    }
}

const ENDED: PushError = PushError::Stopped("its thread ended");

impl Drop for Pusher {
    fn drop(&mut self) {
        self.ask(Instant::now() + DROP_LIMIT, true).wait();
        // One that hangs is left to itself.
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pusher").field("name", &self.name).finish_non_exhaustive()
    }
}

struct Worker {
    metrics: MetricsBackend,
    push: Box<dyn Push>,
    every: Duration,
    books: Arc<PushBooks>,
}

impl Worker {
    fn run(mut self, to_do: &Receiver<Command>) {
        let mut next = later(Instant::now(), self.every);
        loop {
            match to_do.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Command { deadline, last, answer }) => {
                    answer(if last { self.push_again_and_again(deadline) } else { self.push(deadline) });
                    if last {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let now = Instant::now();
                    let _ = self.push(now + LIMIT);
                    // What a slow push missed is not made up for.
                    next = later(next.max(Instant::now()), self.every);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The last time nothing follows that could make up for a failure.
    fn push_again_and_again(&mut self, deadline: Instant) -> Result<(), PushError> {
        loop {
            let result = self.push(deadline);
            let may_help = matches!(result, Err(PushError::Io(_)));
            if !may_help || Instant::now() + PAUSE >= deadline {
                return result;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn push(&mut self, deadline: Instant) -> Result<(), PushError> {
        let pushed = catch_unwind(AssertUnwindSafe(|| self.push.push(&self.metrics, deadline)));
        let result = pushed.unwrap_or(Err(PushError::Stopped("it panicked")));
        self.books.note(&result);
        result
    }
}

fn later(than: Instant, by: Duration) -> Instant {
    than.checked_add(by).unwrap_or(than + Duration::from_hours(24 * 365))
}
