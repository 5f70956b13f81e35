//! Recognises a failure in whatever a step or task returns: by the type in its signature, never by a name.
//!
//! The generated code makes a [`Probe`] of the body's type and asks it through method calls that fit a type more or less
//! closely; the compiler takes the closest (`probe.rs`). What an error says of itself is in `view.rs` and `class.rs`, what
//! it may say in addition in `traits.rs`. What follows from a failure is decided in `lifecycle`.

mod body;
mod class;
mod known;
mod probe;
mod returned;
mod traits;
mod view;

pub use self::body::{future, hint, once};
pub use self::probe::{Classify, FailureOf, Probe, Words, WordsOf, advice};
pub use self::returned::{Returned, ReturnedValue};
pub use self::traits::{ErrorKind, RetryAdvice, Retryable};
pub(crate) use self::view::{ErrorText, ErrorView};
