//! When a subscriber's thread looks at the clock.

use std::time::Duration;

use fastant::Instant;

/// At each call, but where calls take less time than looking is worth, at every
/// [`FEW`]th. A call that hangs after short ones is then said to have taken what those took, too; no call is that comes
/// after [`FEW`] long ones.
#[derive(Debug)]
pub(super) struct Watch {
    last: Instant,
    /// How many calls begin between two looks.
    every: u32,
    /// How many of them are left; none since the thread rested.
    left: Option<u32>,
}

const FEW: u32 = 16;
const SHORT: Duration = Duration::from_micros(1);

impl Default for Watch {
    fn default() -> Self {
        Self { last: Instant::ZERO, every: 1, left: None }
    }
}

impl Watch {
    #[inline]
    pub(super) fn look(&mut self, clock: impl FnOnce() -> Instant) -> Option<Instant> {
        match self.left {
            Some(left @ 1..) => {
                self.left = Some(left - 1);
                None
            }
            left => Some(self.look_at(clock(), left.is_some())),
        }
    }

    fn look_at(&mut self, now: Instant, goes_on: bool) -> Instant {
        if goes_on {
            self.every = if now.saturating_duration_since(self.last) < SHORT * self.every { FEW } else { 1 };
        }
        (self.last, self.left) = (now, Some(self.every - 1));
        now
    }

    pub(super) const fn rest(&mut self) {
        self.left = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_looked_at_for_each_call_unless_they_are_short() {
        let (mut watch, mut now) = (Watch::default(), Instant::ZERO + Duration::from_secs(1));
        let mut looks = |watch: &mut Watch, calls: u32, each: Duration| {
            let look = |_: &u32| {
                now += each;
                watch.look(|| now).is_some()
            };
            (0..calls).filter(look).count()
        };
        let (short, long) = (Duration::from_nanos(200), Duration::from_micros(5));
        assert_eq!(looks(&mut watch, 100, long), 100);
        assert_eq!(looks(&mut watch, 10 * FEW, short), 10);
        assert_eq!(looks(&mut watch, FEW, short), 1);
        watch.rest();
        assert_eq!(looks(&mut watch, 1, short), 1, "whatever went before");
        assert_eq!(looks(&mut watch, FEW - 1, long), 0, "the first that take long");
        assert_eq!(looks(&mut watch, 100, long), 100);
    }
}
