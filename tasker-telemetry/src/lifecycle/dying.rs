//! Bodies that are dropped before their end.
//!
//! A body has to be dropped inside its step or task, between what enters that and what leaves it. A future that did both in a
//! `Drop` of its own would cost each annotated function two functions more to compile; so two of its fields do, one before the
//! body and one behind, and between them the step lies here; and what other libraries see, which may not leave its thread.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::span::EnteredSpan;

use super::inside::Outside;
use super::step_run::StepRun;
use crate::otel::Attached;
use crate::scope::{self, Scope};

thread_local! {
    /// Innermost last: what a body drops may be steps, too.
    static DYING: RefCell<Vec<StepRun>> = const { RefCell::new(Vec::new()) };
    /// Likewise, of the steps and tasks that were entered.
    static SEEN: RefCell<Vec<Seen>> = const { RefCell::new(Vec::new()) };
}

/// What other libraries see while a body is dropped. The fields are dropped in the order in which they are left.
struct Seen {
    _attached: Attached,
    _log: Option<EnteredSpan>,
}

/// The body of that step or task is about to be dropped, on this thread. Says whether the thread was polling before.
pub(super) fn enter(scope: &mut Scope, outside: Option<&Outside>) -> bool {
    // In that order, as when it is polled. A layer of `tracing` is told of it: nothing is borrowed meanwhile, and its panic is not to
    // go on, since a second one while a panic unwinds ends the process.
    let seen = outside.and_then(|Outside { spot, log }| {
        let entered = catch_unwind(AssertUnwindSafe(|| log.enter())).ok()?;
        Some(Seen { _attached: spot.attach(), _log: entered })
    });
    // One for each, so that each takes out its own; a thread that is being torn down sees none.
    let seen = seen.unwrap_or(Seen { _attached: Attached::NOTHING, _log: None });
    let _ = SEEN.try_with(|all| all.try_borrow_mut().map(|mut all| all.push(seen)));
    scope::exchange(scope, true)
}

/// It has been dropped.
pub(super) fn leave(scope: &mut Scope, was_polling: bool) {
    scope::exchange(scope, was_polling);
    let seen = SEEN.try_with(|all| all.try_borrow_mut().ok().and_then(|mut all| all.pop()));
    let _ = catch_unwind(AssertUnwindSafe(|| drop(seen))); // when nothing is borrowed any more
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
