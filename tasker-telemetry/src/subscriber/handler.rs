//! What a handler may return: `()`, `Result<(), E>` with any `E`, or a future of one of them.
//!
//! Generated code calls [`returned`] (inline subscribers: [`returned_inline`]) with what the handler returned, has the type
//! of its errors classified, and turns both into a [`Dispatch`]:
//!
//! ```text
//! let returned = returned(Self::handle_task_failed(subscriber, payload));
//! let classify = classify!(returned.probe().borrowed());
//! returned.dispatch(classify)
//! ```
//! The errors are classified there, where `E` is a concrete type, because `E` has to have no trait: see `classify`.

use std::convert::Infallible;
use std::fmt::{Debug, Formatter, Result as FmtResult};
use std::future::Future;

use super::{Dispatch, HandlerError};
use crate::classify::{Classify, Probe};

/// The end of a handler: `()` or `Result<(), E>`.
pub trait Settled {
    /// `E`.
    type Error;

    /// The same as a `Result`.
    #[allow(clippy::missing_errors_doc, reason = "the error is the handler's own")]
    fn settle(self) -> Result<(), Self::Error>;
}

impl Settled for () {
    type Error = Infallible;

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

/// How to read the errors of a handler.
type Errors<E> = Classify<Result<(), E>>;

/// What a handler may return. `How` is [`AtOnce`] or [`Awaited`], found by inference: it keeps the two impls apart.
#[diagnostic::on_unimplemented(
    message = "a handler returns `()`, `Result<(), E>`, or a future of one of them",
    label = "this handler returns `{Self}`"
)]
pub trait Lift<How> {
    /// The type of its errors; any.
    type Error;

    /// Lets it end.
    fn lift<'a>(self, errors: Errors<Self::Error>) -> Dispatch<'a>
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

    fn lift<'a>(self, errors: Errors<Self::Error>) -> Dispatch<'a>
    where
        Self: 'a,
    {
        Dispatch::Done(settled(self, errors))
    }
}

#[diagnostic::do_not_recommend]
impl<F: Future<Output: Settled>> Lift<Awaited> for F {
    type Error = <F::Output as Settled>::Error;

    fn lift<'a>(self, errors: Errors<Self::Error>) -> Dispatch<'a>
    where
        Self: 'a,
    {
        Dispatch::Later(Box::pin(async move { settled(self.await, errors) }))
    }
}

fn settled<R: Settled>(end: R, errors: Errors<R::Error>) -> Result<(), HandlerError> {
    let end = end.settle();
    errors.failure(&end).map_or(Ok(()), |error| Err(HandlerError::new(&error)))
}

/// How a handler of an inline subscriber may end. About `How` and not about what the handler returns, of which [`Lift`] has
/// said all there is to say.
#[diagnostic::on_unimplemented(
    message = "a handler of an inline subscriber cannot be async",
    label = "this handler returns a future",
    note = "it runs on the publishing thread, which does not wait; without `inline` it runs behind a queue and may be async"
)]
pub trait Inlined {}

#[diagnostic::do_not_recommend]
impl Inlined for AtOnce {}

/// What a handler returned, and how to let it end. Its methods ask nothing of `R`: what is wrong with it was said by
/// [`returned`] already.
pub struct Returned<'a, R, E> {
    value: R,
    lift: fn(R, Errors<E>) -> Dispatch<'a>,
}

impl<R, E> Debug for Returned<'_, R, E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str("Returned(..)")
    }
}

/// Takes what a handler returned.
pub fn returned<'a, R: Lift<How> + 'a, How>(value: R) -> Returned<'a, R, R::Error> {
    Returned { value, lift: R::lift }
}

/// Takes what a handler of an inline subscriber returned.
pub fn returned_inline<'a, R: Lift<How> + 'a, How: Inlined>(value: R) -> Returned<'a, R, R::Error> {
    Returned { value, lift: R::lift }
}

impl<'a, R, E> Returned<'a, R, E> {
    /// The type of its errors, to be classified.
    #[allow(clippy::unused_self, reason = "only the type is of interest, and only a value has it inferred")]
    pub fn probe(&self) -> Probe<Result<(), E>> {
        Probe::call(&|| Ok(()))
    }

    /// Lets it end.
    pub fn dispatch(self, errors: Errors<E>) -> Dispatch<'a> {
        (self.lift)(self.value, errors)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fmt::Display;
    use std::future::ready;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// The text of the error that a handler returned, as generated code finds it.
    macro_rules! text {
        ($returned:expr) => {{
            let returned = returned($returned);
            let errors = crate::__classify!(returned.probe().borrowed());
            end(returned.dispatch(errors)).map_err(|error| error.to_string())
        }};
    }

    fn end(dispatch: Dispatch<'_>) -> Result<(), HandlerError> {
        match dispatch {
            Dispatch::Done(result) => result,
            Dispatch::Later(future) => match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => result,
                Poll::Pending => unreachable!("the futures here are ready"),
            },
            Dispatch::Untyped => unreachable!("a handler was called"),
        }
    }

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl Display for Outer {
        fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    fn outer() -> Outer {
        Outer("x".parse::<u8>().expect_err("no number"))
    }

    struct Nothing;

    #[test]
    fn handlers_end_well() {
        assert_eq!(text!(()), Ok(()));
        assert_eq!(text!(Ok::<(), Nothing>(())), Ok(()));
        assert_eq!(text!(ready(())), Ok(()));
        assert_eq!(text!(async { Ok::<(), String>(()) }), Ok(()));
    }

    #[test]
    fn errors_of_any_type_have_a_text() {
        let outer_text = "outer: invalid digit found in string".to_owned();
        assert_eq!(text!(Err::<(), _>("text")), Err("text".to_owned()));
        assert_eq!(text!(Err::<(), _>(outer())), Err(outer_text.clone()));
        assert_eq!(text!(Err::<(), Box<dyn Error>>(outer().into())), Err(outer_text.clone()));
        assert_eq!(text!(ready(Err::<(), Box<dyn Error + Send + Sync>>(outer().into()))), Err(outer_text));
        assert!(text!(Err::<(), _>(Nothing)).is_err_and(|text| text.contains("Nothing")));
    }
}
