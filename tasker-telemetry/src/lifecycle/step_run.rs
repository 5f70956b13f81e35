//! The life of one step: its attempts, the waits between them, its end. Not generic: what the body returns is
//! `future.rs`'s business.
//!
//! Here: what a step is and where it finds itself. `start.rs`: how an attempt comes to run; `end.rs`: how it ends; `meter.rs`: what
//! the metrics are told. `short.rs`: the way of most steps, all of that at once.

mod end;
mod meter;
mod short;
mod start;

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use self::meter::Metering;
pub(super) use self::short::{Body, Went, call as call_short, poll as poll_short};
use super::attempt::{GivenStep, StepAttempt};
use super::driven::Engine;
use super::inside::{Outside, inside};
use super::wait::Wait;
use super::{TaskCore, dying};
use crate::catalog::StepSpec;
use crate::event::EventKind;
use crate::publisher::{Fact, Inputs, Numbers, StepPlace};
use crate::scope::{self, Permit, Scope};
use crate::state::{Entity, State, transition};
use crate::telemetry;
use crate::time::Moment;
use crate::value::Fields;
use async_lock::SemaphoreGuardArc;
use async_lock::futures::AcquireArc;

/// See the module.
///
/// A part of the step's future, so it is kept small: what few steps need is boxed, what a task can keep is the task's.
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts that do not exclude each other, a byte each: the future is kept small"
)]
pub(super) struct StepRun {
    spec: &'static StepSpec,
    kept: Kept,
    /// `None` when nobody listens.
    times: Option<Times>,
    /// From 1. Kept here as well as in the scope: attempts are counted when telemetry is off, too.
    attempt: u32,
    /// Where its series are, once the body runs.
    series: u32,
    /// Its numbers if it began as a short step, else [none](Numbers::NONE).
    opened: Numbers,
    state: State,
    phase: Phase,
    /// Somebody listens: moments are taken, and events built.
    watched: bool,
    /// The step is a task of its own.
    owns_task: bool,
    counted: Counted,
    /// While the body is dropped in the step's scope: whether the thread was polling before.
    entered: Option<bool>,
    /// Something behind the body takes note of its drop.
    followed: bool,
    metering: Metering,
}

/// Whatever has to be dropped. One question when telemetry is off, not one for each field: those took 60 instructions of
/// the 200 that a step cost.
enum Kept {
    Nothing,
    /// The values of `fields(..)`, before the first poll.
    Fields(Box<[crate::value::Value]>),
    /// The same, and the step that an engine's attempt is one of.
    Given(Box<Rare>),
    /// From the first poll on. The second is what other libraries see, once the body runs; `None` where nobody looks.
    Scope(Scope, Option<Outside>, Option<Box<Rare>>),
}

/// What few steps have.
#[derive(Default)]
struct Rare {
    fields: Fields,
    /// The same as they may be shown.
    inputs: Option<Inputs>,
    hold: Option<Hold>,
    /// When the first attempt of a lone step with several asked to run.
    begun: Option<Moment>,
    /// The step of which this is an attempt, if an engine knows it.
    given: Option<GivenStep>,
}

/// Who counts the attempts. One byte: the step is kept small.
#[derive(Clone, Copy)]
enum Counted {
    Here,
    /// An engine runs the attempts: this is one of them, and no other follows here.
    Given,
    /// The same, and the task knows the engine.
    Driven,
}

/// When an attempt asked to run, and when it did; the same moment until it does.
#[derive(Clone, Copy)]
struct Times {
    asked: Moment,
    started: Moment,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not polled yet: nothing has happened.
    New,
    /// Telemetry is off: nothing will, but for the attempts.
    Off,
    Over,
    /// The next attempt has not asked to run yet.
    Ready,
    /// It has, and waits for its permit.
    Asked,
    /// The body runs.
    Running,
    /// The body is being dropped before its end, inside the step's scope.
    Dropping,
}

