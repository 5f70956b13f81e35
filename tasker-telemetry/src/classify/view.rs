//! An error as a returned value holds it: borrowed, not formatted.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::class;
use super::traits::ErrorKind as _;

/// The error in a returned value.
#[derive(Debug)]
pub struct ErrorView<'a> {
    /// What can be read of it.
    pub text: ErrorText<'a>,
    /// The path of its type, `shop::PaymentError`.
    pub type_name: &'static str,
}

/// What an error's type lets be read.
#[non_exhaustive]
pub enum ErrorText<'a> {
    /// An `Error`, whose type is known by name.
    Error(&'a (dyn Error + 'a)),
    /// What a box such as `Box<dyn Error>` or `anyhow::Error` holds; it can be asked for its type.
    Boxed(&'a (dyn Error + 'static)),
    /// What a box holds that may borrow: only its causes can be asked for their type.
    Borrowed(&'a (dyn Error + 'a)),
    /// A text, perhaps with the form for developers.
    Display(&'a dyn Display, Option<&'a dyn Debug>),
    /// Only the form for developers.
    Debug(&'a dyn Debug),
    /// Nothing but its type.
    Opaque,
}

/// A chain of causes is read no further: a cyclic one would have no end.
const LONGEST_CHAIN: usize = 64;

impl ErrorView<'_> {
    /// The error's own text.
    #[must_use]
    pub fn message(&self) -> String {
        self.guarded(|| match &self.text {
            ErrorText::Error(error) | ErrorText::Borrowed(error) => error.to_string(),
            ErrorText::Boxed(error) => error.to_string(),
            ErrorText::Display(error, _) => error.to_string(),
            ErrorText::Debug(error) => format!("{error:?}"),
            ErrorText::Opaque => format!("an error without a text, of type `{}`", self.type_name),
        })
        .unwrap_or_else(|| format!("an error whose text panicked, of type `{}`", self.type_name))
    }

    /// The texts of its causes, the direct cause first.
    #[must_use]
    pub fn chain(&self) -> Vec<String> {
        self.guarded(|| self.causes().map(ToString::to_string).collect()).unwrap_or_default()
    }

    /// The path of its type, with the variant of an enum, `shop::PaymentError::Declined`; for what a box holds, that of the
    /// innermost cause that can be named.
    #[must_use]
    pub fn class(&self) -> String {
        self.guarded(|| match &self.text {
            // `Arc<dyn Error>` and `&dyn Error` are errors themselves, and boxes all the same.
            ErrorText::Error(_) | ErrorText::Borrowed(_) if class::is_box(self.type_name) => self.boxed_class(),
            ErrorText::Boxed(_) | ErrorText::Borrowed(_) => self.boxed_class(),
            ErrorText::Error(error) => class::of_type(self.type_name, Some(error)),
            ErrorText::Display(_, debug) => class::of_type(self.type_name, *debug),
            ErrorText::Debug(debug) => class::of_type(self.type_name, Some(debug)),
            ErrorText::Opaque => class::of_type(self.type_name, None),
        })
        .unwrap_or_else(|| self.type_name.to_owned())
    }

    /// The category of an error in a box whose type is known to say it; a type that is no box is asked when it is compiled.
    #[must_use]
    pub fn known_kind(&self) -> Option<&'static str> {
        let outermost = match &self.text {
            ErrorText::Boxed(error) => Some(*error),
            ErrorText::Borrowed(_) => None,
            ErrorText::Error(_) if class::is_box(self.type_name) => None,
            _ => return None,
        };
        self.guarded(|| {
            let known = |error: &(dyn Error + 'static)| error.downcast_ref::<std::io::Error>().map(|error| error.error_kind());
            outermost.into_iter().chain(self.causes()).filter_map(known).last()
        })?
    }

    fn boxed_class(&self) -> String {
        let causes: Vec<_> = self.causes().collect();
        let innermost = causes.into_iter().rev().find_map(class::of_cause);
        let outermost = || match &self.text {
            ErrorText::Boxed(error) => class::of_cause(*error),
            ErrorText::Error(error) | ErrorText::Borrowed(error) => class::from_debug(error),
            _ => None,
        };
        innermost.or_else(outermost).unwrap_or_else(|| self.type_name.to_owned())
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        let first = match &self.text {
            ErrorText::Error(error) | ErrorText::Borrowed(error) => error.source(),
            ErrorText::Boxed(error) => error.source(),
            _ => None,
        };
        // `**`: a reference to an error is an error, too, and its `source` lives no longer than the reference.
        std::iter::successors(first, |error| (**error).source()).take(LONGEST_CHAIN)
    }

    /// Runs the user's `Display`, `Debug` and `source`: a panic in one must not become the step's.
    fn guarded<T>(&self, read: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(read)).ok()
    }
}

impl Debug for ErrorText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Error(error) | Self::Borrowed(error) => Debug::fmt(error, f),
            Self::Boxed(error) => Debug::fmt(error, f),
            Self::Display(error, _) => Display::fmt(error, f),
            Self::Debug(error) => Debug::fmt(error, f),
            Self::Opaque => f.write_str("Opaque"),
        }
    }
}
