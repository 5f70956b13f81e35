//! Steps whose body is dropped before its end.
//!
//! The body has to be dropped inside the step's scope, between what enters it and what leaves it. A future that did both in a
//! `Drop` of its own would cost each annotated function two functions more to compile; so two of its fields do, one before the
//! body and one behind, and between them the step lies here.

use std::cell::RefCell;

use super::step_run::StepRun;

thread_local! {
    /// Innermost last: what a body drops may be steps, too.
    static DYING: RefCell<Vec<StepRun>> = const { RefCell::new(Vec::new()) };
}

/// The field behind the body: whether the step before it lies here when it is dropped.
pub(super) struct Dying(bool);

impl Dying {
    pub(super) const NO: Self = Self(false);

    /// From now on the step, if it is dropped, has this behind its body.
    #[inline]
    pub(super) const fn follows(&mut self, run: &mut StepRun, follows: bool) {
        self.0 = follows;
        run.set_followed(follows);
    }
}

/// Keeps a step until its body has been dropped. It comes back if the thread is being torn down.
pub(super) fn keep(run: StepRun) -> Option<StepRun> {
    let mut run = Some(run);
    // Cannot be borrowed already: no code of others runs while it is.
    let _ = DYING.try_with(|dying| {
        if let Ok(mut dying) = dying.try_borrow_mut() {
            dying.extend(run.take());
        }
    });
    run
}

impl Drop for Dying {
    #[inline]
    fn drop(&mut self) {
        if self.0 {
            end();
        }
    }
}

#[cold]
fn end() {
    let run = DYING.try_with(|dying| dying.try_borrow_mut().ok().and_then(|mut dying| dying.pop()));
    drop(run); // when nothing is borrowed any more: it tells that it was cancelled
}
