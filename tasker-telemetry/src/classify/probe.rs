//! Asks a type what it is, without specialisation: method calls that fit more or less closely.
//!
//! A call `(&&&&&&&probe).failure()` first tries the impl for `&&&&&&Probe<..>`, then the one with a reference less, down to
//! `Probe<..>`; the first whose bounds hold is taken. So the closest description comes first and "any value" last. The
//! bounds that hold are those visible in the annotated function: the signature decides, not what a generic type
//! turns out to be.

use std::any::type_name;
use std::error::Error;
use std::fmt::{Debug, Display, Formatter, Result as FmtResult};
use std::future::Future;
use std::marker::PhantomData;

use super::traits::{ErrorKind, RetryAdvice, Retryable};
use super::view::{ErrorText, ErrorView};

/// How to read a returned value: plain functions, so that it is `Copy`, small, and `Send` whatever it reads.
pub struct Classify<R> {
    failure: fn(&R) -> Option<ErrorView<'_>>,
    words: Words<R>,
}

impl<R> Classify<R> {
    /// With what `retry_if` advises.
    #[must_use]
    pub fn retry_if(mut self, advice: fn(&R) -> Option<RetryAdvice>) -> Self {
        self.words.retry = Some(ReadAdvice(advice));
        self
    }

    /// The error in the value; one `match`, nothing is formatted yet.
    #[inline]
    #[must_use]
    pub fn failure<'r>(&self, returned: &'r R) -> Option<ErrorView<'r>> {
        (self.failure)(returned)
    }

    /// What the error in the value advises about another attempt.
    #[inline]
    #[must_use]
    pub fn advice(&self, returned: &R) -> Option<RetryAdvice> {
        self.words.retry.and_then(|read| (read.0)(returned))
    }

    /// The category that the error in the value names itself.
    #[inline]
    #[must_use]
    pub fn kind(&self, returned: &R) -> Option<&'static str> {
        self.words.kind.and_then(|read| (read.0)(returned))
    }
}

// Derived, these would ask `R: Clone`.
impl<R> Clone for Classify<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Classify<R> {}

impl<R> Debug for Classify<R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        write!(f, "Classify<{}>", type_name::<R>())
    }
}

/// A returned value's type, to be asked. `L` says whether a boxed error in it is known to be `'static`.
pub struct Probe<R, L = Owned>(PhantomData<fn() -> (R, L)>);

impl<R, L> Clone for Probe<R, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, L> Copy for Probe<R, L> {}

impl<R, L> Debug for Probe<R, L> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        write!(f, "Probe<{}>", type_name::<R>())
    }
}

/// The signature shows no lifetime but `'static`.
#[derive(Debug)]
pub enum Owned {}

/// The signature shows a lifetime: a boxed error may borrow, so it cannot be asked for its type.
#[derive(Debug)]
pub enum Borrowed {}

impl<R> Probe<R> {
    /// Of any type, named once: each mention is another place for a mistake in it to be reported.
    pub const OF_TYPE: Self = Self(PhantomData);

    /// Of a type that can be named, behind as many references as [`FailureOf`] may need: those that a caller makes itself are
    /// constants of every annotated function.
    #[must_use]
    pub fn of_type<'a>() -> &'a &'a &'a &'a &'a &'a &'a &'a Self
    where
        R: 'a,
    {
        &&&&&&&&Self(PhantomData)
    }

    /// The same, with boxed errors that may borrow.
    #[must_use]
    pub fn of_borrowing_type<'a>() -> &'a &'a &'a &'a &'a &'a &'a &'a Probe<R, Borrowed>
    where
        R: 'a,
    {
        &&&&&&&&Probe(PhantomData)
    }

    /// Of what a finished future gives. A future, not a type: to name the type of an `impl Trait` one would have to write
    /// `_`, and the compiler would then make it whatever the first impl asks for.
    #[must_use]
    pub const fn future<F: Future<Output = R>>(_: &F) -> Self {
        Self(PhantomData)
    }

    /// Of what a closure gives.
    #[must_use]
    pub const fn call<F: FnOnce() -> R>(_: &F) -> Self {
        Self(PhantomData)
    }

    /// The same type, with boxed errors that may borrow.
    #[must_use]
    pub const fn borrowed(self) -> Probe<R, Borrowed> {
        Probe(PhantomData)
    }
}

/// Finds the error in a returned value.
pub trait FailureOf {
    /// The returned value.
    type Returned;

    /// The advice of an error that gives none, see [`Probe::ADVICE`]. Here, since each `use` is an item of every annotated function.
    const ADVICE: Option<ReadAdvice<Self::Returned>> = None;

    /// The category of one that names none.
    const KIND: Option<ReadKind<Self::Returned>> = None;

