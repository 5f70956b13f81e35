//! The work as a step of ours.
//!
//! There are no spans yet: what is measured is what the life cycle and the metrics cost. When there are, only [`Ours`] changes:
//! it installs them with a [`CountingExporter`](super::exporter::CountingExporter), and tells what was dropped.

use tasker_telemetry::prelude::*;
use tasker_telemetry::{BuildError, Telemetry};

use super::work::work;
use crate::work::Refused;

/// What runs under it.
#[derive(Debug)]
pub struct Ours(Telemetry);

impl Ours {
    /// Everything on.
    ///
    /// # Errors
    /// When the telemetry cannot be built.
    pub fn everything() -> Result<Self, BuildError> {
        Telemetry::builder().auto_subscribers(false).build().map(Self)
    }

    /// So many calls of [`step()`] in one task.
    pub async fn task<F: Future<Output = u64>>(&self, calls: F) -> u64 {
        self.0.scope(task(calls)).await
    }

    /// Waits until everything is exported.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn flush(&self) {
        self.0.flush_blocking().expect("nothing is quicker than an exporter that does nothing");
    }

    /// How many spans of the steps were lost.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.health().dropped()
    }
}

/// `#[step]`.
///
/// # Errors
/// As [`work`].
#[step(name = "charge")]
pub async fn step<const AWAITS: usize>(id: u64, name: &str) -> Result<u64, Refused> {
    work::<AWAITS>(id, name).await
}

#[task(name = "task")]
async fn task<F: Future<Output = u64>>(calls: F) -> u64 {
    calls.await
}
