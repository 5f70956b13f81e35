//! What the sink remembers of a request.

use std::time::Instant;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// When its head had been read.
    pub at: Instant,
    /// Which connection it came on, from 1.
    pub connection: u64,
    /// `POST`.
    pub method: String,
    /// `/v1/traces`.
    pub path: String,
    /// In their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body on the wire, without the framing of chunks.
    pub wire_bytes: usize,
    /// Bytes of the body after `gzip` was undone.
    pub body_bytes: usize,
    /// Spans in it; 0 when it was not read or could not be decoded.
    pub spans: usize,
    /// How many of them were kept.
    pub kept: usize,
    /// The status it was answered with; 0: none.
    pub status: u16,
    /// What was wrong with it.
    pub problem: Option<String>,
}

impl Request {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