    /// How to find it, beside what the error says of itself.
    fn classify(&self, words: Words<Self::Returned>) -> Classify<Self::Returned>;
}

/// One level: which errors, and how such an error is viewed.
macro_rules! levels {
    ($($(#[$why:meta])* [$($reference:tt)*] $error:ident: $($bound:path)|+ => $view:expr;)*) => { $(
        $(#[$why])*
        impl<T, $error: $($bound +)+, L> FailureOf for $($reference)* Probe<Result<T, $error>, L> {
            type Returned = Result<T, $error>;

            fn classify(&self, words: Words<Self::Returned>) -> Classify<Self::Returned> {
                Classify {
                    failure: |returned| {
                        let view: fn(&$error) -> ErrorText<'_> = $view;
                        let error = returned.as_ref().err()?;
                        Some(ErrorView { text: view(error), type_name: type_name::<$error>() })
                    },
                    words,
                }
            }
        }
    )* };
}
levels! {
    [&&&&&&&] E: Error => |error| ErrorText::Error(error);
    // `anyhow::Error`, `eyre::Report` and the like.
    [&&&&&] E: AsRef<dyn Error> => |error| ErrorText::Boxed(error.as_ref());
    [&&&&] E: Display | Debug => |error| ErrorText::Display(error, Some(error));
    [&&&] E: Display => |error| ErrorText::Display(error, None);
    [&&] E: Debug => |error| ErrorText::Debug(error);
}

/// `Box<dyn Error>` and its `Send`, `Sync` forms, which are no `Error` themselves. Before the `AsRef` level: its `'static`
/// would be taken for granted here (traits cannot see lifetimes) and fail later, as a borrow that does not live long enough.
impl<T, D: DynError + ?Sized> FailureOf for &&&&&&Probe<Result<T, Box<D>>, Borrowed> {
    type Returned = Result<T, Box<D>>;

    fn classify(&self, words: Words<Self::Returned>) -> Classify<Self::Returned> {
        Classify {
            failure: |returned| {
                let error = returned.as_ref().err()?;
                Some(ErrorView { text: ErrorText::Borrowed(error.as_dyn()), type_name: type_name::<Box<D>>() })
            },
            words,
        }
    }
}

impl<T, D: StaticError + ?Sized> FailureOf for &&&&&&Probe<Result<T, Box<D>>, Owned> {
    type Returned = Result<T, Box<D>>;

    fn classify(&self, words: Words<Self::Returned>) -> Classify<Self::Returned> {
        Classify {
            failure: |returned| {
                let error = returned.as_ref().err()?;
                Some(ErrorView { text: ErrorText::Boxed(error.as_static()), type_name: type_name::<Box<D>>() })
            },
            words,
        }
    }
}

/// Any other error.
impl<T, E, L> FailureOf for &Probe<Result<T, E>, L> {
    type Returned = Result<T, E>;

    fn classify(&self, words: Words<Self::Returned>) -> Classify<Self::Returned> {
        Classify {
            failure: |returned| match returned {
                Ok(_) => None,
                Err(_) => Some(ErrorView { text: ErrorText::Opaque, type_name: type_name::<E>() }),
            },
            words,
        }
    }
}

/// Any other value: returning it is completing.
impl<R, L> FailureOf for Probe<R, L> {
    type Returned = R;

    fn classify(&self, words: Words<Self::Returned>) -> Classify<Self::Returned> {
        Classify { failure: |_| None, words }
    }
}

/// The trait objects of `Error`.
pub trait DynError {
    /// The object without its auto traits.
    fn as_dyn(&self) -> &(dyn Error + '_);
}

/// The trait objects of `Error` that borrow nothing.
pub trait StaticError {
    /// The object without its auto traits.
    fn as_static(&self) -> &(dyn Error + 'static);
}

impl DynError for dyn Error + '_ {
    fn as_dyn(&self) -> &(dyn Error + '_) {
        self
    }
}

impl DynError for dyn Error + Send + '_ {
    fn as_dyn(&self) -> &(dyn Error + '_) {
        self
    }
}

impl DynError for dyn Error + Send + Sync + '_ {
    fn as_dyn(&self) -> &(dyn Error + '_) {
        self
    }
}

impl StaticError for dyn Error {
    fn as_static(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl StaticError for dyn Error + Send {
    fn as_static(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl StaticError for dyn Error + Send + Sync {
    fn as_static(&self) -> &(dyn Error + 'static) {
        self
    }
}

/// Finds what an error says of itself.
pub trait WordsOf {
    /// The returned value.
    type Returned;

    /// What it says.
    fn words(&self) -> Words<Self::Returned>;
}

/// What an error says of itself. Asked for together, which is cheaper to compile
/// than two questions.
pub struct Words<R> {
    /// What it advises about another attempt; `None` when its type has no opinion.
    pub retry: Option<ReadAdvice<R>>,
    /// Its own category; `None` when its type has none.
    pub kind: Option<ReadKind<R>>,
}

/// What advises about another attempt. A type of its own: the compiler compares those faster than functions of any lifetime.
pub struct ReadAdvice<R>(fn(&R) -> Option<RetryAdvice>);

/// What names the category.
pub struct ReadKind<R>(fn(&R) -> Option<&'static str>);

impl<R> Clone for Words<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Words<R> {}

impl<R> Clone for ReadAdvice<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for ReadAdvice<R> {}

impl<R> Clone for ReadKind<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for ReadKind<R> {}

impl<R> Debug for ReadAdvice<R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        write!(f, "ReadAdvice<{}>", type_name::<R>())
    }
}

impl<R> Debug for ReadKind<R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        write!(f, "ReadKind<{}>", type_name::<R>())
    }
}

impl<R> Debug for Words<R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        write!(f, "Words<{}>", type_name::<R>())
    }
}

