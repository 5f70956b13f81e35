//! Functions without effect, which tell the compiler what a wrapped body is.

use std::future::Future;

/// Stands in a `return` that is never executed: it says what the body returns.
#[must_use]
pub fn hint<T>() -> T {
    unreachable!("only ever called behind `if false`")
}

/// Makes a closure `FnOnce`, whatever it does with what it captured: only then may its value borrow from that.
pub fn once<R, F: FnOnce() -> R>(body: F) -> F {
    body
}

/// Calls a function's body that returns a future, whose output the signature names.
pub fn future<T, F: Future<Output = T>>(body: impl FnOnce() -> F) -> F {
    body()
}
