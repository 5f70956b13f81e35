//! One trace that fell into a bucket, kept without a lock: a sequence lock over atomics. A writer that meets another leaves
//! it to that one; a reader that meets a writer goes without.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A trace that shows what a bucket holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    /// The 16 bytes of a W3C trace id.
    pub(super) trace: u128,
    pub(super) value: f64,
    pub(super) at_unix_nanos: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct ExemplarSlot {
    /// Odd while somebody writes; 0 until something was written.
    version: AtomicU32,
    high: AtomicU64,
    low: AtomicU64,
    value: AtomicU64,
    at: AtomicU64,
}

/// One a second is as much as a scrape can show, and spares the others the writing.
const INTERVAL_NANOS: u64 = 1_000_000_000;

impl ExemplarSlot {
    pub(super) const fn new() -> Self {
        Self {
            version: AtomicU32::new(0),
            high: AtomicU64::new(0),
            low: AtomicU64::new(0),
            value: AtomicU64::new(0),
            at: AtomicU64::new(0),
        }
    }

    /// Whether what is kept is old enough to be replaced.
    #[inline]
    pub(super) fn is_due(&self, now_unix_nanos: u64) -> bool {
        now_unix_nanos >= self.due()
    }

    /// From when on.
    #[inline]
    pub(super) fn due(&self) -> u64 {
        match self.at.load(Ordering::Relaxed) {
            0 => 0,
            kept => kept.saturating_add(INTERVAL_NANOS),
        }
    }

    pub(super) fn keep(&self, exemplar: Exemplar) {
        let version = self.version.load(Ordering::Relaxed);
        if version & 1 == 1 {
            return;
        }
        let begun =
            self.version.compare_exchange(version, version.wrapping_add(1), Ordering::Acquire, Ordering::Relaxed);
        if begun.is_err() {
            return;
        }
        // No part may be seen before the odd version.
        fence(Ordering::Release);
        #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
        let (high, low) = ((exemplar.trace >> 64) as u64, exemplar.trace as u64);
        self.high.store(high, Ordering::Relaxed);
        self.low.store(low, Ordering::Relaxed);
        self.value.store(exemplar.value.to_bits(), Ordering::Relaxed);
        self.at.store(exemplar.at_unix_nanos.max(1), Ordering::Relaxed);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    pub(super) fn read(&self) -> Option<Exemplar> {
        let version = self.version.load(Ordering::Acquire);
        if version == 0 || version & 1 == 1 {
            return None;
        }
        let trace =
            (u128::from(self.high.load(Ordering::Relaxed)) << 64) | u128::from(self.low.load(Ordering::Relaxed));
        let value = f64::from_bits(self.value.load(Ordering::Relaxed));
        let at_unix_nanos = self.at.load(Ordering::Relaxed);
        // All parts were read before the version is looked at again.
        fence(Ordering::Acquire);
        (self.version.load(Ordering::Relaxed) == version).then_some(Exemplar { trace, value, at_unix_nanos })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_never_sees_two_halves() {
        let slot = ExemplarSlot::new();
        assert_eq!(slot.read(), None);
        std::thread::scope(|scope| {
            for writer in 1..=2_u64 {
                let slot = &slot;
                scope.spawn(move || {
                    for round in 0..50_000_u64 {
                        let part = round * 2 + writer;
                        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
                        let value = part as f64;
                        slot.keep(Exemplar {
                            trace: (u128::from(part) << 64) | u128::from(part),
                            value,
                            at_unix_nanos: part,
                        });
                    }
                });
            }
            let mut seen = 0;
            for _ in 0..200_000 {
                if let Some(read) = slot.read() {
                    seen += 1;
                    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
                    let expected = read.at_unix_nanos as f64;
                    assert_eq!((read.trace >> 64, read.value), (u128::from(read.at_unix_nanos), expected));
                    assert_eq!(read.trace & u128::from(u64::MAX), u128::from(read.at_unix_nanos));
                }
            }
            assert!(seen > 0 || slot.read().is_none());
        });
        assert!(slot.read().is_some());
    }
}
