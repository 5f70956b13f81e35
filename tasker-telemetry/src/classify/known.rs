//! Errors of other crates that say what they are by a kind, where their name says nothing: known by their type.
//!
//! A type is known where its crate is one of ours anyway, by a feature: nothing is pulled in to know it.

use std::error::Error;
use std::io;

use super::traits::{ErrorKind, RetryAdvice};

impl ErrorKind for io::Error {
    fn error_kind(&self) -> &'static str {
        let (mut kind, mut held) = (of_io(self.kind()), self.get_ref());
        // It hides what it holds from the chain of causes: only asked here can that be found.
        for _ in 0..MOST_HELD {
            let Some(error) = held.filter(|_| kind == "other") else { break };
            (kind, held) = match error.downcast_ref::<Self>() {
                Some(error) => (of_io(error.kind()), error.get_ref()),
                None => (of_others(error).unwrap_or(kind), None),
            };
        }
        kind
    }
}

/// So many errors of io within each other are asked.
const MOST_HELD: usize = 8;

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

#[cfg(feature = "_store")]
impl ErrorKind for sqlx::Error {
    fn error_kind(&self) -> &'static str {
        match self {
            Self::PoolTimedOut => "timeout",
            Self::Io(error) => match of_io(error.kind()) {
                "other" => "network",
                kind => kind,
            },
            Self::Tls(_) | Self::PoolClosed => "network",
            Self::RowNotFound => "not_found",
            Self::Database(error) => of_database(&**error),
            Self::Configuration(_)
            | Self::InvalidArgument(_)
            | Self::TypeNotFound { .. }
            | Self::ColumnIndexOutOfBounds { .. }
            | Self::ColumnNotFound(_)
            | Self::Encode(_) => "client_error",
            Self::Protocol(_)
            | Self::ColumnDecode { .. }
            | Self::Decode(_)
            | Self::WorkerCrashed
            | Self::BeginFailed
            | Self::Migrate(_) => "server_error",
            _ => "other",
        }
    }
}

/// What a database answered. The codes of `PostgreSQL` are those of the SQL standard, two letters for the class; those of `SQLite` are
/// numbers, whose low byte is the class.
#[cfg(feature = "_store")]
fn of_database(error: &dyn sqlx::error::DatabaseError) -> &'static str {
    use sqlx::error::ErrorKind as Kind;
    if !matches!(error.kind(), Kind::Other) {
        return "client_error"; // a constraint is violated
    }
    let code = error.code().unwrap_or_default();
    if let Ok(number) = code.parse::<u32>().map(|number| number & 0xFF)
        && code.len() < 5
    {
        return match number {
            5 | 6 => "timeout",                 // busy, locked: for longer than it was waited
            3 | 8 | 23 => "auth",               // permission, read-only, authorization
            1 | 18..=21 | 25 => "client_error", // the statement, a constraint, a type, a misuse, a range
            _ => "server_error",
        };
    }
    match (&*code, code.get(..2).unwrap_or_default()) {
        ("57014" | "55P03", _) => "timeout", // cancelled for its time limit; a lock that was not to be had
        ("42501", _) | (_, "28") => "auth",
        (_, "08") | ("57P01" | "57P02" | "57P03", _) => "network", // connection; the server is going or coming
        (_, "22" | "23" | "42" | "26" | "34" | "3D" | "3F") => "client_error",
        _ => "server_error",
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
    error.downcast_ref::<io::Error>().map(ErrorKind::error_kind).or_else(|| of_others(error))
}

fn of_others(error: &(dyn Error + 'static)) -> Option<&'static str> {
    macro_rules! first_of {
        ($($(#[$on:meta])* $known:ty),* $(,)?) => { $(
            $(#[$on])*
            if let Some(known) = error.downcast_ref::<$known>() {
                return Some(known.error_kind());
            }
        )* };
    }
    first_of!(
        serde_json::Error,
        #[cfg(feature = "tokio")]
        tokio::time::error::Elapsed,
        #[cfg(feature = "api")]
        crate::api::ApiError,
        #[cfg(feature = "api")]
        reqwest::Error,
        #[cfg(feature = "_store")]
        sqlx::Error,
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
