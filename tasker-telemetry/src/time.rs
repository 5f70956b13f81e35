//! The one clock of the library: when something happened, and how long it took.
//!
//! Wall-clock time says *when* and may jump; the tick counter says *how long* and may not. A [`Moment`] holds both, read
//! once, so that `started_at + execution_duration = completed_at` holds exactly, whatever NTP does in between.
//! Formatting of other people's times does not belong here.

mod counter;

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
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

    /// The time that lies `nanos` after this one.
    pub(crate) const fn after(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
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
    /// Nanoseconds that only count up, from an unknown beginning; what lies before that has come round.
    tick: u64,
    at: Timestamp,
}

/// How long one reading of the wall clock serves a thread, in nanoseconds. Between two readings the tick counter carries the
/// time on: its calibration is good to about 1e-5, so the error stays below ten microseconds.
const ANCHOR_LIFETIME: u64 = 1_000_000_000;

/// A wall clock that is set to a later time, which lies in 2262, shows this one: what is told of short steps has no place for more.
pub(crate) const LATEST: u64 = (1 << 63) - 10 * ANCHOR_LIFETIME;

/// What the wall clock showed at a tick.
#[derive(Clone, Copy)]
struct Anchor {
    tick: u64,
    unix: u64,
}

thread_local! {
    // A tick that is never reached: too far from all others to serve.
    static ANCHOR: Cell<Anchor> = const { Cell::new(Anchor { tick: 1 << 63, unix: 0 }) };
}

/// Now, in nanoseconds, as the tick counter has it.
///
/// `fastant` knows whether the counter can be relied upon, and how fast it counts; the counter itself is read here: the crate asks
/// the first again at each reading, and gives the time between two of its instants by way of floats, or of a `Duration`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the way of each step")]
fn tick() -> u64 {
    match (SCALE.load(Ordering::Relaxed), counter::read()) {
        (scale @ 1.., Some(cycles)) => scaled(cycles, scale),
        _ => first_tick(),
    }
}

/// Nanoseconds a cycle of the counter, times 2^32; 0 until that was asked for, and where there is none to be relied upon.
static SCALE: AtomicU64 = AtomicU64::new(0);

/// Once a process, or always where there is no counter: then the clock is what `fastant` has instead.
#[inline(never)]
fn first_tick() -> u64 {
    let Some(read) = counter::read().filter(|_| fastant::is_tsc_available()) else { return other_tick() };
    let scale = other_scale();
    SCALE.store(scale, Ordering::Relaxed);
    scaled(read, scale)
}

/// The same by way of the crate alone. In whole numbers: it has floats for that, which hold no nanoseconds since 1970.
fn other_tick() -> u64 {
    scaled(cycles(fastant::Instant::now()), other_scale())
}

/// Nanoseconds of one of its cycles, times 2^32: of the counter's if it reads that.
fn other_scale() -> u64 {
    static KNOWN: OnceLock<u64> = OnceLock::new();
    // Long enough for nine digits, and far from any overflow.
    const SPAN: Duration = Duration::from_secs(100);
    *KNOWN.get_or_init(|| {
        let cycles = fastant::Instant::ZERO.checked_add(SPAN).map_or(0, cycles);
        let scale = (SPAN.as_nanos() << 32).checked_div(u128::from(cycles));
        let scale = scale.and_then(|scale| u64::try_from(scale).ok()).filter(|scale| *scale > 0);
        scale.unwrap_or(1 << 32) // no clock that we could meet
    })
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "a tick is below 2^64 nanoseconds")]
const fn scaled(cycles: u64, scale: u64) -> u64 {
    ((cycles as u128 * scale as u128) >> 32) as u64
}

/// The number in an instant of `fastant`, which is what its derived `Hash` hashes, and shown in no other way.
#[inline]
fn cycles(instant: fastant::Instant) -> u64 {
    let mut number = Number(0);
    instant.hash(&mut number);
    number.0
}

/// Keeps the number that it is given to hash.
struct Number(u64);

