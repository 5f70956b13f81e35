//! What a route answers when it is given a record. Who waits for it, and how long, is not decided here.

use std::future::Future;
use std::pin::Pin;
use std::{fmt, iter};

use crate::classify::ErrorView;

/// The answer of a handler.
pub enum Dispatch<'a> {
    /// The handler is not async, and has returned.
    Done(Result<(), HandlerError>),
    /// The handler is async: it runs when this is polled. Not `Send`, since handlers need not be.
    Later(Pin<Box<dyn Future<Output = Result<(), HandlerError>> + 'a>>),
    /// The handler was not called: it takes a payload type that the record does not hold, because the event was published
    /// by its name (`publish_event`).
    Untyped,
}

impl fmt::Debug for Dispatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(result) => f.debug_tuple("Done").field(result).finish(),
            Self::Later(_) => f.write_str("Later(..)"),
            Self::Untyped => f.write_str("Untyped"),
        }
    }
}

/// The text of an error that a handler returned. Only the text: the error itself may be of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerError {
    message: String,
}

impl HandlerError {
    /// The error's own text, and behind it those of its causes.
    pub(super) fn new(error: &ErrorView<'_>) -> Self {
        let texts: Vec<String> = iter::once(error.message()).chain(error.chain()).collect();
        Self { message: texts.join(": ") }
    }

    /// Of a text.
    #[cfg_attr(
        not(any(feature = "json-lines", feature = "_post", feature = "sentry", feature = "statsd")),
        allow(dead_code, reason = "only the library's own subscribers fail with a text")
    )]
    pub(crate) const fn of_text(message: String) -> Self {
        Self { message }
    }

    /// The text, not masked yet.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HandlerError {}
