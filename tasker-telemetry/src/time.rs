//! The one clock of the library: when something happened, and how long it took.
//!
//! Wall-clock time says *when* and may jump; the tick counter says *how long* and may not. A [`Moment`] holds both, read
//! once, so that `started_at + execution_duration = completed_at` holds exactly, whatever NTP does in between.
//! Formatting of other people's times does not belong here.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

/// A point in time, as nanoseconds since the Unix epoch (UTC).
///
/// Printed and serialised as RFC 3339 in UTC with microseconds: `2026-03-01T12:00:00.000000Z`.
///
/// ```
/// use tasker_telemetry::Timestamp;
/// let t = Timestamp::from_unix_nanos(1_772_366_400_000_001_999);
/// assert_eq!(t.to_string(), "2026-03-01T12:00:00.000001Z");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The timestamp that lies `nanos` nanoseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_unix_nanos(self) -> u64 {
        self.0
    }

    /// The current time.
    #[must_use]
    pub fn now() -> Self {
        Self(unix_nanos())
    }

    /// The time that lies `nanos` before this one.
    pub(crate) const fn before(self, nanos: u64) -> Self {
        Self(self.0.saturating_sub(nanos))
    }

    /// The time from `earlier` to this one, zero when `earlier` is later.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = i64::try_from(self.0 / 1_000).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_microsecond(micros) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{}ns", self.0), // beyond the year 9999: still a fact, never a panic
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_nanos(time.0)
    }
}

/// An instant read once from both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Nanoseconds that only count up, from an unknown beginning.
    tick: u64,
    at: Timestamp,
}

/// How long one reading of the wall clock serves a thread, in nanoseconds. Between two readings the tick counter carries the
/// time on: its calibration is good to about 1e-5, so the error stays below ten microseconds.
const ANCHOR_LIFETIME: u64 = 1_000_000_000;

/// What the wall clock showed at a tick.
#[derive(Clone, Copy)]
struct Anchor {
    tick: u64,
    unix: u64,
}

thread_local! {
    // The beginning of all ticks: too long ago to serve.
    static ANCHOR: Cell<Anchor> = const { Cell::new(Anchor { tick: 0, unix: 0 }) };
}

/// Now, as the tick counter has it. The type that stands for it in `fastant` gives nothing but a `Duration`, which has to be
/// divided into seconds and put together again: 40 instructions of a step.
#[inline]
fn tick() -> u64 {
    static BEGINNING: OnceLock<fastant::Anchor> = OnceLock::new();
    fastant::Instant::now().as_unix_nanos(BEGINNING.get_or_init(fastant::Anchor::new))
}

impl Moment {
    /// Now. About one read of the time-stamp counter (12 ns) where the machine has a stable one.
    #[inline]
    pub(crate) fn now() -> Self {
        let tick = tick();
        let at = match ANCHOR.try_with(Cell::get) {
            Ok(anchor) if tick.wrapping_sub(anchor.tick) < ANCHOR_LIFETIME => anchor.unix + (tick - anchor.tick),
            _ => anchor_at(tick),
        };
        Self { tick, at: Timestamp(at) }
    }

    /// Now, dated from this moment: its wall-clock time is this one's plus the time that really passed. Use it for the end of
    /// whatever began at `self`.
    #[inline]
    pub(crate) fn later(self) -> Self {
        let tick = tick();
        Self { tick, at: Timestamp(self.at.0.saturating_add(tick.saturating_sub(self.tick))) }
    }

    /// The moment that lies `nanos` before this one.
    pub(crate) const fn before(self, nanos: u64) -> Self {
        Self { tick: self.tick.saturating_sub(nanos), at: self.at.before(nanos) }
    }

    /// When this was, by the wall clock.
    pub(crate) const fn timestamp(self) -> Timestamp {
        self.at
    }

    /// The moment `later`, dated from this one.
    pub(crate) const fn dated(self, later: Self) -> Self {
        Self { tick: later.tick, at: Timestamp(self.at.0.saturating_add(self.nanos_until(later))) }
    }

    /// The nanoseconds that passed until `later`, zero when it is not later.
    pub(crate) const fn nanos_until(self, later: Self) -> u64 {
        later.tick.saturating_sub(self.tick)
    }
}

#[cold]
fn anchor_at(now: u64) -> u64 {
    let (mut anchor, mut least) = (Anchor { tick: now, unix: unix_nanos() }, u64::MAX);
    // A thread that is interrupted between the two readings would be wrong by that long for a second: of a few pairs the closest
    // counts, and mostly the first is close.
    for _ in 0..8 {
        let before = tick();
        let unix = unix_nanos();
        let between = tick().saturating_sub(before);
        if between < least {
            (anchor, least) = (Anchor { tick: before + between / 2, unix }, between);
        }
        if between < 1_000 {
            break;
        }
    }
    // A thread that is being torn down has no anchor any more: read the clock each time then.
    let _ = ANCHOR.try_with(|kept| kept.set(anchor));
    anchor.unix.saturating_sub(anchor.tick.saturating_sub(now))
}

fn unix_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339_with_microseconds() {
        assert_eq!(Timestamp::from_unix_nanos(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::from_unix_nanos(1_500_000).to_string(), "1970-01-01T00:00:00.001500Z");
        assert!(!Timestamp::from_unix_nanos(u64::MAX).to_string().is_empty());
    }

    #[test]
    fn the_end_is_the_start_plus_the_duration() {
        let start = Moment::now();
        std::thread::sleep(Duration::from_millis(3));
        let end = Moment::now();
        let dated = start.dated(end);
        let took = start.nanos_until(end);
        assert!(took >= 3_000_000);
        assert_eq!(dated.timestamp().as_unix_nanos(), start.timestamp().as_unix_nanos() + took);
        assert_eq!(end.nanos_until(start), 0);
        let later = start.later();
        let took = start.nanos_until(later);
        assert_eq!(later.timestamp().as_unix_nanos(), start.timestamp().as_unix_nanos() + took);
    }

    #[test]
    fn agrees_with_the_system_clock() {
        for _ in 0..3 {
            let ours = Moment::now().timestamp().as_unix_nanos();
            let theirs = unix_nanos();
            assert!(theirs.abs_diff(ours) < 50_000_000, "{ours} and {theirs} differ");
        }
    }
}
