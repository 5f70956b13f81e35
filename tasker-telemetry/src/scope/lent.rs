//! The scope around a step, lent to it for the time of one poll.
//!
//! Most steps begin and end in one poll. Such a step needs no reference of its own to its task: the one in the scope around it
//! becomes the step's, and goes back when the poll ends. That saves two of the three atomic operations that a step would cost
//! which nobody is told of. A step whose first poll ends before its body does gets a reference of its own then ([`Lent::keep`]),
//! and changes places with the scope around it from there on.

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;

use super::{Here, Scope, current, with_place};
use crate::catalog::StepSpec;
use crate::publisher::{Numbers, StepPlace};
use crate::telemetry;
use crate::time::Timestamp;

/// A step outside tasks is the current scope until this is [ended](Self::end) or [kept](Self::keep): then the one around it is again.
/// Both have to happen in the poll that began it, and after whatever began inside: a panic is caught before.
pub(crate) struct Lent {
    outer: Outer,
    was_polling: bool,
}

/// What the scope around was, but for the `Arc` in it.
enum Outer {
    Empty,
    Telemetry,
    Task(Option<StepPlace>),
}

/// The same of a step in a task.
pub(crate) struct LentTask {
    outer: Option<StepPlace>,
    was_polling: bool,
}

impl Here {
    /// A short step of the task that is the current scope begins or ends, and that takes more than a look: see
    /// [`Publisher::send_short`](crate::publisher::Publisher::send_short).
    #[inline(never)]
    pub(crate) fn send_short(
        &mut self,
        spec: &'static StepSpec,
        numbers: Numbers,
        since: (Timestamp, u64),
        ended: (bool, Option<u64>),
    ) {
        if let Scope::Task(task, ..) = &self.scope {
            task.core().publisher().send_short(&mut self.lanes, task, spec, numbers, since, ended);
        }
    }
}

impl LentTask {
    /// The place of the step around, and whether the thread was polling.
    #[inline]
    pub(crate) const fn new(outer: Option<StepPlace>, was_polling: bool) -> Self {
        Self { outer, was_polling }
    }

    /// A step's place takes that of the one around, in the task that is the current scope.
    #[inline]
    pub(crate) const fn begin(
        place: &mut Option<StepPlace>,
        inner: StepPlace,
        polling: &mut bool,
        polls: bool,
    ) -> Self {
        let lent = Self { outer: *place, was_polling: *polling };
        (*place, *polling) = (Some(inner), *polling | polls);
        lent
    }

    /// The end of the step: what was lent goes back.
    #[inline]
    pub(crate) fn end(self, here: &RefCell<Here>) {
        if let Ok(mut here) = here.try_borrow_mut()
            && let Here { scope: Scope::Task(_, place, _), polling, .. } = &mut *here
        {
            (*place, *polling) = (self.outer, self.was_polling);
        }
    }

    /// The step goes on after this poll: the scope that it has from now on. What was lent goes back.
    pub(crate) fn keep(self) -> Scope {
        Lent { outer: Outer::Task(self.outer), was_polling: self.was_polling }.keep()
    }
}

impl Lent {
    /// A step begins in the current scope, if that is outside tasks and nobody is to be told.
    pub(crate) fn begin(spec: &'static StepSpec, polls: bool) -> Option<Self> {
        with_place(|here| Self::begin_here(&mut *here.try_borrow_mut().ok()?, spec, polls))
    }

    fn begin_here(here: &mut Here, spec: &'static StepSpec, polls: bool) -> Option<Self> {
        let outer = match &here.scope {
            Scope::Telemetry(core) if core.is_quiet() => {
                core.implicit_task_began();
                if let Scope::Telemetry(core) = take(&mut here.scope) {
                    put(&mut here.scope, Scope::Light(core, spec, 1));
                }
                Outer::Telemetry
            }
            // There is nothing to be lent; the step knows which telemetry it was.
            Scope::Empty => {
                if !here.keeps() {
                    return None;
                }
                let installed = telemetry::begin_quiet_step()?;
                put(&mut here.scope, Scope::Installed(spec, installed));
                Outer::Empty
            }
            _ => return None,
        };
        let was_polling = here.polling;
        here.polling |= polls;
        Some(Self { outer, was_polling })
    }

    /// The end of a step that nobody is told of: what was lent goes back.
    #[inline]
    pub(crate) fn end(self) {
        let made = with_place(|here| self.give_back(&mut *here.try_borrow_mut().ok()?));
        if let Some(scope) = made {
            drop_made(scope);
        }
    }

    /// The step goes on after this poll: the scope that it has from now on. What was lent goes back.
    pub(crate) fn keep(self) -> Scope {
        let kept = with_place(|here| {
            let mut here = here.try_borrow_mut().ok()?;
            let Here { scope, polling, .. } = &mut *here;
            match (scope, &self.outer) {
                (Scope::Task(task, place, permit), Outer::Task(outer)) => {
                    let kept = Scope::Task(Arc::clone(task), mem::replace(place, *outer), *permit);
                    *polling = self.was_polling;
                    Some(kept)
                }
                _ => None,
            }
        });
        kept.unwrap_or_else(|| self.keep_outside_tasks())
    }

    #[cold]
    fn keep_outside_tasks(self) -> Scope {
        let kept = match current() {
            Scope::Installed(spec, installed) => telemetry::installed_as(installed)
                .map_or(Scope::Installed(spec, installed), |core| Scope::Light(core, spec, 1)),
            scope => scope,
        };
        self.end();
        kept
    }

    /// What had to be made in the meantime comes out, to be dropped when nobody looks at the scope.
    #[inline]
    fn give_back(&self, here: &mut Here) -> Option<Scope> {
        match (&mut here.scope, &self.outer) {
            (Scope::Task(_, place, _), &Outer::Task(outer)) => *place = outer,
            (Scope::Light(..), Outer::Telemetry) => {
                if let Scope::Light(core, ..) = take(&mut here.scope) {
                    put(&mut here.scope, Scope::Telemetry(core));
                }
            }
            (Scope::Installed(..), Outer::Empty) => put(&mut here.scope, Scope::Empty),
            // Somebody wanted to know the task of a step outside any, so one was made.
            (Scope::Task(task, ..), Outer::Telemetry) => {
                let outer = Scope::Telemetry(task.core().clone());
                here.polling = self.was_polling;
                return Some(mem::replace(&mut here.scope, outer));
            }
            (_, Outer::Empty) => {
                here.polling = self.was_polling;
                return Some(take(&mut here.scope));
            }
            _ => {}
        }
        here.polling = self.was_polling;
        None
    }
}

#[cold]
fn drop_made(scope: Scope) {
    drop(scope);
}

#[inline]
const fn take(scope: &mut Scope) -> Scope {
    mem::replace(scope, Scope::Empty)
}

/// Puts a scope where nothing has to be dropped: forgotten, what is there is not asked again what it holds (30 instructions).
#[inline]
fn put(place: &mut Scope, scope: Scope) {
    mem::forget(mem::replace(place, scope));
}
