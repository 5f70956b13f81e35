//! An error as a returned value holds it: borrowed, not formatted.

use std::error::Error;
use std::fmt::{Debug, Display, Formatter, Result as FmtResult};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::traits::RetryAdvice;
use super::{class, known};

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
        guarded(|| match &self.text {
            ErrorText::Display(error, _) => error.to_string(),
            ErrorText::Debug(error) => format!("{error:?}"),
            _ if let Some(error) = self.error() => error.to_string(),
            _ => format!("an error without a text, of type `{}`", self.type_name),
        })
        .unwrap_or_else(|| format!("an error whose text panicked, of type `{}`", self.type_name))
    }

    /// The texts of its causes, the direct cause first.
    #[must_use]
    pub fn chain(&self) -> Vec<String> {
        guarded(|| self.causes().map(ToString::to_string).collect()).unwrap_or_default()
    }

    /// The path of its type, with the variant of an enum, `shop::PaymentError::Declined`; for what a box holds, that of the
    /// innermost cause that can be named.
    #[must_use]
    pub fn class(&self) -> String {
        guarded(|| match &self.text {
            // `Arc<dyn Error>` and `&dyn Error` are errors themselves, and boxes all the same.
            ErrorText::Error(error) if !class::is_box(self.type_name) => class::of_type(self.type_name, Some(error)),
            ErrorText::Error(_) | ErrorText::Boxed(_) | ErrorText::Borrowed(_) => self.boxed_class(),
            ErrorText::Display(_, debug) => class::of_type(self.type_name, *debug),
            ErrorText::Debug(debug) => class::of_type(self.type_name, Some(debug)),
            ErrorText::Opaque => class::of_type(self.type_name, None),
        })
        .unwrap_or_else(|| self.type_name.to_owned())
    }

    /// [`class`](Self::class) without the heap; `None` for what a box holds, an error when it does not fit or panicked.
    pub(crate) fn write_class(&self, out: &mut impl std::fmt::Write) -> Option<FmtResult> {
        let debug: Option<&dyn Debug> = match &self.text {
            ErrorText::Error(error) if !class::is_box(self.type_name) => Some(error),
            ErrorText::Error(_) | ErrorText::Boxed(_) | ErrorText::Borrowed(_) => return None,
            ErrorText::Display(_, debug) => *debug,
            ErrorText::Debug(debug) => Some(debug),
            ErrorText::Opaque => None,
        };
        Some(guarded(|| class::write_type(self.type_name, debug, out)).unwrap_or(Err(std::fmt::Error)))
    }

    /// The category of an error in a box whose type is known to say it; a type that is no box is asked when it is compiled.
    #[must_use]
    pub fn known_kind(&self) -> Option<&'static str> {
        match &self.text {
            ErrorText::Boxed(_) | ErrorText::Borrowed(_) => {}
            ErrorText::Error(_) if class::is_box(self.type_name) => {}
            _ => return None,
        }
        guarded(|| known::kind_in(self.known()))?
    }

    /// The category of the causes of an error whose own name says none.
    #[must_use]
    pub fn kind_of_causes(&self) -> Option<&'static str> {
        guarded(|| known::kind_in(self.causes()))?
    }

    /// What one of its causes, or what a box holds, advises about another attempt, where its type says nothing itself.
    #[must_use]
    pub fn known_advice(&self) -> Option<RetryAdvice> {
        guarded(|| known::advice_in(self.known()))?
    }

    /// What can be asked for its type, from the outside in.
    fn known(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        let outermost = match &self.text {
            ErrorText::Boxed(error) => Some(*error),
            _ => None,
        };
        outermost.into_iter().chain(self.causes())
    }

    fn boxed_class(&self) -> String {
        let causes: Vec<_> = self.causes().collect();
        let innermost = causes.into_iter().rev().find_map(class::of_cause);
        let outermost = || match &self.text {
            ErrorText::Boxed(error) => class::of_cause(*error),
            _ => self.error().and_then(|error| class::from_debug(&error)),
        };
        innermost.or_else(outermost).unwrap_or_else(|| self.type_name.to_owned())
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        // `**`: a reference to an error is an error, too, and its `source` lives no longer than the reference.
        std::iter::successors(self.error().and_then(Error::source), |error| (**error).source()).take(LONGEST_CHAIN)
    }

    /// The error itself, where it is one.
    fn error(&self) -> Option<&(dyn Error + '_)> {
        if let ErrorText::Boxed(error) = self.text {
            return Some(error);
        }
        match self.text {
            ErrorText::Error(error) | ErrorText::Borrowed(error) => Some(error),
            _ => None,
        }
    }
}

/// Runs the user's `Display`, `Debug` and `source`: a panic in one must not become the step's.
fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

impl Debug for ErrorText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Self::Error(_) => f.write_str("Error"),
            Self::Boxed(_) => f.write_str("Boxed"),
            Self::Borrowed(_) => f.write_str("Borrowed"),
            Self::Display(..) => f.write_str("Display"),
            Self::Debug(_) => f.write_str("Debug"),
            Self::Opaque => f.write_str("Opaque"),
        }
    }
}
