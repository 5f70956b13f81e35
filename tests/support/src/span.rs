//! A span as a receiver got it.

use std::collections::BTreeMap;
use std::fmt;

/// Attributes by name.
pub type Attributes = BTreeMap<String, Value>;

/// The value of an attribute, with its type on the wire.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of OTLP")]
pub enum Value {
    Empty,
    Str(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Attributes),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<bool> for Value {
    fn from(is: bool) -> Self {
        Self::Bool(is)
    }
}

/// The kind of a span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of OTLP")]
pub enum Kind {
    #[default]
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl Kind {
    /// By its name in upper case, with or without `SPAN_KIND_`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.trim_start_matches("SPAN_KIND_") {
            "UNSPECIFIED" => Self::Unspecified,
            "INTERNAL" => Self::Internal,
            "SERVER" => Self::Server,
            "CLIENT" => Self::Client,
            "PRODUCER" => Self::Producer,
            "CONSUMER" => Self::Consumer,
            _ => return None,
        })
    }
}

/// Whether it went well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of OTLP")]
pub enum StatusCode {
    #[default]
    Unset,
    Ok,
    Error,
}

impl StatusCode {
    /// By its name in upper case, with or without `STATUS_CODE_`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.trim_start_matches("STATUS_CODE_") {
            "UNSET" => Self::Unset,
            "OK" => Self::Ok,
            "ERROR" => Self::Error,
            _ => return None,
        })
    }
}

/// An event on a span.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "the names of OTLP")]
pub struct SpanEvent {
    pub name: String,
    /// Nanoseconds since 1970.
    pub time: u64,
    pub attributes: Attributes,
}

/// A link to another span.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "the names of OTLP")]
pub struct Link {
    pub trace_id: String,
    pub span_id: String,
    pub trace_state: String,
    pub attributes: Attributes,
}

/// A span, whoever received it. Ids are lower-case hexadecimal.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "the names of OTLP")]
pub struct ReceivedSpan {
    pub trace_id: String,
    pub span_id: String,
    /// Empty: none.
    pub parent_span_id: String,
    pub trace_state: String,
    pub flags: u32,
    pub name: String,
    pub kind: Kind,
    pub status: StatusCode,
    pub status_message: String,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    pub attributes: Attributes,
    pub events: Vec<SpanEvent>,
    pub links: Vec<Link>,
    /// Attributes, events and links that the sender says it left out.
    pub dropped: u32,
    pub resource: Attributes,
    pub scope_name: String,
    pub scope_version: String,
    /// What is wrong with the span as a message, such as an attribute given twice.
    pub problems: Vec<String>,
}

impl ReceivedSpan {
    /// The text of an attribute.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Value::Str(text)) => Some(text),
            _ => None,
        }
    }

    /// The whole number of an attribute.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.attributes.get(name) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// The events of that name.
    pub fn events_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a SpanEvent> {
        self.events.iter().filter(move |event| event.name == name)
    }
}

impl fmt::Display for ReceivedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "span {} \"{}\"", self.span_id, self.name)
    }
}

/// What a receiver tells of the spans it got. [`Fidelity::FULL`] is everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Fidelity {
    /// Whole numbers and floats are told apart.
    pub number_types: bool,
    /// A span that is received twice is shown twice.
    pub duplicates: bool,
    /// Resource attributes are told apart from the span's own.
    pub resource: bool,
    /// How exact times are, in nanoseconds.
    pub time_nanos: u64,
}

impl Fidelity {
    /// Nothing is lost.
    pub const FULL: Self = Self { number_types: true, duplicates: true, resource: true, time_nanos: 0 };
}
