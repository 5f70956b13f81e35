//! The scope around a step, lent to it for the time of one poll.
//!
//! Most steps begin and end in one poll, and mostly nobody listens. Such a step needs no reference of its own to its task:
//! the one in the scope around it becomes the step's, and goes back when the poll ends. That saves two of the three atomic
//! operations that the step would cost. A step whose first poll ends before its body does gets a reference of its own then
//! ([`Lent::keep`]), and changes places with the scope around it from there on.

use std::mem;

use super::{HERE, Here, Permit, Scope, current};
use crate::catalog::StepSpec;
use crate::publisher::StepPlace;
use crate::telemetry;

/// While it lives, the step is the current scope; then the one around it is again. It lies on the stack of the poll: nothing
/// that began inside is current any more when it ends, by a panic, too.
pub(crate) struct Lent {
    outer: Outer,
    was_polling: bool,
}

/// What the scope around was, but for the `Arc` in it.
enum Outer {
    /// Nothing has been lent.
    Nothing,
    Empty,
    Telemetry,
    Task,
    Step(StepPlace),
}

impl Lent {
    pub(crate) const NOTHING: Self = Self { outer: Outer::Nothing, was_polling: false };

    /// A step begins in the current scope, if nobody is to be told of it and it has nothing to wait for. `false`, and nothing
    /// has changed, if that is not so, or has still to be found out.
    #[inline]
    pub(crate) fn begin(&mut self, spec: &'static StepSpec, polls: bool) -> bool {
        let begun =
            HERE.try_with(|here| here.try_borrow_mut().is_ok_and(|mut here| self.begin_here(&mut here, spec, polls)));
        begun.unwrap_or(false)
    }

    #[inline]
    fn begin_here(&mut self, here: &mut Here, spec: &'static StepSpec, polls: bool) -> bool {
        match &mut here.scope {
            Scope::Step(task, place, _) if task.is_quiet() => {
                let inner = StepPlace::of(spec, task);
                self.outer = Outer::Step(mem::replace(place, inner));
            }
            Scope::Task(task) if task.is_quiet() => {
                let inner = StepPlace::of(spec, task);
                if let Scope::Task(task) = take(&mut here.scope) {
                    put(&mut here.scope, Scope::Step(task, inner, Permit::NotHeld));
                }
                self.outer = Outer::Task;
            }
            Scope::Telemetry(core) if core.is_quiet() => {
                core.implicit_task_began();
                if let Scope::Telemetry(core) = take(&mut here.scope) {
                    put(&mut here.scope, Scope::Light(core, spec, 1));
                }
                self.outer = Outer::Telemetry;
            }
            // There is nothing to be lent; the step knows which telemetry it was.
            Scope::Empty => match telemetry::begin_quiet_step() {
                Some(installed) => {
                    put(&mut here.scope, Scope::Installed(spec, installed));
                    self.outer = Outer::Empty;
                }
                None => return false,
            },
            _ => return false,
        }
        self.was_polling = here.polling;
        here.polling |= polls;
        true
    }

    /// The step goes on after this poll: the scope that it has from now on. What was lent goes back.
    #[cold]
    pub(crate) fn keep(self) -> Scope {
        let kept = match current() {
            Scope::Installed(spec, installed) => telemetry::installed_as(installed)
                .map_or(Scope::Installed(spec, installed), |core| Scope::Light(core, spec, 1)),
            scope => scope,
        };
        drop(self);
        kept
    }
}

impl Drop for Lent {
    #[inline]
    fn drop(&mut self) {
        if let Outer::Nothing = self.outer {
            return;
        }
        // Else the thread is being torn down, and there is no scope any more.
        let made = HERE.try_with(|here| here.try_borrow_mut().ok().and_then(|mut here| self.give_back(&mut here)));
        if let Ok(Some(scope)) = made {
            drop_made(scope);
        }
    }
}

impl Lent {
    /// What had to be made in the meantime comes out, to be dropped when nobody looks at the scope.
    #[inline]
    fn give_back(&mut self, here: &mut Here) -> Option<Scope> {
        match (&mut here.scope, &self.outer) {
            (_, Outer::Nothing) => return None,
            (Scope::Step(_, place, _), &Outer::Step(outer)) => *place = outer,
            (Scope::Step(..), Outer::Task) => {
                if let Scope::Step(task, ..) = take(&mut here.scope) {
                    put(&mut here.scope, Scope::Task(task));
                }
            }
            (Scope::Light(..), Outer::Telemetry) => {
                if let Scope::Light(core, ..) = take(&mut here.scope) {
                    put(&mut here.scope, Scope::Telemetry(core));
                }
            }
            (Scope::Installed(..), Outer::Empty) => put(&mut here.scope, Scope::Empty),
            // Somebody wanted to know the task of a step outside any, so one was made.
            (Scope::Step(task, ..), Outer::Telemetry) => {
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
