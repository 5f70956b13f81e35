//! What a thread is doing, and who may look: one thread-local cell for all of it.

use std::cell::RefCell;
use std::mem::{self, ManuallyDrop};

use super::Scope;
use crate::publisher::Lanes;

/// What a thread is doing.
pub(crate) struct Here {
    pub(crate) scope: Scope,
    /// Whether this thread is inside a poll of ours: then it must not block, the tasks around it need it.
    pub(crate) polling: bool,
    /// Its ways to the publishers. Here because each step looks here anyway: another look elsewhere is 20 instructions.
    pub(crate) lanes: Lanes,
    life: Life,
}

/// Whether anything may be kept for a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Nothing has been yet, so nothing has to be dropped with it.
    Unmarked,
    /// What is kept is dropped at the thread's end.
    Marked,
    /// It is being torn down: there is no scope any more, and no lane.
    Ended,
}

impl Here {
    const fn nowhere() -> Self {
        Self { scope: Scope::Empty, polling: false, lanes: Lanes::new(), life: Life::Unmarked }
    }

    /// Whether anything may be kept here from now on.
    #[inline]
    pub(super) fn keeps(&mut self) -> bool {
        self.life == Life::Marked || self.mark()
    }

    /// Once a thread, and again at its end.
    #[cold]
    fn mark(&mut self) -> bool {
        if self.life == Life::Unmarked && END.try_with(|_| ()).is_ok() {
            self.life = Life::Marked;
        }
        self.life == Life::Marked
    }
}

thread_local! {
    /// One cell for all, and without a destructor: each look at one that has it asks first whether it has run (4 instructions).
    static HERE: ManuallyDrop<RefCell<Here>> = const { ManuallyDrop::new(RefCell::new(Here::nowhere())) };
    static END: End = const { End };
}

/// Drops what is kept for the thread.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        let ended = Here { life: Life::Ended, ..Here::nowhere() };
        // Dropped when nobody looks at it: that may run code which does.
        let kept = HERE.with(|here| here.try_borrow_mut().ok().map(|mut here| mem::replace(&mut *here, ended)));
        drop(kept);
    }
}

/// Looks at what the thread is doing. `look` must not run code that could ask for it again: it would find nothing.
pub(crate) fn with_here<R>(look: impl FnOnce(&mut Here) -> R) -> R {
    HERE.with(|here| match here.try_borrow_mut() {
        Ok(mut here) => look(&mut here),
        Err(_) => look(&mut Here::nowhere()),
    })
}

/// Where the thread keeps what it is doing, for whoever looks several times. The condition holds while it is borrowed.
#[inline]
pub(crate) fn with_place<R>(look: impl FnOnce(&RefCell<Here>) -> R) -> R {
    HERE.with(|here| look(here))
}

/// Looks at the thread's lanes; `None` while it looks here already, and when it is being torn down.
#[inline]
pub(crate) fn with_lanes<R>(look: impl FnOnce(&mut Lanes) -> R) -> Option<R> {
    HERE.with(|here| {
        let mut here = here.try_borrow_mut().ok()?;
        if here.keeps() { Some(look(&mut here.lanes)) } else { None }
    })
}

/// Whether this thread is inside a poll of a task or step.
pub(crate) fn is_polling() -> bool {
    HERE.with(|here| here.try_borrow().is_ok_and(|here| here.polling))
}

/// Exchanges the current scope with `scope`, and says whether the thread was polling until now.
#[inline]
pub(crate) fn exchange(scope: &mut Scope, polling: bool) -> bool {
    HERE.with(|here| {
        let Ok(mut here) = here.try_borrow_mut() else { return polling };
        if !here.keeps() {
            return polling;
        }
        mem::swap(&mut here.scope, scope);
        mem::replace(&mut here.polling, polling)
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::mpsc::{Sender, channel};
    use std::thread;

    use std::sync::Arc;

    use super::super::current;
    use super::*;
    use crate::Telemetry;
    use crate::telemetry::Core;

    fn core() -> Arc<Core> {
        let telemetry = Telemetry::builder().auto_subscribers(false).metrics_enabled(false).build().unwrap();
        Arc::clone(telemetry.core())
    }

    #[test]
    fn what_is_kept_for_a_thread_goes_with_it() {
        let core = core();
        let before = Arc::strong_count(&core);
        let of_thread = Arc::clone(&core);
        thread::spawn(move || {
            exchange(&mut Scope::Telemetry(of_thread), false);
            assert!(matches!(current(), Scope::Telemetry(_)));
        })
        .join()
        .unwrap();
        assert_eq!(Arc::strong_count(&core), before);
    }

    #[test]
    fn nothing_is_kept_for_a_thread_that_is_torn_down() {
        struct Kept {
            core: Arc<Core>,
            seen: Sender<(bool, bool)>,
        }
        struct Last(Cell<Option<Kept>>);
        impl Drop for Last {
            fn drop(&mut self) {
                let Kept { core, seen } = self.0.take().unwrap();
                let was_polling = exchange(&mut Scope::Telemetry(core), true);
                let is_empty = matches!(current(), Scope::Empty) && !is_polling();
                seen.send((was_polling && is_empty, with_lanes(|_| ()).is_none())).unwrap();
            }
        }
        thread_local!(static LAST: Last = const { Last(Cell::new(None)) });
        let (core, (seen, told)) = (core(), channel());
        let (before, of_thread) = (Arc::strong_count(&core), Arc::clone(&core));
        thread::spawn(move || {
            LAST.with(|last| last.0.set(Some(Kept { core: of_thread, seen }))); // first: what is made first is dropped last
            assert!(with_lanes(|_| ()).is_some());
        })
        .join()
        .unwrap();
        assert_eq!(told.recv(), Ok((true, true)), "no scope and no polling, no lanes");
        assert_eq!(Arc::strong_count(&core), before);
    }
}
