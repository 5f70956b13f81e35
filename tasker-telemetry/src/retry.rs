//! How long to wait between two attempts of a step.
//!
//! Whether there is another attempt is decided in `lifecycle`; what an error itself says (`Retryable`) in `classify`.

use std::fmt;
use std::time::Duration;

/// The waits between the attempts of a step, as `#[step(backoff = ..)]` takes it.
///
/// Usable in a constant:
/// ```
/// use std::time::Duration;
/// use tasker_telemetry::Backoff;
/// const GENTLE: Backoff = Backoff::exponential().base(Duration::from_millis(200)).max(Duration::from_secs(20));
/// assert_eq!(GENTLE.strategy(), "exponential");
/// assert_eq!(Backoff::fixed().delay_after(3), Duration::from_secs(1));
/// assert_eq!(Backoff::none().delay_after(1), Duration::ZERO);
/// ```
#[derive(Clone, Copy)]
pub struct Backoff {
    kind: Kind,
    base: Duration,
    max: Duration,
}

#[derive(Clone, Copy)]
enum Kind {
    None,
    Fixed,
    Exponential,
    Custom(fn(u32) -> Duration),
}

/// No wait is longer, whatever a strategy or a server asks for.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_mins(5);

impl Backoff {
    /// The next attempt follows at once. The default of `#[step]`: a wait is something to ask for.
    #[must_use]
    pub const fn none() -> Self {
        Self { kind: Kind::None, base: Duration::ZERO, max: LONGEST_WAIT }
    }

    /// The same wait before each attempt: 1 s, or [`base`](Self::base).
    #[must_use]
    pub const fn fixed() -> Self {
        Self { kind: Kind::Fixed, base: Duration::from_secs(1), max: LONGEST_WAIT }
    }

    /// 1 2 4 8 16 32 .. s, capped at 300 s; multiples of [`base`](Self::base) instead of 1 s. Each wait gets a random part
    /// of at most a tenth on top, so that tasks which failed together do not come back together.
    #[must_use]
    pub const fn exponential() -> Self {
        Self { kind: Kind::Exponential, base: Duration::from_secs(1), max: LONGEST_WAIT }
    }

    /// The wait is what `delay` answers for the number of the attempt that failed (from 1), capped at 300 s.
    #[must_use]
    pub const fn custom(delay: fn(u32) -> Duration) -> Self {
        Self { kind: Kind::Custom(delay), base: Duration::ZERO, max: LONGEST_WAIT }
    }

    /// The first wait (of `exponential`) or each wait (of `fixed`).
    #[must_use]
    pub const fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// The longest wait; above 300 s it has no effect.
    #[must_use]
    pub const fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// The strategy's name as events carry it: `none`, `fixed`, `exponential` or `custom`.
    #[must_use]
    pub const fn strategy(self) -> &'static str {
        match self.kind {
            Kind::None => "none",
            Kind::Fixed => "fixed",
            Kind::Exponential => "exponential",
            Kind::Custom(_) => "custom",
        }
    }

    /// The wait after attempt number `attempt` (from 1) failed, without the random part.
    #[must_use]
    pub fn delay_after(self, attempt: u32) -> Duration {
        let delay = match self.kind {
            Kind::None => Duration::ZERO,
            Kind::Fixed => self.base,
            Kind::Exponential => self.base.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))),
            Kind::Custom(delay) => delay(attempt),
        };
        delay.min(self.max).min(LONGEST_WAIT)
    }

    /// The wait as a life cycle uses it: with the random part of `exponential`.
    pub(crate) fn draw_after(self, attempt: u32) -> Duration {
        let delay = self.delay_after(attempt);
        match self.kind {
            Kind::Exponential => {
                let part = crate::id::nonce() % 1_000;
                (delay + delay.mul_f64(f64::from(u32::try_from(part).unwrap_or(0)) / 10_000.0)).min(LONGEST_WAIT)
            }
            _ => delay,
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backoff::{}(base {:?}, max {:?})", self.strategy(), self.base, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(backoff: Backoff) -> Vec<f64> {
        (1..=12).map(|attempt| backoff.delay_after(attempt).as_secs_f64()).collect()
    }

    #[test]
    fn exponential_doubles_up_to_its_cap() {
        assert_eq!(
            seconds(Backoff::exponential()),
            [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0, 300.0]
        );
        let small = Backoff::exponential().base(Duration::from_millis(100)).max(Duration::from_secs(1));
        assert_eq!(seconds(small)[..6], [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]);
        assert_eq!(Backoff::exponential().delay_after(u32::MAX), LONGEST_WAIT);
    }

    #[test]
    fn nothing_waits_longer_than_the_cap() {
        assert_eq!(Backoff::fixed().base(Duration::MAX).delay_after(1), LONGEST_WAIT);
        assert_eq!(Backoff::custom(|_| Duration::MAX).delay_after(1), LONGEST_WAIT);
        assert_eq!(Backoff::exponential().max(Duration::MAX).draw_after(60), LONGEST_WAIT);
    }

    #[test]
    fn the_random_part_is_at_most_a_tenth() {
        for _ in 0..1_000 {
            let drawn = Backoff::exponential().draw_after(3).as_secs_f64();
            assert!((4.0..=4.4).contains(&drawn), "{drawn}");
        }
        assert_eq!(Backoff::fixed().draw_after(3), Duration::from_secs(1));
    }
}
