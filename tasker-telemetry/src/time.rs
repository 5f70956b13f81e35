//! The one clock of the library: when something happened, and how long it took.
//!
//! Wall-clock time says *when* and may jump; the tick counter says *how long* and may not. A [`Moment`] holds both, read
//! once, so that `started_at + execution_duration = completed_at` holds exactly, whatever NTP does in between.
//! Formatting of other people's times does not belong here.

use std::cell::Cell;
use std::fmt;
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
    tick: fastant::Instant,
    at: Timestamp,
}

/// How long one reading of the wall clock serves a thread. Between two readings the tick counter carries the time on:
/// its calibration is good to about 1e-5, so the error stays below ten microseconds.
const ANCHOR_LIFETIME: Duration = Duration::from_secs(1);

thread_local! {
    static ANCHOR: Cell<Option<(fastant::Instant, u64)>> = const { Cell::new(None) };
}

impl Moment {
    /// Now. About one read of the time-stamp counter (12 ns) where the machine has a stable one.
    pub(crate) fn now() -> Self {
        let tick = fastant::Instant::now();
        let anchored = ANCHOR.try_with(Cell::get).ok().flatten();
        let at = match anchored {
            Some((anchor, unix)) if tick >= anchor => {
                let since = tick.saturating_duration_since(anchor);
                if since < ANCHOR_LIFETIME { unix.saturating_add(nanos(since)) } else { anchor_at(tick) }
            }
            _ => anchor_at(tick),
        };
        Self { tick, at: Timestamp(at) }
    }

    /// When this was, by the wall clock.
    pub(crate) const fn timestamp(self) -> Timestamp {
        self.at
    }

    /// The moment `later`, dated from this one: the wall-clock time of the result is this one's plus the time that really
    /// passed. Use it for the end of whatever began at `self`.
    pub(crate) fn dated(self, later: Self) -> Self {
        Self { tick: later.tick, at: Timestamp(self.at.0.saturating_add(nanos(self.until(later)))) }
    }

    /// The time that passed until `later`, zero when it is not later.
    pub(crate) fn until(self, later: Self) -> Duration {
        later.tick.saturating_duration_since(self.tick)
    }
}

#[cold]
fn anchor_at(tick: fastant::Instant) -> u64 {
    let unix = unix_nanos();
    // A thread that is being torn down has no anchor any more: read the clock each time then.
    let _ = ANCHOR.try_with(|anchor| anchor.set(Some((tick, unix))));
    unix
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
        let took = start.until(end);
        assert!(took >= Duration::from_millis(3));
        assert_eq!(dated.timestamp().as_unix_nanos(), start.timestamp().as_unix_nanos() + nanos(took));
        assert_eq!(end.until(start), Duration::ZERO);
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
