//! The values of one series, as atomics: a counter, a gauge; for a histogram see `histogram.rs`. Recording is one or two atomic operations, no lock
//! and no allocation. Which series it is, and how it is printed, is not known here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::chain::Chain;
use super::shards::{Shards, Slot, Writer, add_float};
use super::short::ShortEnds;

/// What a [`Family`](super::family::Family) can be made of.
pub(super) trait Cell: Send + Sync + 'static {
    /// What all series of one metric have in common.
    type Shape: Send + Sync + 'static;

    /// A series in which nothing was recorded.
    fn empty(shape: &Arc<Self::Shape>) -> Self;
}

/// A cache line with one number.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU64);

/// One series of a counter: a whole number that only grows.
///
/// ```
/// use tasker_telemetry::metrics::Counter;
/// static ORDERS: Counter = Counter::new("doc_orders_total", "Orders taken.");
/// ORDERS.add(2);
/// ORDERS.inc();
/// assert_eq!(ORDERS.value(), 3);
/// ```
#[derive(Debug)]
pub struct CounterSeries {
    own: Shards<Line>,
    /// Each of these counts, too.
    short: Chain<Arc<ShortEnds>>,
}

impl CounterSeries {
    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds a number.
    #[inline]
    pub fn add(&self, number: u64) {
        self.own.write(Line::default, |line, writer| writer.add(&line.0, number));
    }

    /// The sum so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        let own = self.own.iter().map(|line| line.0.load(Ordering::Relaxed));
        own.chain(self.short.iter().map(|ends| ends.count())).fold(0, u64::wrapping_add)
    }

    /// From now on these ends count, too.
    pub(super) fn count_short(&self, ends: &Arc<ShortEnds>) {
        self.short.push(Arc::clone(ends));
    }
}

impl Cell for CounterSeries {
    type Shape = ();

    fn empty(_: &Arc<()>) -> Self {
        Self { own: Shards::new(Line::default), short: Chain::new() }
    }
}

/// One series of a gauge: a value that goes up and down. Whole numbers up to 2^53 are exact.
#[derive(Debug)]
#[repr(align(64))]
pub struct GaugeSeries(AtomicU64);

impl GaugeSeries {
    /// Sets the value.
    #[inline]
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        add_float(&self.0, 1.0);
    }

    /// Takes one away.
    #[inline]
    pub fn dec(&self) {
        add_float(&self.0, -1.0);
    }

    /// Adds a value, which may be negative.
    #[inline]
    pub fn add(&self, value: f64) {
        add_float(&self.0, value);
    }

    /// The value now.
    #[must_use]
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl Cell for GaugeSeries {
    type Shape = ();

    fn empty(_: &Arc<()>) -> Self {
        Self(AtomicU64::new(0))
    }
}

/// One series of a gauge that is only ever counted up and down: cheaper, since nobody sets it.
#[derive(Debug)]
pub(super) struct LevelSeries(Shards<Line>);

impl LevelSeries {
    #[inline]
    pub(super) fn inc(&self) {
        self.0.write(Line::default, |line, writer| writer.add(&line.0, 1));
    }

    #[inline]
    pub(super) fn dec(&self) {
        self.0.write(Line::default, |line, writer| writer.add(&line.0, 1_u64.wrapping_neg()));
    }

    /// Where the thread counts, if nobody else does.
    #[inline]
    pub(super) fn own(&self, slot: Slot) -> Option<OwnLevel<'_>> {
        self.0.own(slot).map(OwnLevel)
    }

    /// The value now. What one thread counts up another may count down, so only the sum of all copies means something.
    #[allow(clippy::cast_precision_loss, reason = "so many tasks run nowhere")]
    pub(super) fn value(&self) -> f64 {
        let sum = self.0.iter().map(|line| line.0.load(Ordering::Relaxed)).fold(0, u64::wrapping_add);
        sum.cast_signed() as f64
    }
}

/// What a thread alone counts of a level.
pub(super) struct OwnLevel<'a>(&'a Line);

impl OwnLevel<'_> {
    #[inline]
    pub(super) fn dec(&self) {
        Writer::Alone.add(&self.0.0, 1_u64.wrapping_neg());
    }
}

impl Cell for LevelSeries {
    type Shape = ();

    fn empty(_: &Arc<()>) -> Self {
        Self(Shards::new(Line::default))
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]
mod tests {
    use super::*;

    #[test]
    fn levels_come_back_whoever_counts() {
        let level = LevelSeries::empty(&Arc::default());
        std::thread::scope(|scope| {
            for _ in 0..30 {
                scope.spawn(|| (0..10_000).for_each(|_| level.inc()));
            }
        });
        assert_eq!(level.value(), 300_000.0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..100_001).for_each(|_| level.dec()));
            }
        });
        assert_eq!(level.value(), -3.0);
    }

    #[test]
    fn gauges_come_back() {
        let gauge = GaugeSeries::empty(&Arc::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        gauge.inc();
                        gauge.dec();
                    }
                });
            }
        });
        assert_eq!(gauge.value(), 0.0);
        gauge.set(4.5);
        gauge.add(-1.0);
        assert_eq!(gauge.value(), 3.5);
    }
}
