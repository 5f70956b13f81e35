//! What a call fails with, and what that means for another attempt. The texts hold nothing of request or answer.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::error::Category;

use super::response::ApiResponse;
use crate::classify::{ErrorKind, RetryAdvice, Retryable};

/// Why a call gave nothing. What each means for another attempt: see the [module](super).
///
/// It says of itself ([`Retryable`], [`ErrorKind`]) what it is:
///
/// | error | `error_type` |
/// | --- | --- |
/// | 401, 403 | `auth` |
/// | 404 | `not_found` |
/// | 408, and `Timeout` | `timeout` |
/// | 429 | `rate_limit` |
/// | any other 4xx | `client_error` |
/// | 5xx | `server_error` |
/// | any other status | `other` |
/// | `Connect`, `Transport` | `network` |
/// | `TooLarge`, `Decode` | `server_error` |
/// | `Request` | `client_error` |
#[derive(Debug)]
#[non_exhaustive]
pub enum ApiError {
    /// 400, 401, 403, 404 or 422: it would be the same again.
    Rejected(StatusError),
    /// 429 or 503: later.
    Busy(StatusError),
    /// Any other status that is not 2xx.
    Status(StatusError),
    /// The answer's body is longer than the connection allows.
    TooLarge {
        /// How many bytes it allows.
        limit: usize,
    },
    /// There was no whole answer in time.
    Timeout {
        /// How long the connection waits.
        limit: Duration,
    },
    /// The service cannot be reached.
    Connect(reqwest::Error),
    /// The connection broke before the answer was whole.
    Transport(reqwest::Error),
    /// The answer is not what was expected.
    Decode {
        /// Where it stops being that, from 1; 0 where that is nowhere.
        line: usize,
        /// Likewise.
        column: usize,
        /// `true`: it is JSON, of another form.
        is_json: bool,
    },
    /// The request cannot be sent as it is: a mistake in the program.
    Request(String),
}

impl ApiError {
    pub(super) fn of_status(error: StatusError) -> Self {
        match error.status() {
            429 | 503 => Self::Busy(error),
            400 | 401 | 403 | 404 | 422 => Self::Rejected(error),
            _ => Self::Status(error),
        }
    }

    pub(super) fn of_client(error: reqwest::Error, limit: Duration) -> Self {
        // The URL may hold what must not be seen.
        let error = error.without_url();
        if error.is_timeout() {
            Self::Timeout { limit }
        } else if error.is_builder() {
            Self::Request(error.to_string())
        } else if error.is_connect() {
            Self::Connect(error)
        } else {
            Self::Transport(error)
        }
    }

    /// Where it is wrong and how, but not with what: the parser's own text shows parts of it.
    pub(super) fn of_json(error: &serde_json::Error) -> Self {
        Self::Decode { line: error.line(), column: error.column(), is_json: error.classify() == Category::Data }
    }

    /// The answer, for an error that is one.
    #[must_use]
    pub const fn as_status(&self) -> Option<&StatusError> {
        match self {
            Self::Rejected(error) | Self::Busy(error) | Self::Status(error) => Some(error),
            _ => None,
        }
    }

    /// The status that the service answered with, if it did.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.as_status().map(StatusError::status)
    }
}

impl Retryable for ApiError {
    fn retry_advice(&self) -> RetryAdvice {
        match self {
            // A request that cannot even be sent will be no other the next time.
            Self::Rejected(_) | Self::Request(_) => RetryAdvice::Permanent,
            Self::Busy(error) => error.retry_after().map_or(RetryAdvice::Retry, RetryAdvice::RetryAfter),
            _ => RetryAdvice::Retry,
        }
    }
}

impl ErrorKind for ApiError {
    fn error_kind(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::Connect(_) | Self::Transport(_) => "network",
            Self::TooLarge { .. } | Self::Decode { .. } => "server_error",
            Self::Request(_) => "client_error",
            Self::Rejected(error) | Self::Busy(error) | Self::Status(error) => kind_of(error.status()),
        }
    }
}

/// The category of a status.
pub(crate) const fn kind_of(status: u16) -> &'static str {
    match status {
        401 | 403 | 407 => "auth",
        404 | 410 => "not_found",
        408 | 504 => "timeout",
        429 => "rate_limit",
        400..=499 => "client_error",
        500..=599 => "server_error",
        _ => "other",
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(error) | Self::Busy(error) | Self::Status(error) => error.fmt(f),
            Self::TooLarge { limit } => write!(f, "the service answered with more than {limit} bytes"),
            Self::Timeout { limit } => {
                write!(f, "the service did not answer within {:.3} s", limit.as_secs_f64())
            }
            Self::Connect(_) => f.write_str("the service cannot be reached"),
            Self::Transport(_) => f.write_str("the connection broke before the answer was whole"),
            Self::Decode { line, column, is_json } => {
                let what = if *is_json { "JSON of another form" } else { "no whole JSON" };
                write!(f, "the service answered with {what} (line {line}, column {column})")
            }
            Self::Request(mistake) => write!(f, "the request cannot be sent: {mistake}"),
        }
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect(error) | Self::Transport(error) => Some(error),
            _ => None,
        }
    }
}

/// An answer that is an error. Its texts, `Debug` included, show the status alone.
pub struct StatusError {
    response: Box<ApiResponse>,
    retry_after: Option<Duration>,
}

impl StatusError {
    pub(super) fn new(response: ApiResponse, retry_after: Option<Duration>) -> Self {
        Self { response: Box::new(response), retry_after }
    }

    /// The status, `404`.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.response.status()
    }

    /// What `Retry-After` asked for, at most 300 s.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The answer itself; of a long body the first 64 KiB. For your eyes: it is not masked.
    #[must_use]
    pub const fn response(&self) -> &ApiResponse {
        &self.response
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        write!(f, "the service answered {status}")?;
        reason.map_or(Ok(()), |reason| write!(f, " {reason}"))
    }
}

impl fmt::Debug for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusError").field("status", &self.status()).finish_non_exhaustive()
    }
}
