//! Which tasks are traced: decided once a task, by its trace id alone, so that every process that has the id agrees.

use std::sync::atomic::{AtomicU64, Ordering};

use super::TraceId;

/// Which tasks are traced. Metrics and events are not sampled: they count every task.
///
/// ```
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::trace::Sampling;
///
/// let telemetry = Telemetry::builder()
///     .auto_subscribers(false)
///     .in_memory_spans(Default::default())
///     .sampling(Sampling::ratio(0.1).keep_failures())
///     .build()?;
/// # drop(telemetry);
/// # Ok::<(), tasker_telemetry::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Sampling {
    /// A trace is sampled when the last 56 bits of its id are at least this.
    threshold: u64,
    ratio: f64,
    parent_based: bool,
    keep_failures: bool,
}

const RANDOM_BITS: u32 = 56;

impl Sampling {
    /// Every task.
    pub const fn all() -> Self {
        Self { threshold: 0, ratio: 1.0, parent_based: true, keep_failures: false }
    }

    /// No task.
    pub const fn none() -> Self {
        Self { threshold: 1 << RANDOM_BITS, ratio: 0.0, parent_based: true, keep_failures: false }
    }

    /// This share of all tasks, from 0 to 1. What is not a number or below 0 counts as 0, what is above 1 as 1.
    ///
    /// The last 56 bits of the trace id decide, as W3C Trace Context Level 2 and OpenTelemetry's consistent sampling have it:
    /// those that a UUID's version 4 and 7 fill at random.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "between 0 and 2^56"
    )]
    pub fn ratio(share: f64) -> Self {
        let ratio = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        let all = 1_u64 << RANDOM_BITS;
        Self { threshold: all - (ratio * all as f64).round() as u64, ratio, ..Self::all() }
    }

    /// Also exports the tasks that fail, whole, whatever the ratio. Until a task has ended its finished spans wait in memory,
    /// at most [`Builder::undecided_spans`](crate::Builder::undecided_spans) of all tasks together; what is evicted is counted.
    pub const fn keep_failures(mut self) -> Self {
        self.keep_failures = true;
        self
    }

    /// Whether a task that goes on in its caller's trace ([`TraceParenting::Child`](super::TraceParenting::Child)) takes over
    /// the caller's decision. Default: yes.
    pub const fn parent_based(mut self, parent_based: bool) -> Self {
        self.parent_based = parent_based;
        self
    }

    /// The share of tasks that is traced, from 0 to 1.
    #[must_use]
    pub const fn share(&self) -> f64 {
        self.ratio
    }

    pub(crate) const fn keeps_failures(&self) -> bool {
        self.keep_failures
    }

    pub(crate) const fn is_parent_based(&self) -> bool {
        self.parent_based
    }

    /// The same with another share.
    pub(crate) fn with_share(self, share: f64) -> Self {
        let Self { threshold, ratio, .. } = Self::ratio(share);
        Self { threshold, ratio, ..self }
    }

    pub(crate) const fn keep_failures_if(mut self, keep: bool) -> Self {
        self.keep_failures = keep;
        self
    }

    /// Whether the trace is sampled; `parent`: the decision of the trace that it goes on in.
    pub(crate) fn samples(&self, trace: TraceId, parent: Option<bool>) -> bool {
        match parent {
            Some(sampled) if self.parent_based => sampled,
            _ => (trace.as_u128() & ((1 << RANDOM_BITS) - 1)) as u64 >= self.threshold,
        }
    }
}

/// Sampling that can change while tasks begin: one number, so that looking at it is one load.
#[derive(Debug)]
pub(super) struct LiveSampling(AtomicU64);

const PARENT_BASED: u64 = 1 << 62;
const KEEP_FAILURES: u64 = 1 << 63;

impl LiveSampling {
    pub(super) fn new(sampling: Sampling) -> Self {
        Self(AtomicU64::new(Self::packed(sampling)))
    }

    const fn packed(sampling: Sampling) -> u64 {
        sampling.threshold
            | if sampling.parent_based { PARENT_BASED } else { 0 }
            | if sampling.keep_failures { KEEP_FAILURES } else { 0 }
    }

    /// What holds now. Its share is a number for people, and good to 2^-52.
    #[allow(clippy::cast_precision_loss, reason = "between 0 and 2^56")]
    pub(super) fn get(&self) -> Sampling {
        let packed = self.0.load(Ordering::Relaxed);
        let threshold = packed & !(PARENT_BASED | KEEP_FAILURES);
        let ratio = 1.0 - threshold as f64 / (1_u64 << RANDOM_BITS) as f64;
        let (parent_based, keep_failures) = (packed & PARENT_BASED != 0, packed & KEEP_FAILURES != 0);
        Sampling { threshold, ratio, parent_based, keep_failures }
    }

    pub(super) fn change(&self, change: impl Fn(Sampling) -> Sampling) {
        let next = |packed| Some(Self::packed(change(Self(AtomicU64::new(packed)).get())));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

impl Default for Sampling {
    /// Every task.
    fn default() -> Self {
        Self::all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_56_bits_decide() {
        let half = Sampling::ratio(0.5);
        let trace = |low: u64| TraceId::from_bytes((u128::from(low) | 7 << 100).to_be_bytes());
        assert!(!half.samples(trace((1 << 55) - 1), None));
        assert!(half.samples(trace(1 << 55), None));
        assert!(half.samples(trace(0xff << 56 | 1 << 55), None), "the bits above say nothing");
        for low in [0, (1 << 56) - 1] {
            assert!(Sampling::all().samples(trace(low), None));
            assert!(!Sampling::none().samples(trace(low), None));
            assert!(!Sampling::ratio(f64::NAN).samples(trace(low), None));
            assert!(Sampling::ratio(2.0).samples(trace(low), None));
        }
    }

    #[test]
    fn it_can_change_and_is_the_same_packed() {
        for sampling in [
            Sampling::all(),
            Sampling::none().keep_failures(),
            Sampling::ratio(0.25).parent_based(false),
            Sampling::ratio(0.1),
        ] {
            let live = LiveSampling::new(Sampling::all());
            live.change(|_| sampling);
            let Sampling { threshold, ratio, parent_based, keep_failures } = live.get();
            assert_eq!((threshold, parent_based), (sampling.threshold, sampling.parent_based));
            assert_eq!(keep_failures, sampling.keep_failures);
            assert!((ratio - sampling.ratio).abs() < 1e-9);
        }
    }

    #[test]
    fn a_parents_decision_is_taken_over() {
        let trace = TraceId::from_bytes([255; 16]);
        assert!(!Sampling::all().samples(trace, Some(false)));
        assert!(Sampling::none().samples(trace, Some(true)));
        assert!(Sampling::all().parent_based(false).samples(trace, Some(false)));
    }
}
