//! Sending metrics somewhere, every so often and once at the end.
//!
//! Whatever the way, it is the same: a [`Push`] says what is sent, a [`Pusher`] is the thread that does it. Recording is never
//! held up by it, and neither is a shutdown: each push has a deadline.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use tasker_telemetry::Telemetry;
//! use tasker_telemetry::metrics::push::{Push, PushError};
//! use tasker_telemetry::metrics::{Format, MetricsBackend};
//!
//! struct File(std::path::PathBuf);
//! impl Push for File {
//!     fn name(&self) -> &'static str { "file" }
//!     fn push(&mut self, metrics: &MetricsBackend, _deadline: Instant) -> Result<(), PushError> {
//!         Ok(std::fs::write(&self.0, metrics.render(Format::Json))?)
//!     }
//! }
//! # let path = std::env::temp_dir().join(format!("push-doc-{}", std::process::id()));
//! # let path2 = path.clone();
//!
//! let telemetry = Telemetry::builder().auto_subscribers(false).push_metrics(File(path), Duration::from_secs(10)).build()?;
//! telemetry.shutdown_blocking()?; // pushes for the last time
//! assert_eq!(telemetry.health().metric_pushes[0].pushed, 1);
//! # std::fs::remove_file(path2)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(any(feature = "statsd", feature = "metrics-bridge"))]
pub(super) mod spread;
#[cfg(any(feature = "otlp", feature = "statsd", feature = "metrics-bridge"))]
mod told;
mod worker;

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use serde::Serialize;

#[cfg(any(feature = "otlp", feature = "statsd", feature = "metrics-bridge"))]
pub(super) use self::told::Told;
pub use self::worker::Pusher;
use super::MetricsBackend;
#[cfg(feature = "otlp")]
use super::otlp::OtlpMetrics;
use crate::publisher::{End, Ended, Ticket};
use crate::resource::Resource;
use crate::telemetry::BuildError;
#[cfg(feature = "otlp")]
use crate::trace::{Again, SendError};
use crate::variables::Variables;

/// Where metrics are sent, and as what.
pub trait Push: Send + 'static {
    /// A word for it, as health and errors show it: `statsd`.
    fn name(&self) -> &'static str;

    /// Sends what there is to say now. Called on a thread of its own, never twice at once.
    ///
    /// # Errors
    /// [`PushError`] when it did not arrive, as far as can be known; the next push should then make up for it. What is not done at
    /// `deadline` should be given up.
    fn push(&mut self, metrics: &MetricsBackend, deadline: Instant) -> Result<(), PushError>;
}

/// Why a push failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// Nothing could be sent, or no answer came.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The other side did not want it, and will not want it again.
    #[error("{0}")]
    Refused(String),
    /// It took too long.
    #[error("it was not done in time")]
    Late,
    /// What sends it panicked, or was stopped.
    #[error("nothing is pushed any more: {0}")]
    Stopped(&'static str),
}

/// How a push fares; part of [`Health`](crate::Health).
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct PushHealth {
    /// What [`Push::name`] says.
    pub name: &'static str,
    /// How often it went well.
    pub pushed: u64,
    /// How often it failed.
    pub failed: u64,
    /// The last failure.
    pub last_error: Option<String>,
}

/// The books of one pusher.
#[derive(Debug)]
pub(crate) struct PushBooks {
    name: &'static str,
    pushed: AtomicU64,
    failed: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl PushBooks {
    const fn new(name: &'static str) -> Self {
        Self { name, pushed: AtomicU64::new(0), failed: AtomicU64::new(0), last_error: Mutex::new(None) }
    }

    fn last_error(&self) -> MutexGuard<'_, Option<String>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, result: &Result<(), PushError>) {
        match result {
            Ok(()) => _ = self.pushed.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                let text = error.to_string();
                // The first of a row, and that it is over: not one line a push.
                let before = self.last_error().replace(text.clone());
                if self.failed.fetch_add(1, Ordering::Relaxed) == 0 || before.as_ref() != Some(&text) {
                    tracing::warn!(target: "tasker_telemetry", push = self.name, "metrics could not be pushed: {text}");
                }
            }
        }
    }

    pub(crate) fn health(&self) -> PushHealth {
        PushHealth {
            name: self.name,
            pushed: self.pushed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            last_error: self.last_error().clone(),
        }
    }
}

