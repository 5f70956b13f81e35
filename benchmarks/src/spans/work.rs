//! The work of a step, with so many awaits that really wait: each gives way once, as one that waits for I/O does.

use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use crate::work::Refused;

/// What every candidate does.
///
/// # Errors
/// Never, but the compiler does not know.
pub async fn work<const AWAITS: usize>(id: u64, name: &str) -> Result<u64, Refused> {
    for _ in 0..AWAITS {
        GiveWay(false).await;
    }
    let seed = black_box(ready(id).await);
    if seed == u64::MAX { Err(Refused) } else { Ok(seed ^ name.len() as u64) }
}

/// Pending once.
struct GiveWay(bool);

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Polls a future until it is done.
pub fn drive<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}
