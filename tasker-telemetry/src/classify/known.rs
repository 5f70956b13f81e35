//! Errors of other crates that say what they are by a kind, where their name says nothing: known by their type.
//!
//! A type is known where its crate is one of ours anyway, by a feature: nothing is pulled in to know it.

use std::error::Error;
use std::io;

use super::traits::{ErrorKind, RetryAdvice};

impl ErrorKind for io::Error {
    fn error_kind(&self) -> &'static str {
        of_io(self.kind())
    }
}

const fn of_io(kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind as Kind;
    match kind {
        Kind::TimedOut => "timeout",
        Kind::ConnectionRefused
        | Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::NotConnected
        | Kind::BrokenPipe
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::AddrInUse
        | Kind::AddrNotAvailable => "network",
        Kind::NotFound => "not_found",
        Kind::PermissionDenied => "auth",
        Kind::InvalidInput | Kind::InvalidData => "client_error",
        _ => "other",
    }
}

impl ErrorKind for serde_json::Error {
    fn error_kind(&self) -> &'static str {
        match self.io_error_kind() {
            Some(kind) => of_io(kind),
            // What was given is no JSON, or not of that form.
            None => "client_error",
        }
    }
}

#[cfg(feature = "tokio")]
impl ErrorKind for tokio::time::error::Elapsed {
    fn error_kind(&self) -> &'static str {
        "timeout"
    }
}

#[cfg(feature = "api")]
impl ErrorKind for reqwest::Error {
    fn error_kind(&self) -> &'static str {
        if self.is_timeout() {
            "timeout"
        } else if let Some(status) = self.status() {
            crate::api::kind_of(status.as_u16())
        } else if self.is_builder() {
            "client_error"
        } else if self.is_decode() {
            "server_error" // the answer is not what was expected
        } else if self.is_connect() || self.is_request() || self.is_body() || self.is_upgrade() {
            "network"
        } else {
            "other"
        }
    }
}

/// The category of the outermost error that is known and not merely `other`: what wraps an error knows better what it was about
/// (an answer that is no JSON is the service's mistake, whatever the parser says).
pub(super) fn kind_in<'a>(errors: impl Iterator<Item = &'a (dyn Error + 'static)>) -> Option<&'static str> {
    let mut found = None;
    for kind in errors.filter_map(kind_of) {
        if kind != "other" {
            return Some(kind);
        }
        found = Some(kind);
    }
    found
}

fn kind_of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    macro_rules! first_of {
        ($($(#[$on:meta])* $known:ty),* $(,)?) => { $(
            $(#[$on])*
            if let Some(known) = error.downcast_ref::<$known>() {
                return Some(known.error_kind());
            }
        )* };
    }
    first_of!(
        io::Error,
        serde_json::Error,
        #[cfg(feature = "tokio")]
        tokio::time::error::Elapsed,
        #[cfg(feature = "api")]
        crate::api::ApiError,
        #[cfg(feature = "api")]
        reqwest::Error,
    );
    None
}

/// What the outermost error that is known advises about another attempt.
#[cfg(feature = "api")]
pub(super) fn advice_in<'a>(mut errors: impl Iterator<Item = &'a (dyn Error + 'static)>) -> Option<RetryAdvice> {
    use super::traits::Retryable;
    errors.find_map(|error| error.downcast_ref::<crate::api::ApiError>().map(Retryable::retry_advice))
}

/// None is known.
#[cfg(not(feature = "api"))]
pub(super) fn advice_in<'a>(_: impl Iterator<Item = &'a (dyn Error + 'static)>) -> Option<RetryAdvice> {
    None
}
