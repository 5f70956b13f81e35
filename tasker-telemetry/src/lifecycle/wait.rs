//! Waiting for the next attempt, on whatever runtime the step runs.
//!
//! Under tokio its own timer is used, so that tests may pause the clock; anywhere else a timer thread of `futures-timer`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_timer::Delay;

/// A wait that is under way.
pub(super) enum Wait {
    #[cfg(feature = "tokio")]
    Tokio(Pin<Box<tokio::time::Sleep>>),
    Thread(Delay),
}

impl Wait {
    pub(super) fn new(delay: Duration) -> Self {
        #[cfg(feature = "tokio")]
        if tokio::runtime::Handle::try_current().is_ok()
            // tokio panics where a runtime was built without its timer, and offers no way to ask first.
            && let Ok(sleep) = std::panic::catch_unwind(|| Box::pin(tokio::time::sleep(delay)))
        {
            return Self::Tokio(sleep);
        }
        Self::Thread(Delay::new(delay))
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            #[cfg(feature = "tokio")]
            Self::Tokio(sleep) => sleep.as_mut().poll(cx),
            Self::Thread(delay) => Pin::new(delay).poll(cx),
        }
    }
}
