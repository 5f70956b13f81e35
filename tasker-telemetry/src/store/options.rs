//! How a store behaves: sizes, time limits, what a failure to write means.

use std::fmt;
use std::time::Duration;

/// What happens when a failure cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Steps never wait for the store. What cannot be written waits in memory, is written when the store is back, and what does
    /// not fit is counted.
    #[default]
    Normal,
    /// A failed attempt waits until its failure is written, for at most [`StoreOptions::statement_timeout`] and not at all while the
    /// database is known to be away. If it is not written the step is not tried again: it ends with that attempt's error,
    /// `step.max_retries_reached` and the log say why, [`StoreHealth::not_written`](super::StoreHealth::not_written) counts it.
    ///
    /// The wait blocks the thread, also of an `async` step: its result cannot be put aside without asking more of its type.
    /// Building fails where the database cannot be reached.
    Strict,
}

/// The settings of a store.
///
/// ```
/// use std::time::Duration;
/// use tasker_telemetry::store::{Durability, StoreOptions};
///
/// let options = StoreOptions::new()
///     .max_connections(5)
///     .acquire_timeout(Duration::from_secs(3))
///     .durability(Durability::Normal)
///     .retention(Duration::from_hours(30 * 24));
/// # let _ = options;
/// ```
#[derive(Clone, Default)]
#[must_use = "settings do nothing by themselves"]
pub struct StoreOptions {
    /// What nobody has said is `None`: settings may say it, and then the defaults hold.
    pub(crate) url: Option<String>,
    pub(crate) max_connections: Option<u32>,
    pub(crate) acquire_timeout: Option<Duration>,
    pub(crate) statement_timeout: Option<Duration>,
    pub(crate) delivery_timeout: Option<Duration>,
    pub(crate) buffer_capacity: Option<usize>,
    pub(crate) durability: Option<Durability>,
    pub(crate) lease: Option<Duration>,
    pub(crate) retention: Option<Duration>,
    pub(crate) worker_id: Option<String>,
}

/// Everything decided.
#[derive(Debug, Clone)]
pub(crate) struct Decided {
    pub(super) max_connections: u32,
    pub(super) acquire_timeout: Duration,
    pub(super) statement_timeout: Duration,
    pub(super) delivery_timeout: Duration,
    pub(super) buffer_capacity: usize,
    pub(super) durability: Durability,
    pub(super) lease: Duration,
    pub(super) retention: Option<Duration>,
    pub(super) worker_id: Option<String>,
}

impl Durability {
    /// As settings write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Strict => "strict",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Normal, Self::Strict].into_iter().find(|durability| durability.name() == name)
    }
}

impl StoreOptions {
    /// The default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections there are at most, the writer's included; from 2 to 10,000. Default: 5.
    pub const fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// How long a query waits for a free connection, and a connection for the server. Default: 5 s.
    pub const fn acquire_timeout(mut self, limit: Duration) -> Self {
        self.acquire_timeout = Some(limit);
        self
    }

    /// How long one transaction or query may take; for `SQLite`, also how long it waits for a lock. What takes longer counts as
    /// failed and its connection is closed. Default: 5 s.
    pub const fn statement_timeout(mut self, limit: Duration) -> Self {
        self.statement_timeout = Some(limit);
        self
    }

    /// How long subscribers wait at most for an event to be written before they get it. Default: 1 s.
    pub const fn delivery_timeout(mut self, limit: Duration) -> Self {
        self.delivery_timeout = Some(limit);
        self
    }

    /// How many events may wait to be written; what is over is lost and counted. Default: 100,000, about 20 MB at most, taken
    /// only when needed; more where failures carry long texts (16 kB each at most).
    pub const fn buffer_capacity(mut self, events: usize) -> Self {
        self.buffer_capacity = Some(events);
        self
    }

    /// What happens when a failure cannot be written. Default: [`Durability::Normal`].
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// How long after its last sign of life a process counts as dead, so that others may claim its tasks. It gives a sign three
    /// times as often. Default: 30 s; choose it well above the difference of your machines' clocks.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Deletes tasks, with all that belongs to them, that ended longer ago than this; looked at once a minute, in batches.
    /// Default: nothing is deleted, which is what zero means, too.
    pub const fn retention(mut self, age: Duration) -> Self {
        self.retention = Some(age);
        self
    }

    /// The name of this process in the store; it must be its alone. Default: made of its host's and process's numbers, and luck.
    pub fn worker_id(mut self, name: impl Into<String>) -> Self {
        self.worker_id = Some(name.into());
        self
    }

    /// Of that database.
    pub(crate) fn at(mut self, url: String) -> Self {
        self.url = Some(url);
        self
    }

    /// The database and how it is used; `None`: there is none.
    pub(crate) fn decided(self) -> Option<(String, Decided)> {
        let url = self.url.filter(|url| !url.is_empty())?;
        let decided = Decided {
            // The pool has a place for each from the beginning.
            max_connections: self.max_connections.unwrap_or(5).min(10_000),
            acquire_timeout: self.acquire_timeout.unwrap_or(Duration::from_secs(5)),
            statement_timeout: self.statement_timeout.unwrap_or(Duration::from_secs(5)),
            delivery_timeout: self.delivery_timeout.unwrap_or(Duration::from_secs(1)),
            buffer_capacity: self.buffer_capacity.unwrap_or(100_000),
            durability: self.durability.unwrap_or_default(),
            // Signs of life are given three times as often: never without a pause.
            lease: self.lease.unwrap_or(Duration::from_secs(30)).max(Duration::from_millis(1)),
            retention: self.retention.filter(|age| !age.is_zero()),
            worker_id: self.worker_id.filter(|name| !name.is_empty()),
        };
        Some((url, decided))
    }
}

/// Never the address: it may hold a password.
impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("delivery_timeout", &self.delivery_timeout)
            .field("buffer_capacity", &self.buffer_capacity)
            .field("durability", &self.durability)
            .field("lease", &self.lease)
            .field("retention", &self.retention)
            .field("worker_id", &self.worker_id)
            .finish_non_exhaustive()
    }
}
