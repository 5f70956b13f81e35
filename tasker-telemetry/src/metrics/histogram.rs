//! The values of one series of a histogram, as atomics: how often values fell into each bucket, and their sum.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::cell::Cell;
use super::chain::Chain;
use super::exemplar::{Exemplar, ExemplarSlot};
use super::shards::{Shards, Writer};
use super::short::ShortEnds;

/// So many buckets have their place in the shard itself: more than histograms have that are not told what to have.
const NEAR: usize = 14;

/// The buckets of a histogram.
#[derive(Debug, PartialEq)]
pub(super) struct Buckets {
    /// The upper bounds, ascending; the bucket for all above is not among them.
    pub(super) bounds: Box<[f64]>,
    /// The same for durations: the most nanoseconds that are not above each bound as seconds. Empty where a bound has none.
    nanos: Box<[u64]>,
    /// The bucket of a duration of nothing.
    of_none: usize,
    pub(super) exemplars: bool,
}

impl Buckets {
    pub(super) fn new(bounds: impl Into<Box<[f64]>>, exemplars: bool) -> Self {
        let bounds = bounds.into();
        let nanos = bounds.iter().map(|bound| most_nanos(*bound)).collect::<Option<_>>().unwrap_or_default();
        let of_none = bounds.iter().filter(|bound| **bound < 0.0).count();
        Self { bounds, nanos, of_none, exemplars }
    }

    /// The bucket of a duration: most are short, and found at once.
    #[inline]
    fn of_nanos(&self, nanos: u64) -> usize {
        if self.nanos.is_empty() {
            return self.of(seconds(nanos));
        }
        self.nanos.iter().position(|most| nanos <= *most).unwrap_or(self.nanos.len())
    }

    #[inline]
    fn of(&self, value: f64) -> usize {
        let bounds = &*self.bounds;
        if !value.is_finite() {
            return bounds.len();
        }
        // Comparing with all of a few bounds has no branch to mispredict.
        if bounds.len() <= 16 {
            bounds.iter().filter(|bound| **bound < value).count()
        } else {
            bounds.partition_point(|bound| *bound < value)
        }
    }
}

/// The most nanoseconds that, as seconds, are not above a bound.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a near number, from which it is looked for"
)]
pub(super) const fn most_nanos(bound: f64) -> Option<u64> {
    if !bound.is_finite() || bound < 0.0 {
        return None;
    }
    let mut nanos = (bound * 1e9) as u64;
    while seconds(nanos) > bound {
        nanos -= 1;
    }
    while nanos < u64::MAX && seconds(nanos + 1) <= bound {
        nanos += 1;
    }
    Some(nanos)
}

/// One series of a histogram: how often values fell into each bucket, and their sum.
#[derive(Debug)]
pub struct HistogramSeries {
    shape: Arc<Buckets>,
    shards: Shards<HistogramShard>,
    exemplars: Box<[ExemplarSlot]>,
    /// These count, too.
    short: Chain<Short>,
}

/// How the ends of short steps are values of a histogram.
#[derive(Debug)]
enum Short {
    /// By how long they took.
    Took(Arc<ShortEnds>),
    /// Each as a duration of nothing.
    Waited(Arc<ShortEnds>),
}

/// What some of the threads recorded.
#[derive(Debug)]
#[repr(align(64))]
struct HistogramShard {
    /// The counts: at least one more than there are bounds. Each value is counted once, so their sum is the number of values.
    near: [AtomicU64; NEAR],
    far: Box<[AtomicU64]>,
    /// Of what was given as a float.
    sum: AtomicU64,
    /// Of what was given as a duration: one addition instead of a loop, and exact.
    nanos: AtomicU64,
}

impl HistogramSeries {
    /// Records a value. One that is not a finite number counts as above all buckets and leaves the sum alone.
    #[inline]
    pub fn record(&self, value: f64) {
        self.count(self.shape.of(value), value);
    }

