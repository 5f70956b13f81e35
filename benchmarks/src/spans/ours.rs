//! The work as a step of ours.
//!
//! Its exporter throws the spans away, as that of the peers does.

use tasker_telemetry::prelude::*;
use tasker_telemetry::trace::Sampling;
use tasker_telemetry::{BuildError, Builder, Telemetry};

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
        Self::builder().subscriber(Two).build().map(Self)
    }

    /// Without a subscriber.
    ///
    /// # Errors
    /// When the telemetry cannot be built.
    pub fn spans() -> Result<Self, BuildError> {
        Self::builder().build().map(Self)
    }

    /// Without a subscriber, and nothing sampled.
    ///
    /// # Errors
    /// When the telemetry cannot be built.
    pub fn sampled_out() -> Result<Self, BuildError> {
        Self::builder().sampling(Sampling::none()).build().map(Self)
    }

    fn builder() -> Builder {
        Telemetry::builder().auto_subscribers(false).__discard_spans()
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
        let health = self.0.health();
        health.dropped() + health.spans.map_or(0, |spans| spans.dropped())
    }
}

/// Takes two events a step.
#[derive(Debug, Subscriber)]
#[subscribe("step.started", "step.completed")]
#[subscriber(manual)]
struct Two;

#[allow(clippy::unused_self, reason = "the form of a handler")]
impl Two {
    fn handle_step_started(&self, _: &event::step::Started) {}

    fn handle_step_completed(&self, _: &event::step::Completed) {}
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