/// What a step waits for or holds, beside its body.
enum Hold {
    /// The right to run, in a task that bounds how many of its steps do.
    Awaited(Pin<Box<AcquireArc>>),
    Permit(#[allow(dead_code, reason = "held for its drop")] SemaphoreGuardArc),
    /// The backoff before the next attempt.
    Wait(Wait),
}

/// What follows a failed attempt.
#[derive(Clone, Copy)]
pub(super) enum Next {
    /// Nothing: the step failed.
    End,
    /// Another attempt, after this wait.
    Again(Duration),
}

impl StepRun {
    #[inline]
    pub(super) fn new(spec: &'static StepSpec, fields: Fields) -> Self {
        Self {
            spec,
            kept: fields.map_or(Kept::Nothing, Kept::Fields),
            times: None,
            attempt: 1,
            series: u32::MAX,
            opened: Numbers::NONE,
            state: State::Pending,
            phase: Phase::New,
            watched: false,
            owns_task: false,
            counted: Counted::Here,
            entered: None,
            followed: false,
            metering: Metering::Off,
        }
    }

    /// One attempt that an engine asked for: no other follows here.
    pub(super) fn given(spec: &'static StepSpec, fields: Fields, attempt: StepAttempt) -> Self {
        let mut run = Self::new(spec, None);
        (run.attempt, run.counted) = (attempt.attempt_number(), Counted::Given);
        run.kept = Kept::Given(Box::new(Rare { fields, given: attempt.step(), ..Rare::default() }));
        run
    }

    /// Whether the body runs without us, now or for good.
    #[inline]
    pub(super) fn is_off(&mut self) -> bool {
        if self.phase == Phase::New && !telemetry::is_on() {
            self.phase = Phase::Off;
        }
        self.phase == Phase::Off
    }

    /// Whether it has not begun.
    #[inline]
    pub(super) const fn is_new(&self) -> bool {
        matches!(self.phase, Phase::New)
    }

    /// Whether the body is under way already: the short way through each further poll.
    #[inline]
    pub(super) const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    /// Whether it is over.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Begins: finds the task, or makes one. `false`: telemetry is off here.
    #[inline(never)]
    pub(super) fn begin(&mut self) -> bool {
        let found = scope::with_here(|here| {
            let permit = match &here.scope {
                Scope::Task(_, Some(_), permit) => *permit,
                _ => Permit::NotHeld,
            };
            let is_inside_step = matches!(here.scope, Scope::Task(_, Some(_), _));
            if let Some(task) = here.scope.task() {
                self.watched = task.is_watched();
                self.metering = if task.metrics().is_some() { Metering::Step } else { Metering::Off };
                let place = match task.engine() {
                    // A step inside a step is none that the engine knows.
                    Some(engine)
                        if !is_inside_step && !matches!(self.counted, Counted::Given) && !engine.stands_apart() =>
                    {
                        self.counted = Counted::Driven;
                        self.attempt = engine.number();
                        StepPlace::driven(self.spec, task, self.attempt)
                    }
                    _ => StepPlace { spec: self.spec, number: self.number_in(task), attempt: self.attempt, parent: 0 },
                };
                let scope = Scope::Task(Arc::clone(task), Some(place), permit);
                self.set_scope(scope);
                return Found::Task;
            }
            match &here.scope {
                Scope::Telemetry(core) if core.is_enabled() => {
                    let core = Arc::clone(core);
                    self.begin_light(core);
                    Found::Telemetry
                }
                Scope::Empty => Found::Nothing,
                // A telemetry that is off, or has been shut down while a step of it ran.
                _ => Found::Off,
            }
        });
        if let Found::Nothing = found {
            telemetry::with_installed(|core| {
                if core.is_enabled() {
                    self.begin_light(Arc::clone(core));
                }
            });
        }
        if self.scope().is_none() {
            self.phase = Phase::Off;
            return false;
        }
        if self.watched && !matches!(found, Found::Task) {
            self.begin_task();
        }
        self.meter_lone();
        let is_free = !self.has_to_tell() && self.permit_needed().is_none();
        self.phase = if is_free { Phase::Running } else { Phase::Ready };
        true
    }

