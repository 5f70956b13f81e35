//! A body runs inside its task or its step: in that scope, and seen to be there by other libraries.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::log_span::LogSpan;
use crate::otel::Spot;
use crate::scope::{self, Scope};

/// A task or an attempt as other libraries see it.
pub(super) struct Outside {
    /// The current context of the `opentelemetry` crate.
    pub(super) spot: Spot,
    /// The current span of the `tracing` crate.
    pub(super) log: LogSpan,
}

impl Outside {
    pub(super) const NOTHING: Self = Self { spot: Spot::none(), log: LogSpan::none() };
}

/// Runs a body, or drops one, in that scope; `Err`: it panicked, and left the scope as well. (No guards that leave by their drop: what the
/// compiler makes of those is 40 instructions for each poll.)
#[inline]
pub(super) fn inside<R>(
    scope: &mut Scope,
    outside: Option<&Outside>,
    polling: bool,
    body: impl FnOnce() -> R,
) -> thread::Result<R> {
    let Some(outside) = outside else { return within(scope, polling, body) };
    // A layer of `tracing` may have a context of its own for the log's span: ours comes after it.
    let log = outside.log.enter();
    let mut attached = outside.spot.attach();
    let result = within(scope, polling, body);
    attached.detach();
    if let Some(log) = log {
        drop(log);
    }
    result
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "as a function of its own it costs a poll 20 instructions more")]
fn within<R>(scope: &mut Scope, polling: bool, body: impl FnOnce() -> R) -> thread::Result<R> {
    let was_polling = scope::exchange(scope, polling);
    let result = catch_unwind(AssertUnwindSafe(body));
    scope::exchange(scope, was_polling);
    result
}
