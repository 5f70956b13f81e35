//! Whether the current context can be asked for: where a thread is being torn down, the crate has none any more, and panics.
//!
//! A panic there ends the process, and steps do run there: a thread-local runtime drops its futures, and a step that is dropped
//! is dropped in its context.

use std::cell::Cell;
use std::panic::catch_unwind;

use opentelemetry::Context;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Usable,
    Gone,
}

/// Made after the crate's own thread-local, and so gone before it.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        STATE.set(State::Gone);
    }
}

thread_local! {
    /// Without a destructor, so that looking at it is one load.
    static STATE: Cell<State> = const { Cell::new(State::Unknown) };
    static END: End = const { End };
}

/// Whether the calling thread has a current context.
#[inline]
pub(super) fn is_usable() -> bool {
    match STATE.get() {
        State::Usable => true,
        State::Unknown => find_out(),
        State::Gone => false,
    }
}

/// Once a thread.
#[cold]
fn find_out() -> bool {
    let is_usable = catch_unwind(|| Context::map_current(|_| ())).is_ok() && END.try_with(|_| ()).is_ok();
    STATE.set(if is_usable { State::Usable } else { State::Gone });
    is_usable
}

/// Looks at the current context; `None` where there is none any more.
#[inline]
pub(super) fn look<R>(look: impl FnOnce(&Context) -> R) -> Option<R> {
    if is_usable() { Some(Context::map_current(look)) } else { None }
}
