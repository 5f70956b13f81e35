//! The work of a step: small, so that what surrounds it shows, and with one `.await`, as steps have.

use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Why the work was refused; it never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

/// What every candidate does.
///
/// # Errors
/// Never, but the compiler does not know.
pub async fn work(id: u64, name: &str) -> Result<u64, Refused> {
    let seed = black_box(ready(id).await);
    if seed == u64::MAX { Err(Refused) } else { Ok(seed ^ name.len() as u64) }
}

/// Runs a future that never waits for anything.
///
/// # Panics
/// When it does.
pub fn run<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the work of a benchmark never waits"),
    }
}