    /// Records a duration, in seconds. Cheaper than a float, and the sum is exact to the nanosecond.
    #[inline]
    pub fn record_duration(&self, duration: Duration) {
        self.record_nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    #[inline]
    pub(super) fn record_nanos(&self, nanos: u64) {
        self.count_nanos(self.shape.of_nanos(nanos), nanos);
    }

    /// Records a duration, and from time to time the trace that it belongs to; `trace` is asked for only then.
    #[inline]
    pub(super) fn record_traced(&self, nanos: u64, at_unix_nanos: u64, trace: impl FnOnce() -> Option<u128>) {
        let bucket = self.shape.of_nanos(nanos);
        self.count_nanos(bucket, nanos);
        if let Some(slot) = self.exemplars.get(bucket)
            && slot.is_due(at_unix_nanos)
            && let Some(trace) = trace()
        {
            slot.keep(Exemplar { trace, value: seconds(nanos), at_unix_nanos });
        }
    }

    /// Keeps the trace of a duration that was recorded elsewhere, if it is time to. Says from when on it will be again.
    pub(super) fn keep_trace(&self, nanos: u64, at_unix_nanos: u64, trace: u128) -> u64 {
        let Some(slot) = self.exemplars.get(self.shape.of_nanos(nanos)) else { return u64::MAX };
        if slot.is_due(at_unix_nanos) {
            slot.keep(Exemplar { trace, value: seconds(nanos), at_unix_nanos });
        }
        slot.due()
    }

    /// How many values were recorded.
    #[must_use]
    pub fn count_total(&self) -> u64 {
        self.counts().fold(0, u64::wrapping_add)
    }

    /// The sum of the values.
    #[must_use]
    pub fn sum(&self) -> f64 {
        let floats: f64 = self.shards.iter().map(|shard| f64::from_bits(shard.sum.load(Ordering::Relaxed))).sum();
        let own = self.shards.iter().map(|shard| shard.nanos.load(Ordering::Relaxed));
        let short = self.short.iter().map(|short| match short {
            Short::Took(ends) => ends.nanos(),
            Short::Waited(_) => 0,
        });
        floats + seconds(own.chain(short).fold(0, u64::wrapping_add))
    }

    /// The upper bounds of the buckets; above the last is one more.
    #[must_use]
    pub fn bounds(&self) -> &[f64] {
        &self.shape.bounds
    }

    /// How many values fell into each bucket alone, the last being the one above all bounds.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        (0..=self.shape.bounds.len()).map(|bucket| self.count_of(bucket))
    }

    fn count_of(&self, bucket: usize) -> u64 {
        let own = self.shards.iter().filter_map(|shard| shard.bucket(bucket));
        let short = self.short.iter().map(|short| match short {
            Short::Took(ends) => ends.count_of(bucket),
            Short::Waited(ends) if bucket == self.shape.of_none => ends.count(),
            Short::Waited(_) => 0,
        });
        own.map(|count| count.load(Ordering::Relaxed)).chain(short).fold(0, u64::wrapping_add)
    }

    /// From now on these ends are among its values, by how long they took. Its buckets are those of [`ShortEnds`].
    pub(super) fn count_short(&self, ends: &Arc<ShortEnds>) {
        self.short.push(Short::Took(Arc::clone(ends)));
    }

    /// From now on each of these ends is a duration of nothing among its values.
    pub(super) fn count_short_as_nothing(&self, ends: &Arc<ShortEnds>) {
        self.short.push(Short::Waited(Arc::clone(ends)));
    }

    /// What was kept for a bucket.
    pub(super) fn exemplar(&self, bucket: usize) -> Option<Exemplar> {
        self.exemplars.get(bucket)?.read()
    }

    #[inline]
    fn count(&self, bucket: usize, value: f64) {
        self.write(|shard, writer| {
            shard.count(bucket, writer);
            if value.is_finite() {
                writer.add_float(&shard.sum, value);
            }
        });
    }

    #[inline]
    fn count_nanos(&self, bucket: usize, nanos: u64) {
        self.write(move |shard, writer| {
            shard.count(bucket, writer);
            writer.add(&shard.nanos, nanos);
        });
    }

    #[inline]
    fn write(&self, write: impl Fn(&HistogramShard, Writer)) {
        self.shards.write(|| HistogramShard::new(self.shape.bounds.len() + 1), write);
    }
}

impl HistogramShard {
    fn new(buckets: usize) -> Self {
        let far = (NEAR..buckets).map(|_| AtomicU64::new(0)).collect();
        Self { near: [const { AtomicU64::new(0) }; NEAR], far, sum: AtomicU64::new(0), nanos: AtomicU64::new(0) }
    }

