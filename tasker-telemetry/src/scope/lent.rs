//! The scope around a step, lent to it for the time of one poll.
//!
//! Most steps begin and end in one poll. Such a step needs no reference of its own to its task: the one in the scope around it
//! becomes the step's, and goes back when the poll ends. That saves two of the three atomic operations that a step would cost
//! which nobody is told of. A step whose first poll ends before its body does gets a reference of its own then ([`Lent::keep`]),
//! and changes places with the scope around it from there on.

use std::mem;
use std::sync::Arc;

use super::{HERE, Here, Scope, current};
use crate::catalog::StepSpec;
use crate::lifecycle::{Pace, TaskCore};
use crate::publisher::{Lanes, StepPlace};
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
    Task(Option<StepPlace>),
}

/// How a step began in the scope around it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It did not, and nothing has changed: it has something to wait for, or that has still to be found out.
    No,
    /// Nobody is to be told of it.
    Quiet,
    /// It was told of.
    Told,
}

impl Lent {
    pub(crate) const NOTHING: Self = Self { outer: Outer::Nothing, was_polling: false };

    /// A step begins in the current scope, if that is all that it needs. `tell` is called where somebody is to be told. It gets
    /// the task, the place of the step around if there is one, and the thread's lanes; it puts the step's own place there, or
    /// says that it cannot. It must not look for the scope itself.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        spec: &'static StepSpec,
        polls: bool,
        tell: impl FnOnce(&Arc<TaskCore>, &mut Option<StepPlace>, &mut Lanes) -> bool,
    ) -> Begun {
        let begun = HERE.try_with(|here| match here.try_borrow_mut() {
            Ok(mut here) => self.begin_here(&mut here, spec, polls, tell),
            Err(_) => Begun::No,
        });
        begun.unwrap_or(Begun::No)
    }

    #[inline]
    fn begin_here(
        &mut self,
        here: &mut Here,
        spec: &'static StepSpec,
        polls: bool,
        tell: impl FnOnce(&Arc<TaskCore>, &mut Option<StepPlace>, &mut Lanes) -> bool,
    ) -> Begun {
        let mut begun = Begun::Quiet;
        match &mut here.scope {
            Scope::Task(task, place, _) => {
                let outer = *place;
                match task.pace() {
                    Pace::Quiet => *place = Some(StepPlace::of(spec, task)),
                    Pace::Short if tell(task, place, &mut here.lanes) => begun = Begun::Told,
                    Pace::Short | Pace::Long => return Begun::No,
                }
                self.outer = Outer::Task(outer);
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
                None => return Begun::No,
            },
            _ => return Begun::No,
        }
        self.was_polling = here.polling;
        here.polling |= polls;
        begun
    }

    /// The end of a step that nobody is told of: what was lent goes back.
    #[inline]
    pub(crate) fn end(&mut self) {
        if let Outer::Task(_) = self.outer {
            self.end_told(|_, _, _| {});
        } else {
            self.end_anywhere();
        }
    }

    fn end_anywhere(&mut self) {
        // Fails where the thread is being torn down, and there is no scope any more: then nothing is to be given back.
        let made = HERE.try_with(|here| here.try_borrow_mut().ok().and_then(|mut here| self.give_back(&mut here)));
        self.outer = Outer::Nothing;
        if let Ok(Some(scope)) = made {
            drop_made(scope);
        }
    }

    /// The end of one that was told of is told, and what was lent goes back, both with one look at the scope. `tell` gets the
    /// step's task and place, and the thread's lanes, and must not look for the scope itself.
    #[inline]
    pub(crate) fn end_told(&mut self, tell: impl FnOnce(&Arc<TaskCore>, StepPlace, &mut Lanes)) {
        let _ = HERE.try_with(|here| {
            let Ok(mut here) = here.try_borrow_mut() else { return };
            let Here { scope, lanes, polling } = &mut *here;
            if let (Scope::Task(task, place, _), Outer::Task(outer)) = (scope, &self.outer) {
                if let Some(inner) = mem::replace(place, *outer) {
                    tell(task, inner, lanes);
                }
                *polling = self.was_polling;
                self.outer = Outer::Nothing;
            }
        });
    }

    /// The step goes on after this poll: the scope that it has from now on. What was lent goes back.
    pub(crate) fn keep(&mut self) -> Scope {
        let kept = HERE.try_with(|here| {
            let mut here = here.try_borrow_mut().ok()?;
            let Here { scope, polling, .. } = &mut *here;
            match (scope, &self.outer) {
                (Scope::Task(task, place, permit), Outer::Task(outer)) => {
                    let kept = Scope::Task(Arc::clone(task), mem::replace(place, *outer), *permit);
                    *polling = self.was_polling;
                    self.outer = Outer::Nothing;
                    Some(kept)
                }
                _ => None,
            }
        });
        kept.ok().flatten().unwrap_or_else(|| self.keep_outside_tasks())
    }

    #[cold]
    fn keep_outside_tasks(&mut self) -> Scope {
        let kept = match current() {
            Scope::Installed(spec, installed) => telemetry::installed_as(installed)
                .map_or(Scope::Installed(spec, installed), |core| Scope::Light(core, spec, 1)),
            scope => scope,
        };
        drop(mem::replace(self, Self::NOTHING));
        kept
    }
}

impl Drop for Lent {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.outer, Outer::Nothing) {
            self.end_early();
        }
    }
}

impl Lent {
    /// By a panic, or the step goes on after this poll.
    #[cold]
    fn end_early(&mut self) {
        self.end_anywhere();
    }

    /// What had to be made in the meantime comes out, to be dropped when nobody looks at the scope.
    #[inline]
    fn give_back(&mut self, here: &mut Here) -> Option<Scope> {
        match (&mut here.scope, &self.outer) {
            (_, Outer::Nothing) => return None,
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
