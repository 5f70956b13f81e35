//! What an error may say of itself.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// An error that knows whether another attempt makes sense.
///
/// `#[step(retry_limit = 3)]` tries again after every error, unless the error implements this trait and says otherwise
/// (or `retry_if = path` does: it goes first).
///
/// ```
/// use std::time::Duration;
/// use tasker_telemetry::{Retryable, RetryAdvice};
///
/// enum ChargeError {
///     CardDeclined,
///     Busy { retry_after: Duration },
///     ConnectionLost,
/// }
///
/// impl Retryable for ChargeError {
///     fn retry_advice(&self) -> RetryAdvice {
///         match self {
///             Self::CardDeclined => RetryAdvice::Permanent,
///             Self::Busy { retry_after } => RetryAdvice::RetryAfter(*retry_after),
///             Self::ConnectionLost => RetryAdvice::Retry,
///         }
///     }
/// }
/// assert_eq!(ChargeError::CardDeclined.retry_advice(), RetryAdvice::Permanent);
/// ```
pub trait Retryable {
    /// Whether, and when, another attempt makes sense.
    fn retry_advice(&self) -> RetryAdvice;
}

/// What an error advises about another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryAdvice {
    /// None: it would fail the same way.
    Permanent,
    /// Another one, after the step's own backoff.
    Retry,
    /// Another one, after this time, at most 300 s.
    RetryAfter(Duration),
}

/// An error that knows its category, for the `error_type` of metrics and spans.
///
/// `std::io::Error`, `serde_json::Error`, with the feature `tokio` its `Elapsed`, with `api` `reqwest::Error` and with a store `sqlx::Error` have it: they are known by
/// their kind, not by their name, also in boxes and among the causes of an error whose own name says nothing.
///
/// The categories that the library itself uses are `timeout`, `network`, `not_found`, `auth`, `rate_limit`, `client_error`,
/// `server_error`, `runtime`, `other` and `unknown`. Others are allowed, but they become label values: keep them few, and
/// never put an id or a message there.
///
/// ```
/// use tasker_telemetry::ErrorKind;
///
/// enum ChargeError {
///     CardDeclined,
///     GatewayDown,
/// }
///
/// impl ErrorKind for ChargeError {
///     fn error_kind(&self) -> &'static str {
///         match self {
///             Self::CardDeclined => "client_error",
///             Self::GatewayDown => "server_error",
///         }
///     }
/// }
/// assert_eq!(ChargeError::GatewayDown.error_kind(), "server_error");
/// ```
pub trait ErrorKind {
    /// The category.
    fn error_kind(&self) -> &'static str;
}

/// What owns or borrows an error passes its words on.
macro_rules! pass_on {
    ($($owner:ty),*) => { $(
        impl<E: Retryable + ?Sized> Retryable for $owner {
            fn retry_advice(&self) -> RetryAdvice {
                (**self).retry_advice()
            }
        }

        impl<E: ErrorKind + ?Sized> ErrorKind for $owner {
            fn error_kind(&self) -> &'static str {
                (**self).error_kind()
            }
        }
    )* };
}
pass_on!(&E, Box<E>, Arc<E>, Rc<E>);
