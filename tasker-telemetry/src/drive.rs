//! Futures of other people on threads of ours: each is polled on the thread that needs its value, with a time limit, inside the
//! tokio runtime of the program, if there was one where the telemetry was built.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Polls a future on this thread until it is ready or `limit` is over. `None`: it was not ready in time, and is dropped.
pub(crate) fn block_on<T>(future: impl Future<Output = T>, limit: Duration) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let deadline = Instant::now().checked_add(limit);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return Some(value);
        }
        match deadline {
            None => thread::park(),
            Some(deadline) => {
                let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
                thread::park_timeout(left);
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The tokio runtime, if any, in which the telemetry was built: handlers and exporters may use its timers and sockets.
#[derive(Debug, Clone)]
pub(crate) struct Runtime {
    #[cfg(feature = "tokio")]
    handle: Option<tokio::runtime::Handle>,
}

impl Runtime {
    /// That of the calling code.
    #[cfg(feature = "tokio")]
    pub(crate) fn current() -> Self {
        Self { handle: tokio::runtime::Handle::try_current().ok() }
    }

    /// While what it gives lives, this thread is inside it.
    #[cfg(feature = "tokio")]
    pub(crate) fn enter(&self) -> Option<tokio::runtime::EnterGuard<'_>> {
        self.handle.as_ref().map(tokio::runtime::Handle::enter)
    }

    #[cfg(not(feature = "tokio"))]
    pub(crate) const fn current() -> Self {
        Self {}
    }

    #[cfg(not(feature = "tokio"))]
    #[allow(clippy::unused_self, reason = "the same shape as with tokio")]
    pub(crate) const fn enter(&self) -> Option<()> {
        None
    }
}