    /// The step is outside any task.
    fn begin_light(&mut self, core: Arc<telemetry::Core>) {
        core.implicit_task_began();
        self.watched = !core.publisher().is_silent();
        self.metering = match core.metrics().life_cycle() {
            None => Metering::Off,
            Some(_) if self.watched => Metering::Step,
            Some(_) => Metering::LoneStep,
        };
        self.set_scope(Scope::Light(core, self.spec, self.attempt));
    }

    /// The step's number in its task: a new one, unless this is a further attempt of a step that has one.
    fn number_in(&self, task: &TaskCore) -> u32 {
        match &self.kept {
            Kept::Given(rare) => match rare.given {
                Some(GivenStep { nonce, number }) if nonce == task.nonce() => number,
                _ => task.next_step(),
            },
            _ => task.next_step(),
        }
    }

    /// The step is a task of its own.
    fn begin_task(&mut self) {
        let Some(Scope::Light(core, ..)) = self.scope() else { return };
        let now = Moment::now();
        let task = TaskCore::implicit(Arc::clone(core), self.spec, Some(now));
        self.owns_task = true;
        task.begins(now.timestamp());
        if let Some(metrics) = task.metrics() {
            metrics.began();
        }
        task.emit(EventKind::TaskInitializeRequested, now.timestamp(), None, || Fact::Bare);
        task.emit(EventKind::TaskStartRequested, now.timestamp(), None, || Fact::Bare);
        // The task may be one of those whose spans nobody wants.
        self.watched = task.is_watched();
        let place = StepPlace { spec: self.spec, number: task.next_step(), attempt: self.attempt, parent: 0 };
        self.set_scope(Scope::Task(task, Some(place), Permit::NotHeld));
    }

    #[inline]
    fn set_scope(&mut self, scope: Scope) {
        if let Kept::Nothing = self.kept {
            // There is nothing in it: forgotten, it is not asked again what it holds (30 instructions).
            mem::forget(mem::replace(&mut self.kept, Kept::Scope(scope, None, None)));
        } else {
            self.replace_scope(scope);
        }
    }

    #[cold]
    fn replace_scope(&mut self, scope: Scope) {
        let (outside, rare) = match mem::replace(&mut self.kept, Kept::Nothing) {
            Kept::Nothing => (None, None),
            Kept::Fields(fields) => (None, Some(Box::new(Rare { fields: Some(fields), ..Rare::default() }))),
            Kept::Given(rare) => (None, Some(rare)),
            Kept::Scope(_, outside, rare) => (outside, rare),
        };
        self.kept = Kept::Scope(scope, outside, rare);
    }

    /// `None` before the first poll and when telemetry is off.
    const fn scope(&self) -> Option<&Scope> {
        match &self.kept {
            Kept::Scope(scope, ..) => Some(scope),
            Kept::Nothing | Kept::Fields(_) | Kept::Given(_) => None,
        }
    }

    const fn scope_mut(&mut self) -> Option<&mut Scope> {
        match &mut self.kept {
            Kept::Scope(scope, ..) => Some(scope),
            Kept::Nothing | Kept::Fields(_) | Kept::Given(_) => None,
        }
    }

    fn rare(&self) -> Option<&Rare> {
        match &self.kept {
            Kept::Scope(_, _, rare) => rare.as_deref(),
            Kept::Nothing | Kept::Fields(_) | Kept::Given(_) => None,
        }
    }

    fn hold_mut(&mut self) -> Option<&mut Hold> {
        match &mut self.kept {
            Kept::Scope(_, _, Some(rare)) => rare.hold.as_mut(),
            _ => None,
        }
    }

    fn set_hold(&mut self, hold: Option<Hold>) {
        if !matches!(self.kept, Kept::Scope(..)) {
            self.kept = Kept::Scope(Scope::Empty, None, None); // a backoff, with telemetry off
        }
        if let Kept::Scope(_, _, rare) = &mut self.kept
            && (hold.is_some() || rare.is_some())
        {
            rare.get_or_insert_default().hold = hold;
        }
    }

    fn task(&self) -> Option<(&Arc<TaskCore>, StepPlace)> {
        match self.scope()? {
            Scope::Task(task, Some(place), _) => Some((task, *place)),
            _ => None,
        }
    }