    #[inline]
    fn bucket(&self, bucket: usize) -> Option<&AtomicU64> {
        self.near.get(bucket).or_else(|| self.far.get(bucket - NEAR))
    }

    #[inline]
    fn count(&self, bucket: usize, writer: Writer) {
        if let Some(count) = self.bucket(bucket) {
            writer.add(count, 1);
        }
    }
}

impl Cell for HistogramSeries {
    type Shape = Buckets;

    fn empty(shape: &Arc<Buckets>) -> Self {
        let buckets = shape.bounds.len() + 1;
        Self {
            shape: Arc::clone(shape),
            shards: Shards::new(|| HistogramShard::new(buckets)),
            exemplars: (0..if shape.exemplars { buckets } else { 0 }).map(|_| ExemplarSlot::new()).collect(),
            short: Chain::new(),
        }
    }
}

/// Nanoseconds as seconds: the same number as an event's `execution_duration`.
#[allow(clippy::cast_precision_loss, reason = "exact up to 104 days, and then to the microsecond")]
const fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]
mod tests {
    use super::*;

    fn histogram(bounds: &[f64]) -> HistogramSeries {
        HistogramSeries::empty(&Arc::new(Buckets::new(bounds, true)))
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let series = histogram(&[1.0, 2.0, 5.0]);
        for value in [0.0, -3.0, 1.0, 1.0001, 2.0, 5.0, 5.1, 1e300] {
            series.record(value);
        }
        assert_eq!(series.counts().collect::<Vec<_>>(), [3, 2, 1, 2]);
        assert_eq!(series.count_total(), 8);
    }

    #[test]
    fn durations_fall_into_the_buckets_that_their_seconds_do() {
        let bounds = [0.0, 1e-9, 0.000_5, 0.1, 0.3, 1.0, 7.7, 86_400.0, 1e9 + 0.1, 1e300];
        for buckets in [Buckets::new(bounds, false), Buckets::new(super::super::DEFAULT_BUCKETS, false)] {
            let near = |bound: f64| {
                let nanos = most_nanos(bound).unwrap();
                (0..3).flat_map(move |step| [nanos.saturating_sub(step), nanos.saturating_add(step)])
            };
            for nanos in buckets.bounds.iter().flat_map(|bound| near(*bound)).chain([0, 1, 17, u64::MAX]) {
                assert_eq!(buckets.of_nanos(nanos), buckets.of(seconds(nanos)), "{nanos}");
            }
            assert_eq!(buckets.of_none, buckets.of_nanos(0));
        }
        let below_zero = Buckets::new([-1.0, 2.0], false);
        assert_eq!((below_zero.of_nanos(0), below_zero.of_none), (1, 1));
    }

    #[test]
    fn many_bounds_are_searched_the_same_way() {
        let bounds: Vec<f64> = (1..=100).map(f64::from).collect();
        let series = histogram(&bounds);
        for value in 0..=101 {
            series.record(f64::from(value));
        }
        let counts: Vec<_> = series.counts().collect();
        assert_eq!((counts[0], counts[1], counts[99], counts[100]), (2, 1, 1, 1));
    }

    #[test]
    fn what_is_not_finite_is_counted_and_not_summed() {
        let series = histogram(&[1.0]);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5] {
            series.record(value);
        }
        assert_eq!((series.counts().collect::<Vec<_>>(), series.sum()), (vec![1, 3], 0.5));
    }

    #[test]
    fn exemplars_stay_in_their_bucket() {
        let series = histogram(&[1.0, 2.0]);
        series.record_traced(1_500_000_000, 7, || Some(0xabc));
        series.record_traced(1_600_000_000, 8, || Some(0xdef));
        assert_eq!(series.exemplar(0), None);
        assert_eq!(series.exemplar(1), Some(Exemplar { trace: 0xabc, value: 1.5, at_unix_nanos: 7 }));
        series.record_traced(1_700_000_000, 8_000_000_000, || Some(0xdef));
        assert_eq!(series.exemplar(1).map(|kept| kept.trace), Some(0xdef));
    }
}