/// What an error of a type that can be named says of itself: an inherent constant, which is there only if its bound holds, hides
/// that of [`FailureOf`]. Cheaper to compile than [`WordsOf`], which needs a value to be asked.
impl<T, E: Retryable> Probe<Result<T, E>> {
    /// Its advice.
    pub const ADVICE: Option<ReadAdvice<Result<T, E>>> =
        Some(ReadAdvice(|returned| returned.as_ref().err().map(Retryable::retry_advice)));
}

impl<T, E: ErrorKind> Probe<Result<T, E>> {
    /// Its category.
    pub const KIND: Option<ReadKind<Result<T, E>>> =
        Some(ReadKind(|returned| returned.as_ref().err().map(ErrorKind::error_kind)));
}

impl<T, E: Retryable + ErrorKind, L> WordsOf for &&&Probe<Result<T, E>, L> {
    type Returned = Result<T, E>;

    fn words(&self) -> Words<Self::Returned> {
        Words { retry: Probe::<Self::Returned>::ADVICE, kind: Probe::<Self::Returned>::KIND }
    }
}

impl<T, E: Retryable, L> WordsOf for &&Probe<Result<T, E>, L> {
    type Returned = Result<T, E>;

    fn words(&self) -> Words<Self::Returned> {
        Words { retry: Probe::<Self::Returned>::ADVICE, kind: None }
    }
}

impl<T, E: ErrorKind, L> WordsOf for &Probe<Result<T, E>, L> {
    type Returned = Result<T, E>;

    fn words(&self) -> Words<Self::Returned> {
        Words { retry: None, kind: Probe::<Self::Returned>::KIND }
    }
}

impl<R, L> WordsOf for Probe<R, L> {
    type Returned = R;

    fn words(&self) -> Words<Self::Returned> {
        Words { retry: None, kind: None }
    }
}

/// A value that `retry_if` can judge. The trait exists for its error message; what it means is `Result`.
#[diagnostic::on_unimplemented(
    message = "`retry_if` judges an error, but this step returns `{Self}`, which is no `Result`",
    label = "nothing to judge"
)]
pub trait Fallible {
    /// The error.
    type Error;

    /// The error in the value.
    fn error(&self) -> Option<&Self::Error>;
}

impl<T, E> Fallible for Result<T, E> {
    type Error = E;

    fn error(&self) -> Option<&E> {
        self.as_ref().err()
    }
}

/// What `retry_if = path` advises.
pub fn advice<R: Fallible>(returned: &R, is_worth_a_retry: impl FnOnce(&R::Error) -> bool) -> Option<RetryAdvice> {
    let error = returned.error()?;
    Some(if is_worth_a_retry(error) { RetryAdvice::Retry } else { RetryAdvice::Permanent })
}

/// A [`Probe`]'s answers, with what `retry_if` says in place of the error's own advice: of a type that can be named, with the
/// function that makes its probe, or of a probe.
#[doc(hidden)]
#[macro_export]
macro_rules! __classify {
    (type $of:ident $type:ty $(, $retry_if:expr)?) => {{
        #[allow(unused_imports)]
        use $crate::__private::FailureOf as _;
        $crate::__private::Probe::<$type>::$of().classify($crate::__private::Words {
            retry: $crate::__private::Probe::<$type>::ADVICE,
            kind: $crate::__private::Probe::<$type>::KIND,
        }) $(.retry_if($retry_if))?
    }};
    ($probe:expr $(, $retry_if:expr)?) => {{
        #[allow(unused_imports)]
        use $crate::__private::{FailureOf as _, WordsOf as _};
        let probe = $probe;
        (&&&&&&&&probe).classify((&&&&probe).words()) $(.retry_if($retry_if))?
    }};
}
