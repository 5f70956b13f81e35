//! The arguments of a step that may run more than once.

/// An argument that each attempt can have. The bound exists for its error message; what it means is `Clone`.
#[diagnostic::on_unimplemented(
    message = "`retry_limit > 1` runs the body again, so each argument must be `Clone`: `{Self}` is not",
    label = "this argument is needed for every attempt",
    note = "make it `Clone`, pass it as `Arc<..>`, or set `retry_limit = 1`"
)]
pub trait RetryArg: Sized {
    /// The same argument for one attempt.
    #[must_use]
    fn again(&self) -> Self;
}

// Without it the error would speak of `Clone` behind `RetryArg`, in rustc's words.
#[diagnostic::do_not_recommend]
impl<T: Clone> RetryArg for T {
    fn again(&self) -> Self {
        self.clone()
    }
}

/// The argument of the next attempt: a clone, for the last one the original, so that its drop happens where the user's
/// function would have dropped it.
pub fn keep<T: RetryArg>(kept: &mut Option<T>, last: bool) -> T {
    let argument = if last { kept.take() } else { kept.as_ref().map(RetryArg::again) };
    argument.unwrap_or_else(|| unreachable!("no attempt follows the last"))
}

/// Checks a `retry_limit` that only the compiler knows; evaluated when the program is compiled.
///
/// # Panics
/// On a zero; in a static that is a compile error.
#[must_use]
pub const fn at_least_one(retry_limit: u32) -> u32 {
    assert!(retry_limit > 0, "`retry_limit = 0` would never run the step: write 1 for one try");
    retry_limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn the_last_attempt_gets_the_original() {
        let original = Rc::new(());
        let mut kept = Some(Rc::clone(&original));
        let first = keep(&mut kept, false);
        assert_eq!(Rc::strong_count(&original), 3);
        drop(first);
        let last = keep(&mut kept, true);
        assert_eq!(Rc::strong_count(&original), 2);
        assert!(kept.is_none());
        drop(last);
    }
}