    fn emit(&self, kind: EventKind, at: Moment, fact: impl FnOnce() -> Fact) {
        if let Some((task, place)) = self.task() {
            task.emit(kind, at.timestamp(), Some(place), fact);
        }
    }

    fn has_permit(&self) -> bool {
        matches!(self.rare(), Some(Rare { hold: Some(Hold::Permit(_)), .. }))
    }

    /// Runs the body, or drops it, inside the step. `Err`: it panicked.
    #[inline]
    pub(super) fn inside<R>(&mut self, polling: bool, body: impl FnOnce() -> R) -> thread::Result<R> {
        match &mut self.kept {
            Kept::Scope(scope, outside, _) => inside(scope, outside.as_ref(), polling, body),
            Kept::Nothing | Kept::Fields(_) | Kept::Given(_) => catch_unwind(AssertUnwindSafe(body)),
        }
    }

    /// What other libraries see from now on.
    fn set_outside(&mut self, outside: Option<Outside>) {
        if let Kept::Scope(_, seen, _) = &mut self.kept
            && (seen.is_some() || outside.is_some())
        {
            *seen = outside;
        }
    }

    /// Whether something behind the body takes note of its drop.
    #[inline]
    pub(super) const fn set_followed(&mut self, followed: bool) {
        self.followed = followed;
    }

    /// The body is about to be dropped, before its end: that happens in the step's scope, and then the step is told of.
    #[cold]
    fn drop_body(&mut self) {
        let fresh = Self::new(self.spec, None);
        let mut run = mem::replace(self, fresh);
        run.phase = Phase::Dropping;
        if let Kept::Scope(scope, outside, _) = &mut run.kept {
            run.entered = Some(dying::enter(scope, outside.as_ref()));
        }
        drop(dying::keep(run)); // comes back only where a thread is torn down
    }

    /// Whether an end has to be told to anybody.
    #[inline]
    pub(super) const fn has_to_tell(&self) -> bool {
        self.watched || self.metering.is_on() || matches!(self.counted, Counted::Driven)
    }

    /// One step through the state machine; `None` (and no event) for one that is not legal.
    fn advance(&mut self, to: State) -> Option<EventKind> {
        let event = transition(Entity::Step, self.state, to).ok()?;
        self.state = to;
        Some(event)
    }

    /// The number of the attempt that is next or under way, from 1.
    pub(super) const fn attempt_number(&self) -> u32 {
        self.attempt
    }

    /// An engine's attempt has ended, and whether another follows is the engine's business. The step as the next attempt has
    /// to name it.
    pub(super) fn leave(&mut self) -> StepAttempt {
        if self.phase != Phase::Off {
            self.phase = Phase::Over;
        }
        let step = self.task().map(|(task, place)| GivenStep { nonce: task.nonce(), number: place.number });
        StepAttempt::of(self.attempt, step)
    }

    /// Whether no attempt follows the one that is next.
    pub(super) fn is_last(&self) -> bool {
        self.attempt >= self.limit()
    }

    /// How many attempts there are in all.
    fn limit(&self) -> u32 {
        match self.engine() {
            Some(engine) => engine.retry_limit(self.spec.retry_limit),
            None => self.spec.retry_limit,
        }
    }

    /// The engine that counts the attempts, if one does.
    #[inline]
    fn engine(&self) -> Option<&Engine> {
        if matches!(self.counted, Counted::Driven) { self.task()?.0.engine() } else { None }
    }

    /// Begins to wait for the next attempt.
    pub(super) fn begin_wait(&mut self, delay: Duration) {
        self.set_hold((!delay.is_zero()).then(|| Hold::Wait(Wait::new(delay))));
    }

    /// Whether a wait is under way; polls it.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(Hold::Wait(wait)) = self.hold_mut() {
            ready!(wait.poll(cx));
            self.set_hold(None);
        }
        Poll::Ready(())
    }
}

/// What a step finds itself in.
enum Found {
    Task,
    Telemetry,
    /// In a telemetry that is off.
    Off,
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_stays_small() {
        assert!(size_of::<StepRun>() <= 152, "{} bytes", size_of::<StepRun>());
    }
}
