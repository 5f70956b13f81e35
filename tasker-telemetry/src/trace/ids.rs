//! The ids of traces and spans, as functions of a task's id and of its steps' numbers.
//!
//! Any process that knows a task's id knows its trace and its root span, so steps find their parent without asking anybody.
//! How a task's id gives the trace id stands in `id.rs`; the rules in `docs/adr/004-identities.md`.

use std::fmt;
use std::str::FromStr;

use crate::id::mix;

/// A W3C trace id: 16 bytes, printed as 32 lower-case hexadecimal digits.
///
/// ```
/// use tasker_telemetry::trace::TraceId;
/// let id: TraceId = "0190a5b67c8d7e9f8a0b1c2d3e4f5061".parse().unwrap();
/// assert_eq!(id.to_string(), "0190a5b67c8d7e9f8a0b1c2d3e4f5061");
/// assert!("0".repeat(32).parse::<TraceId>().is_err(), "all zeros is no trace");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId {
    // Two numbers, since that is how they are worked with; in this order they compare as the bytes do.
    high: u64,
    low: u64,
}

/// A W3C span id: 8 bytes, printed as 16 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(u64);

/// A text that is no trace id or span id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {digits} lower-case hexadecimal digits, or all zeros")]
pub struct InvalidId {
    digits: usize,
}

impl TraceId {
    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::of_u128(u128::from_be_bytes(bytes))
    }

    #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
    const fn of_u128(both: u128) -> Self {
        Self { high: (both >> 64) as u64, low: both as u64 }
    }

    /// Its bytes, in the order in which they are sent.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.as_u128().to_be_bytes()
    }

    /// The 16 bytes as one number.
    pub(crate) const fn as_u128(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }
}

const ROOT_SALT: u64 = 0x726f_6f74_5f73_7061;
const STEP_SALT: u64 = 0x7370_616e_5f69_6421;
const ATTEMPT_STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

impl SpanId {
    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }

    /// Its bytes, in the order in which they are sent.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    pub(crate) const fn as_u64(self) -> u64 {
        self.0
    }

    /// `None` for 0, which W3C forbids.
    pub(crate) const fn of_u64(id: u64) -> Option<Self> {
        if id == 0 { None } else { Some(Self(id)) }
    }

    const fn never_zero(id: u64) -> Self {
        Self(id + (id == 0) as u64)
    }

    /// The root span of a task's `attempt`th run, from 1. `own` is the trace id that the task's own id gives, also where the
    /// task goes on in its caller's trace.
    pub(crate) const fn of_root(own: TraceId, attempt: u32) -> Self {
        let TraceId { high, low } = own;
        Self::never_zero(mix(mix(high ^ ROOT_SALT) ^ low.wrapping_add((attempt as u64).wrapping_mul(ATTEMPT_STRIDE))))
    }

    /// One attempt of a step: a function of its task's nonce, the step's number and the attempt.
    pub(crate) const fn of_step(nonce: u64, number: u32, attempt: u32) -> Self {
        // One bijection: what differs in number or attempt differs in the sum, and so in the id.
        let place = number as u64 | (attempt as u64) << 32;
        Self::of_place(nonce.wrapping_add(place))
    }

    /// The same of a first attempt, with what those of its task [have in common](Self::first_attempts).
    #[inline]
    pub(crate) const fn of_first_attempt(first_attempts: u64, number: u32) -> Self {
        Self::of_place(first_attempts.wrapping_add(number as u64))
    }

    pub(crate) const fn first_attempts(nonce: u64) -> u64 {
        nonce.wrapping_add(1 << 32)
    }

    const fn of_place(place: u64) -> Self {
        Self::never_zero(mix(place ^ STEP_SALT))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.as_u128())
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl SpanId {
    /// As it is displayed, into a text that is there already. Without a formatter, eight digits at once.
    pub(crate) fn write(self, to: &mut String) {
        let [high, low] = [self.0 >> 32, self.0 & 0xffff_ffff].map(digits);
        let mut both = [0; 16];
        both[..8].copy_from_slice(&high);
        both[8..].copy_from_slice(&low);
        to.clear();
        to.push_str(std::str::from_utf8(&both).unwrap_or_default());
    }
}

/// The eight hexadecimal digits of a number of 32 bits.
const fn digits(number: u64) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // A digit's value to each byte, in three halvings.
    let halves = (number << 16 | number) & 0x0000_ffff_0000_ffff;
    let bytes = (halves << 8 | halves) & 0x00ff_00ff_00ff_00ff;
    let values = (bytes << 4 | bytes) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (values + 6 * EACH) >> 4 & EACH; // 1 from ten on
    (values + EACH * (b'0' as u64) + letters * ((b'a' - b'0') as u64 - 10)).to_be_bytes()
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

/// Whether the text is so many lower-case hexadecimal digits, as W3C has it: `from_str_radix` alone takes a sign, too.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl FromStr for TraceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let number = is_hex(text, 32).then(|| u128::from_str_radix(text, 16).ok()).flatten().filter(|id| *id != 0);
        number.map(Self::of_u128).ok_or(InvalidId { digits: 32 })
    }
}

impl FromStr for SpanId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let number = is_hex(text, 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.and_then(Self::of_u64).ok_or(InvalidId { digits: 16 })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn spans_of_many_steps_and_attempts_do_not_meet() {
        let mut seen = HashSet::new();
        for _ in 0..500 {
            let nonce = crate::id::nonce();
            for number in 0..40 {
                for attempt in 1..=5 {
                    assert!(seen.insert(SpanId::of_step(nonce, number, attempt)));
                }
                let first = SpanId::of_first_attempt(SpanId::first_attempts(nonce), number);
                assert_eq!(first, SpanId::of_step(nonce, number, 1));
            }
        }
    }

    #[test]
    fn a_task_that_runs_again_has_another_root() {
        let trace: TraceId = "0190a5b67c8d7e9f8a0b1c2d3e4f5061".parse().unwrap();
        assert_eq!(SpanId::of_root(trace, 1), SpanId::of_root(trace, 1));
        assert_ne!(SpanId::of_root(trace, 1), SpanId::of_root(trace, 2));
        // Every process of every version has to agree.
        let root = SpanId::of_root(trace, 1);
        let mut written = String::from("before");
        root.write(&mut written);
        assert_eq!((root.to_string().as_str(), written.as_str()), ("4b2b5e8c788da488", "4b2b5e8c788da488"));
    }

    #[test]
    fn an_id_is_written_as_it_is_displayed() {
        let mut written = String::new();
        for number in
            [1, 0x0123_4567_89ab_cdef, u64::MAX, 0xf, 0xa000_0000_0000_0009].into_iter().chain((0..200).map(mix))
        {
            let id = SpanId(number);
            id.write(&mut written);
            assert_eq!(written, id.to_string());
        }
    }

    #[test]
    fn only_w3c_texts_are_ids() {
        for bad in ["", "0190A5B67C8D7E9F", "+190a5b67c8d7e9f", "0000000000000000", "0190a5b67c8d7e9f0"] {
            assert!(bad.parse::<SpanId>().is_err(), "{bad}");
        }
        assert_eq!("00f067aa0ba902b7".parse::<SpanId>().unwrap().to_string(), "00f067aa0ba902b7");
    }
}
