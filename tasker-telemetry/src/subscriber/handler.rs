//! What a handler may return: `()`, `Result<(), E>` with any `E`, or a future of one of them.
//!
//! Generated code calls [`returned`] (inline subscribers: [`returned_inline`]) with what the handler returned, asks the
//! answer for the text of its errors, and turns both into a [`Dispatch`]:
//!
//! ```text
//! let returned = returned(Self::handle_task_failed(subscriber, payload));
//! let text = (&&&returned.errors()).text();
//! returned.dispatch(text)
//! ```
//! The text is chosen there, where `E` is a concrete type, because `E` has to have no trait: see [`Errors`].

use std::any::type_name;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::marker::PhantomData;

use super::{Dispatch, HandlerError};

/// The end of a handler: `()` or `Result<(), E>`.
pub trait Settled {
    /// `E`.
    type Error;

    /// The same as a `Result`.
    #[allow(clippy::missing_errors_doc, reason = "the error is the handler's own")]
    fn settle(self) -> Result<(), Self::Error>;
}

impl Settled for () {
    type Error = std::convert::Infallible;

    fn settle(self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<E> Settled for Result<(), E> {
    type Error = E;

    fn settle(self) -> Self {
        self
    }
}

/// How to read an error of type `E`.
pub type Text<E> = fn(&E) -> String;

/// What a handler may return. `How` is [`AtOnce`] or [`Awaited`], found by inference: it keeps the two impls apart.
#[diagnostic::on_unimplemented(
    message = "a handler returns `()`, `Result<(), E>`, or a future of one of them",
    label = "this handler returns `{Self}`"
)]
pub trait Lift<How> {
    /// The type of its errors; any.
    type Error;

    /// Lets it end.
    fn lift<'a>(self, text: Text<Self::Error>) -> Dispatch<'a>
    where
        Self: 'a;
}

/// The handler is not async.
#[derive(Debug)]
pub struct AtOnce;

/// The handler is async, or returns a future by other means.
#[derive(Debug)]
pub struct Awaited;

// Not recommended, both: otherwise rustc explains why the type is no future, or no `Settled`, instead of what it may be.
#[diagnostic::do_not_recommend]
impl<R: Settled> Lift<AtOnce> for R {
    type Error = R::Error;

    fn lift<'a>(self, text: Text<Self::Error>) -> Dispatch<'a>
    where
        Self: 'a,
    {
        Dispatch::Done(settled(self, text))
    }
}

#[diagnostic::do_not_recommend]
impl<F: Future<Output: Settled>> Lift<Awaited> for F {
    type Error = <F::Output as Settled>::Error;

    fn lift<'a>(self, text: Text<Self::Error>) -> Dispatch<'a>
    where
        Self: 'a,
    {
        Dispatch::Later(Box::pin(async move { settled(self.await, text) }))
    }
}

fn settled<R: Settled>(end: R, text: Text<R::Error>) -> Result<(), HandlerError> {
    end.settle().map_err(|error| HandlerError::new(text(&error)))
}

/// What a handler of an inline subscriber may return.
#[diagnostic::on_unimplemented(
    message = "a handler of an inline subscriber returns `()` or `Result<(), E>`, and is not async",
    label = "this handler returns `{Self}`",
    note = "it runs on the publishing thread, which cannot wait; without `inline` it runs behind a queue and may be async"
)]
pub trait Inlined: Lift<AtOnce> {}

#[diagnostic::do_not_recommend]
impl<R: Settled> Inlined for R {}

/// What a handler returned, with the way in which it ends.
#[derive(Debug)]
pub struct Returned<R, How> {
    value: R,
    how: PhantomData<How>,
}

/// Takes what a handler returned.
pub fn returned<R: Lift<How>, How>(value: R) -> Returned<R, How> {
    Returned { value, how: PhantomData }
}

/// Takes what a handler of an inline subscriber returned.
pub fn returned_inline<R: Inlined>(value: R) -> Returned<R, AtOnce> {
    Returned { value, how: PhantomData }
}

impl<R: Lift<How>, How> Returned<R, How> {
    /// Asks for the text of its errors.
    pub fn errors(&self) -> Errors<R::Error> {
        Errors(PhantomData)
    }

    /// Lets it end.
    pub fn dispatch<'a>(self, text: Text<R::Error>) -> Dispatch<'a>
    where
        R: 'a,
    {
        self.value.lift(text)
    }
}

/// The question how to read an `E`, answered by what `E` implements: the compiler takes the first of [`ErrorByDisplay`],
/// [`ErrorByDebug`], [`ErrorOpaque`] that holds, because method lookup tries `&&&Errors` before `&&Errors` before `&Errors`.
/// A bound would not do: `anyhow::Error` and `Box<dyn Error>` are no `Error`, and an error need be nothing at all.
#[derive(Debug)]
pub struct Errors<E>(PhantomData<fn() -> E>);

/// First choice: the error can be displayed.
pub trait ErrorByDisplay<E> {
    /// How to read it.
    fn text(&self) -> Text<E>;
}

impl<E: Display> ErrorByDisplay<E> for &&Errors<E> {
    fn text(&self) -> Text<E> {
        // `{:#}` is where anyhow and eyre write the causes too; others ignore the flag, or write what they think readable.
        |error| format!("{error:#}")
    }
}

/// Second choice: the error can be debugged.
pub trait ErrorByDebug<E> {
    /// How to read it.
    fn text(&self) -> Text<E>;
}

impl<E: Debug> ErrorByDebug<E> for &Errors<E> {
    fn text(&self) -> Text<E> {
        |error| format!("{error:?}")
    }
}

/// Last choice: nothing is known of the error but its type.
pub trait ErrorOpaque<E> {
    /// How to read it.
    fn text(&self) -> Text<E>;
}

impl<E> ErrorOpaque<E> for Errors<E> {
    fn text(&self) -> Text<E> {
        |_| type_name::<E>().to_owned()
    }
}