impl Hasher for Number {
    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Moment {
    /// Now. About one read of the time-stamp counter (12 ns) where the machine has a stable one.
    #[inline]
    pub(crate) fn now() -> Self {
        let tick = tick();
        let at = match ANCHOR.try_with(Cell::get) {
            Ok(anchor) if tick.wrapping_sub(anchor.tick) < ANCHOR_LIFETIME => {
                anchor.unix + tick.wrapping_sub(anchor.tick)
            }
            _ => anchor_at(tick),
        };
        Self { tick, at: Timestamp(at) }
    }

    /// Now, dated from this moment: its wall-clock time is this one's plus the time that really passed. Use it for the end of
    /// whatever began at `self`.
    #[inline]
    pub(crate) fn later(self) -> Self {
        let tick = tick();
        Self { tick, at: self.at.after(passed(self.tick, tick)) }
    }

    /// The moment that lies `nanos` before this one.
    pub(crate) const fn before(self, nanos: u64) -> Self {
        Self { tick: self.tick.wrapping_sub(nanos), at: self.at.before(nanos) }
    }

    /// When this was, by the wall clock.
    pub(crate) const fn timestamp(self) -> Timestamp {
        self.at
    }

    /// The moment `later`, dated from this one.
    pub(crate) const fn dated(self, later: Self) -> Self {
        Self { tick: later.tick, at: self.at.after(self.nanos_until(later)) }
    }

    /// The nanoseconds that have passed since.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the way of each step")]
    pub(crate) fn nanos_since(self) -> u64 {
        passed(self.tick, tick())
    }

    /// The nanoseconds that passed until `later`, zero when it is not later.
    pub(crate) const fn nanos_until(self, later: Self) -> u64 {
        passed(self.tick, later.tick)
    }
}

/// The nanoseconds between two ticks, none when the second is not later.
#[inline]
const fn passed(from: u64, to: u64) -> u64 {
    let between = to.wrapping_sub(from).cast_signed();
    if between > 0 { between.cast_unsigned() } else { 0 }
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
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos).min(LATEST)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn prints_rfc_3339_with_microseconds() {
        assert_eq!(Timestamp::from_unix_nanos(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::from_unix_nanos(1_500_000).to_string(), "1970-01-01T00:00:00.001500Z");
        assert!(!Timestamp::from_unix_nanos(u64::MAX).to_string().is_empty());
    }

    #[test]
    fn ticks_are_as_long_as_those_of_the_clock_behind_them() {
        let (first, begun) = (fastant::Instant::now(), Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        let (last, passed) = (fastant::Instant::now(), nanos(begun.elapsed()));
        tick();
        let scale = other_scale();
        let ours = scaled(cycles(last), scale) - scaled(cycles(first), scale);
        let theirs = nanos(last.duration_since(first));
        assert!(ours.abs_diff(theirs) <= 2 + theirs / 1_000_000, "{ours} and {theirs} ns");
        assert!(ours.abs_diff(passed) < passed / 2, "{ours} and {passed} ns");
    }

    #[test]
    fn the_clock_without_a_counter_has_nanoseconds_too() {
        let (outer, first, inner) = (Moment::now(), other_tick(), Moment::now());
        std::thread::sleep(Duration::from_millis(20));
        let (least, passed, most) = (inner.nanos_since(), other_tick() - first, outer.nanos_since());
        assert!(least - least / 1_000 <= passed && passed <= most + most / 1_000, "{least}, {passed}, {most} ns");
        assert_eq!(scaled(u64::MAX >> 3, 1 << 32), u64::MAX >> 3, "one that counts nanoseconds keeps each");
    }

    #[test]
    fn what_lies_before_the_first_tick_is_as_long_ago_as_it_was() {
        const HOURS: u64 = 10_000 * 3_600_000_000_000; // longer than this machine has counted
        let now = Moment::now();
        let asked = now.before(HOURS);
        assert_eq!((asked.nanos_until(now), now.nanos_until(asked)), (HOURS, 0));
        assert!(asked.nanos_since() >= HOURS);
    }

    #[test]
    fn ticks_do_not_overflow() {
        assert_eq!(scaled(1 << 61, 1 << 32), 1 << 61, "a counter that counts nanoseconds since 1970");
        assert_eq!(scaled(3 << 60, 1 << 30), 3 << 58);
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
