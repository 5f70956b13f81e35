//! How the sink behaves.

use std::time::Duration;

/// What the sink does with requests; [`Sink::mode`](crate::Sink::mode) changes it at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Takes everything.
    Healthy,
    /// The port is closed, open connections are cut.
    Refuse,
    /// Reads requests and never answers.
    Hang,
    /// Accepts connections and never reads, so that a sender of large bodies is stuck in the middle of one.
    HangUnread,
    /// Answers with that status and keeps nothing.
    Status(u16),
    /// The same, with a `Retry-After` header as given: seconds or an HTTP date.
    RetryAfter(u16, String),
    /// Answers so many requests with a status, then is [`Mode::Healthy`].
    Recover {
        /// To so many requests.
        failures: u32,
        /// This status.
        status: u16,
    },
    /// Takes everything, and so long for each request.
    Slow(Duration),
    /// Cuts the connection in the middle of the request's body.
    CutRequest,
    /// Takes the request and cuts the connection in the middle of the answer's body.
    CutAnswer,
    /// Takes the request and answers 200 with a body that is no protobuf.
    Garbage,
    /// Takes the request and answers with bytes that are no HTTP.
    NotHttp,
    /// Answers 200 and says that it rejected some spans: the last ones of the request.
    PartialSuccess {
        /// How many; of a request with fewer, all.
        rejected: u32,
        /// Why.
        message: String,
    },
}
