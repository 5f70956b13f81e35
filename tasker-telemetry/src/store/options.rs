//! How a store behaves: sizes, time limits, what a failure to write means.

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
#[derive(Debug, Clone)]
#[must_use = "settings do nothing by themselves"]
pub struct StoreOptions {
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

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            max_connections: 5,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
            delivery_timeout: Duration::from_secs(1),
            buffer_capacity: 100_000,
            durability: Durability::Normal,
            lease: Duration::from_secs(30),
            retention: None,
            worker_id: None,
        }
    }
}

impl StoreOptions {
    /// The default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections there are at most, the writer's included; at least 2. Default: 5.
    pub const fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// How long a query waits for a free connection, and a connection for the server. Default: 5 s.
    pub const fn acquire_timeout(mut self, limit: Duration) -> Self {
        self.acquire_timeout = limit;
        self
    }

    /// How long one transaction or query may take; for `SQLite`, also how long it waits for a lock. What takes longer counts as
    /// failed and its connection is closed. Default: 5 s.
    pub const fn statement_timeout(mut self, limit: Duration) -> Self {
        self.statement_timeout = limit;
        self
    }

    /// How long subscribers wait at most for an event to be written before they get it. Default: 1 s.
    pub const fn delivery_timeout(mut self, limit: Duration) -> Self {
        self.delivery_timeout = limit;
        self
    }

    /// How many events may wait to be written; what is over is lost and counted. Default: 100,000, about 20 MB at most, taken
    /// only when needed; more where failures carry long texts (16 kB each at most).
    pub const fn buffer_capacity(mut self, events: usize) -> Self {
        self.buffer_capacity = events;
        self
    }

    /// What happens when a failure cannot be written. Default: [`Durability::Normal`].
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long after its last sign of life a process counts as dead, so that others may claim its tasks. It gives a sign three
    /// times as often. Default: 30 s; choose it well above the difference of your machines' clocks.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Deletes tasks, with all that belongs to them, that ended longer ago than this; looked at once a minute, in batches.
    /// Default: nothing is deleted.
    pub const fn retention(mut self, age: Duration) -> Self {
        self.retention = Some(age);
        self
    }

    /// The name of this process in the store; it must be its alone. Default: made of its host's and process's numbers, and luck.
    pub fn worker_id(mut self, name: impl Into<String>) -> Self {
        self.worker_id = Some(name.into());
        self
    }
}