#[cfg(feature = "otlp")]
impl From<SendError> for PushError {
    fn from(error: SendError) -> Self {
        match error.again {
            Again::Never => Self::Refused(error.message),
            Again::Enough | Again::Soon | Again::After(_) => Self::Io(std::io::Error::other(error.message)),
        }
    }
}

/// What a builder keeps until there are metrics to push.
pub(crate) enum PlannedPush {
    /// As it is, that often.
    Ready(Box<dyn Push>, Duration),
    /// OTLP, once the variables have been read.
    #[cfg(feature = "otlp")]
    Otlp(OtlpMetrics),
}

impl PlannedPush {
    /// Whether the standard variables must be read.
    pub(crate) const fn obeys_variables(&self) -> bool {
        !matches!(self, Self::Ready(..))
    }

    /// Decides what is open.
    #[cfg_attr(not(feature = "otlp"), allow(unused_variables, clippy::unnecessary_wraps, reason = "OTLP needs it"))]
    pub(crate) fn resolve(
        self,
        variables: &Variables,
        resource: &Resource,
    ) -> Result<(Box<dyn Push>, Duration), BuildError> {
        match self {
            Self::Ready(push, every) => Ok((push, every)),
            #[cfg(feature = "otlp")]
            Self::Otlp(settings) => {
                let target = settings.resolve(variables)?;
                let every = target.every;
                let push = target.push(resource);
                let push = push.map_err(|error| BuildError::Exporter { exporter: "otlp metrics", problem: error.0 })?;
                Ok((Box::new(push), every))
            }
        }
    }
}

/// A push that is under way, by name.
pub(crate) type Asked = Vec<(&'static str, Arc<Ticket>)>;

/// Half a second more than a flush or shutdown has: what ended late shall be counted where the counts go.
const GRACE: Duration = Duration::from_millis(500);

/// Has all of them push at once, for good when it is the `last` time.
pub(crate) fn ask_all(pushers: &[Pusher], deadline: Instant, last: bool) -> Asked {
    let deadline = deadline.max(Instant::now() + GRACE);
    pushers.iter().map(|pusher| (pusher.name(), pusher.ask(deadline, last))).collect()
}

/// The names of those that failed. Blocks no thread.
pub(crate) async fn wait(asked: Asked) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (name, ticket) in asked {
        let left = (ticket.deadline() + GRACE).saturating_duration_since(Instant::now());
        let mut ended = pin!(Ended(ticket));
        let mut limit = pin!(Delay::new(left));
        let end = poll_fn(|cx| match ended.as_mut().poll(cx) {
            Poll::Pending => limit.as_mut().poll(cx).map(|()| End::Late),
            ended @ Poll::Ready(_) => ended,
        });
        if end.await == End::Late {
            failed.push(name);
        }
    }
    failed
}

/// The names of those that failed. Blocks the thread.
pub(crate) fn wait_blocking(asked: &Asked) -> Vec<&'static str> {
    asked.iter().filter(|(_, ticket)| ticket.wait() == End::Late).map(|(name, _)| *name).collect()
}

/// The books of all pushers of one telemetry.
#[derive(Debug, Default)]
pub(crate) struct AllPushBooks(Mutex<Vec<Arc<PushBooks>>>);

impl AllPushBooks {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<PushBooks>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open(&self, name: &'static str) -> Arc<PushBooks> {
        let books = Arc::new(PushBooks::new(name));
        self.lock().push(Arc::clone(&books));
        books
    }

    pub(crate) fn health(&self) -> Vec<PushHealth> {
        self.lock().iter().map(|books| books.health()).collect()
    }
}
