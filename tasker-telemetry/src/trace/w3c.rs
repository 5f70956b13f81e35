//! W3C Trace Context: `traceparent` and `tracestate`, read leniently in what the standard leaves open and strictly in what it
//! fixes, written as version 00.

use std::fmt;
use std::str::FromStr;

use super::{SpanId, TraceId};

/// A span of any process, as `traceparent` and `tracestate` name it.
///
/// ```
/// use tasker_telemetry::trace::Remote;
/// let caller: Remote = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
/// assert!(caller.is_sampled());
/// assert_eq!(caller.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    trace: TraceId,
    span: SpanId,
    sampled: bool,
    state: Option<Box<str>>,
}

/// Why a text is no `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no traceparent, which is `00-<32 hexadecimal digits>-<16>-<2>`")]
pub struct InvalidTraceparent {
    text: String,
}

/// A `tracestate` may have 32 entries; what is longer than this is not worth carrying, and may be dropped as a whole.
const LONGEST_STATE: usize = 4096;

impl Remote {
    /// The span `span` of the trace `trace`.
    #[must_use]
    pub const fn new(trace: TraceId, span: SpanId, sampled: bool) -> Self {
        Self { trace, span, sampled, state: None }
    }

    /// With this `tracestate`; one that is empty, too long, or not printable ASCII is left out.
    #[must_use]
    pub fn with_tracestate(mut self, state: &str) -> Self {
        let state = state.trim();
        let valid = !state.is_empty()
            && state.len() <= LONGEST_STATE
            && state.bytes().all(|byte| matches!(byte, b' '..=b'~'))
            && state.split(',').all(|entry| entry.trim().is_empty() || entry.contains('='));
        // Blanks around entries, and empty entries, are allowed to come; whoever reads it next may know less.
        let entries = state.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let state = entries.collect::<Vec<_>>().join(",");
        self.state = (valid && !state.is_empty()).then(|| state.into());
        self
    }

    /// The trace.
    #[must_use]
    pub const fn trace_id(&self) -> TraceId {
        self.trace
    }

    /// The span.
    #[must_use]
    pub const fn span_id(&self) -> SpanId {
        self.span
    }

    /// Whether the trace is sampled.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The `tracestate`.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// The `traceparent`.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl FromStr for Remote {
    type Err = InvalidTraceparent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        parse(text.trim()).ok_or_else(|| InvalidTraceparent { text: text.chars().take(80).collect() })
    }
}

fn parse(text: &str) -> Option<Remote> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str| text.len() == 2 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !hex(version) || !hex(flags) || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some(Remote::new(trace.parse().ok()?, span.parse().ok()?, flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn reads_what_the_standard_has() {
        for (flags, sampled) in [("00", false), ("01", true), ("03", true), ("02", false)] {
            let remote: Remote = format!("00-{TRACE}-{SPAN}-{flags}").parse().unwrap();
            assert_eq!((remote.is_sampled(), remote.span_id().to_string().as_str()), (sampled, SPAN));
        }
        // A later version may have more parts.
        assert!(format!("01-{TRACE}-{SPAN}-01-more").parse::<Remote>().is_ok());
    }

    #[test]
    fn refuses_what_it_has_not() {
        let zeros = "0".repeat(32);
        for bad in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("0-{TRACE}-{SPAN}-1"),
        ] {
            assert!(bad.parse::<Remote>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hostile_tracestate_is_left_out() {
        let remote = Remote::new(TRACE.parse().unwrap(), SPAN.parse().unwrap(), true);
        let state = |text: &str| remote.clone().with_tracestate(text).tracestate().map(str::to_owned);
        assert_eq!(state("a=1,b=2").as_deref(), Some("a=1,b=2"));
        assert_eq!(state(" a=1 ,, b=2,").as_deref(), Some("a=1,b=2"));
        for bad in ["", ",", "a", "a=1\nb=2", "ä=1", &format!("a={}", "x".repeat(LONGEST_STATE))] {
            assert_eq!(state(bad), None, "{bad}");
        }
    }
}
