//! The life of one step: its attempts, the waits between them, its end. Not generic: what the body returns is
//! `future.rs`'s business.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_lock::SemaphoreGuardArc;
use async_lock::futures::AcquireArc;

use super::TaskCore;
use super::task_run::{DROPPED, cancel_task, end_task};
use super::wait::Wait;
use crate::catalog::StepSpec;
use crate::classify::{ErrorView, RetryAdvice};
use crate::event::EventKind;
use crate::failure::Failure;
use crate::publisher::{Fact, StepPlace};
use crate::retry::LONGEST_WAIT;
use crate::scope::{self, Entered, Permit, Scope};
use crate::state::{Entity, State, transition};
use crate::telemetry;
use crate::time::Moment;
use crate::value::Fields;

/// See the module.
pub(crate) struct StepRun {
    spec: &'static StepSpec,
    fields: Fields,
    scope: Scope,
    /// From 1. Kept here as well as in the scope: attempts are counted when telemetry is off, too.
    attempt: u32,
    state: State,
    phase: Phase,
    /// The step is a task of its own.
    owns_task: bool,
    /// Somebody listens: moments are taken, and events built.
    watched: bool,
    begun: Option<Moment>,
    asked: Option<Moment>,
    started: Option<Moment>,
    permit: Permission,
    wait: Option<Wait>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not polled yet: nothing has happened.
    New,
    /// Telemetry is off: nothing will, but for the attempts.
    Off,
    /// The next attempt has not asked to run yet.
    Ready,
    /// It has, and waits for its permit.
    Asked,
    /// The body runs.
    Running,
    Over,
}

/// The right to run, in a task that bounds how many of its steps do.
enum Permission {
    NotNeeded,
    Awaited(Pin<Box<AcquireArc>>),
    Held(#[allow(dead_code, reason = "held for its drop")] SemaphoreGuardArc),
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
    pub(super) const fn new(spec: &'static StepSpec, fields: Fields) -> Self {
        Self {
            spec,
            fields,
            scope: Scope::Empty,
            attempt: 1,
            state: State::Pending,
            phase: Phase::New,
            owns_task: false,
            watched: false,
            begun: None,
            asked: None,
            started: None,
            permit: Permission::NotNeeded,
            wait: None,
        }
    }

    /// Whether the body runs without us.
    #[inline]
    pub(super) fn is_off(&mut self) -> bool {
        if self.phase == Phase::New {
            if telemetry::is_on() {
                self.begin();
            } else {
                self.phase = Phase::Off;
            }
        }
        self.phase == Phase::Off
    }

    /// Whether the body is under way already: the short way through each further poll.
    #[inline]
    pub(super) const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    /// Finds the task, or makes one.
    #[inline(never)]
    fn begin(&mut self) {
        let found = scope::with_current(|outer| {
            let permit = match outer {
                Scope::Step(_, _, permit) => *permit,
                _ => Permit::NotHeld,
            };
            match outer {
                Scope::Empty => Found::Outside(telemetry::installed()),
                Scope::Telemetry(core) => Found::Outside(Some(Arc::clone(core))),
                Scope::Task(..) | Scope::Step(..) | Scope::Light(..) => match outer.task() {
                    Some(task) => Found::Inside(Arc::clone(task), permit),
                    None => Found::Outside(None),
                },
            }
        });
        match found {
            Found::Inside(task, permit) => {
                self.watched = !task.core().publisher().is_silent();
                let place = StepPlace { spec: self.spec, number: task.next_step(), attempt: 1 };
                self.scope = Scope::Step(task, place, permit);
            }
            Found::Outside(Some(core)) if core.is_enabled() => {
                core.implicit_task_began();
                self.watched = !core.publisher().is_silent();
                if self.watched {
                    self.begin_task(core);
                } else {
                    self.scope = Scope::Light(core, self.spec, 1);
                }
            }
            Found::Outside(_) => {
                self.phase = Phase::Off;
                return;
            }
        }
        self.phase = Phase::Ready;
    }

    /// The step is a task of its own.
    fn begin_task(&mut self, core: Arc<telemetry::Core>) {
        let task = TaskCore::implicit(core, self.spec);
        let now = Moment::now();
        self.owns_task = true;
        self.begun = Some(now);
        task.emit(EventKind::TaskInitializeRequested, now.timestamp(), None, || Fact::Bare);
        task.emit(EventKind::TaskStartRequested, now.timestamp(), None, || Fact::Bare);
        let place = StepPlace { spec: self.spec, number: task.next_step(), attempt: 1 };
        self.scope = Scope::Step(task, place, Permit::NotHeld);
    }

    fn task(&self) -> Option<(&Arc<TaskCore>, StepPlace)> {
        match &self.scope {
            Scope::Step(task, place, _) => Some((task, *place)),
            _ => None,
        }
    }

    fn emit(&self, kind: EventKind, at: Moment, fact: impl FnOnce() -> Fact) {
        if let Some((task, place)) = self.task() {
            task.emit(kind, at.timestamp(), Some(place), fact);
        }
    }

    /// Brings the next attempt to the point where its body may run.
    #[inline(never)]
    pub(super) fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.phase == Phase::Ready {
            self.ask();
            if let Some((semaphore, _)) = self.permit_needed() {
                self.permit = Permission::Awaited(Box::pin(semaphore.acquire_arc()));
            }
        }
        if let Permission::Awaited(permit) = &mut self.permit {
            let guard = ready!(permit.as_mut().poll(cx));
            self.permit = Permission::Held(guard);
        }
        self.start();
        Poll::Ready(())
    }

    /// The same for a plain function, which waits by blocking.
    #[inline(never)]
    pub(super) fn start_blocking(&mut self) {
        self.ask();
        if let Some((semaphore, task)) = self.permit_needed() {
            if !scope::is_polling() {
                self.permit = Permission::Held(semaphore.acquire_arc_blocking());
            } else if let Some(guard) = semaphore.try_acquire_arc() {
                self.permit = Permission::Held(guard);
            } else {
                // This thread drives the futures that hold the permits: blocking it might be for ever.
                task.core().concurrency_overrun();
            }
        }
        self.start();
    }

    fn permit_needed(&self) -> Option<(&Arc<async_lock::Semaphore>, &Arc<TaskCore>)> {
        match &self.scope {
            Scope::Step(task, _, Permit::NotHeld) => task.permits().map(|permits| (permits, task)),
            _ => None,
        }
    }

    fn ask(&mut self) {
        self.phase = Phase::Asked;
        if self.watched {
            let now = Moment::now();
            self.asked = Some(now);
            self.emit(EventKind::StepExecutionRequested, now, || match &self.fields {
                Some(values) => Fact::Inputs(self.masked(values)),
                None => Fact::Bare,
            });
        }
    }

    fn masked(&self, values: &[crate::value::Value]) -> Arc<[crate::value::Value]> {
        match self.task() {
            Some((task, _)) => task.core().mask_fields(self.spec.fields, values.into()).into(),
            None => Arc::default(),
        }
    }

    fn start(&mut self) {
        self.phase = Phase::Running;
        if let (Permission::Held(_), Scope::Step(_, _, permit)) = (&self.permit, &mut self.scope) {
            *permit = Permit::Held;
        }
        let Some(asked) = self.asked else { return };
        // Without a wait the two moments are one: it saves reading the clock again.
        let now = if matches!(self.permit, Permission::NotNeeded) { asked } else { asked.dated(Moment::now()) };
        self.started = Some(now);
        if let Some(event) = self.advance(State::InProgress) {
            let queue_nanos = u64::try_from(asked.until(now).as_nanos()).unwrap_or(u64::MAX);
            self.emit(event, now, || Fact::Started { queue_nanos });
        }
    }

    /// Makes the step the current scope, for as long as the answer lives.
    pub(super) fn enter(&mut self, polling: bool) -> Entered<'_> {
        Entered::new(&mut self.scope, polling)
    }

    /// Whether an end has to be told to anybody.
    pub(super) const fn is_watched(&self) -> bool {
        self.watched
    }

    /// Nobody has to be told how it ended.
    pub(super) fn finish_silently(&mut self) {
        self.phase = Phase::Over;
        self.release();
    }

    #[inline(never)]
    pub(super) fn completed(&mut self) {
        self.phase = Phase::Over;
        self.release();
        let Some((end, nanos, started)) = self.ended() else { return };
        if let Some(event) = self.advance(State::Complete) {
            if let Some((task, _)) = self.task() {
                task.step_completed();
            }
            self.emit(event, end, || Fact::Completed { started_at: started.timestamp(), nanos });
        }
        self.end_own_task(State::Complete, None);
    }

    /// An attempt ended with an error. Says whether another follows.
    #[inline(never)]
    pub(super) fn failed(&mut self, error: &ErrorView<'_>, advice: Option<RetryAdvice>, kind: Option<&'static str>) -> Next {
        let (retryable, delay) = self.judge(advice);
        let next = match retryable && self.attempt < self.spec.retry_limit {
            true => Next::Again(delay.unwrap_or_else(|| self.spec.backoff.draw_after(self.attempt))),
            false => Next::End,
        };
        let failure = self.watched.then(|| Arc::new(Failure::of_error(error, kind, retryable)));
        self.attempt_failed(failure, next, delay.is_some());
        next
    }

    /// Whether the error is worth another attempt, and after which delay of its own.
    fn judge(&self, advice: Option<RetryAdvice>) -> (bool, Option<Duration>) {
        match advice {
            Some(RetryAdvice::Permanent) => (false, None),
            Some(RetryAdvice::RetryAfter(delay)) => (true, Some(delay.min(LONGEST_WAIT))),
            Some(_) => (true, None),
            // The error says nothing of itself: a step that was given retries is meant to use them.
            None => (self.spec.retry_limit > 1, None),
        }
    }

    #[cold]
    pub(super) fn panicked(&mut self, panic: &(dyn Any + Send)) {
        if self.phase == Phase::Off {
            return;
        }
        let failure = self.watched.then(|| Arc::new(Failure::of_panic(panic)));
        self.attempt_failed(failure, Next::End, false);
    }

    fn attempt_failed(&mut self, failure: Option<Arc<Failure>>, next: Next, server_requested: bool) {
        self.release();
        if self.phase != Phase::Off {
            self.phase = match next {
                Next::Again(_) => Phase::Ready,
                Next::End => Phase::Over,
            };
        }
        if let (Some(failure), Some((end, nanos, started))) = (failure, self.ended()) {
            self.tell_failure(&failure, next, server_requested, (end, nanos, started));
        }
        if let Next::Again(_) = next {
            self.attempt = self.attempt.saturating_add(1);
            match &mut self.scope {
                Scope::Step(_, place, _) => place.attempt = self.attempt,
                Scope::Light(_, _, attempt) => *attempt = self.attempt,
                _ => {}
            }
        }
    }

    fn tell_failure(&mut self, failure: &Arc<Failure>, next: Next, server_requested: bool, (end, nanos, started): (Moment, u64, Moment)) {
        let Some(event) = self.advance(State::Error) else { return };
        self.emit(event, end, || Fact::Failed { started_at: started.timestamp(), nanos, failure: Arc::clone(failure) });
        match next {
            Next::Again(wait) => {
                let wait_nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
                let strategy = if server_requested { "server_requested" } else { self.spec.backoff.strategy() };
                let fact = || Fact::Wait { wait_nanos, strategy, failure: Arc::clone(failure) };
                if let Some(event) = self.advance(State::Pending) {
                    self.emit(event, end, fact);
                }
                if !wait.is_zero() {
                    self.emit(EventKind::ObservabilityStepBackoff, end, fact);
                }
            }
            Next::End => {
                if let Some((task, _)) = self.task() {
                    task.step_failed();
                }
                if failure.retryable {
                    self.emit(EventKind::StepMaxRetriesReached, end, || Fact::Exhausted(Arc::clone(failure)));
                }
                self.end_own_task(State::Error, Some(Arc::clone(failure)));
            }
        }
    }

    /// When the attempt ended and how long its body ran; `None` when nobody is told.
    fn ended(&self) -> Option<(Moment, u64, Moment)> {
        let started = self.started?;
        let end = started.dated(Moment::now());
        Some((end, u64::try_from(started.until(end).as_nanos()).unwrap_or(u64::MAX), started))
    }

    fn release(&mut self) {
        if let Permission::Held(_) = std::mem::replace(&mut self.permit, Permission::NotNeeded)
            && let Scope::Step(_, _, permit) = &mut self.scope
        {
            *permit = Permit::NotHeld;
        }
    }

    fn end_own_task(&mut self, state: State, failure: Option<Arc<Failure>>) {
        if let (true, Some((task, _)), Some(begun)) = (self.owns_task, self.task(), self.begun)
            && let Ok(event) = transition(Entity::Task, State::InProgress, state)
        {
            end_task(task, event, begun, failure);
        }
    }

    /// One step through the state machine; `None` (and no event) for one that is not legal.
    fn advance(&mut self, to: State) -> Option<EventKind> {
        let event = transition(Entity::Step, self.state, to).ok()?;
        self.state = to;
        Some(event)
    }

    /// Whether no attempt follows the one that is next.
    pub(super) const fn is_last(&self) -> bool {
        self.attempt >= self.spec.retry_limit
    }

    /// Begins to wait for the next attempt.
    pub(super) fn begin_wait(&mut self, delay: Duration) {
        self.wait = (!delay.is_zero()).then(|| Wait::new(delay));
    }

    /// Whether a wait is under way; polls it.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.poll(cx));
            self.wait = None;
        }
        Poll::Ready(())
    }
}

enum Found {
    Inside(Arc<TaskCore>, Permit),
    Outside(Option<Arc<telemetry::Core>>),
}

impl Drop for StepRun {
    fn drop(&mut self) {
        // `Ready` after a failed attempt: dropped in the wait for the next one.
        let under_way = matches!(self.phase, Phase::Running | Phase::Asked) || (self.phase == Phase::Ready && self.asked.is_some());
        if !under_way || !self.watched {
            return;
        }
        if let Some(event) = self.advance(State::Cancelled) {
            self.emit(event, Moment::now(), || Fact::Reason(DROPPED));
        }
        if let (true, Some((task, _))) = (self.owns_task, self.task())
            && let Ok(event) = transition(Entity::Task, State::InProgress, State::Cancelled)
        {
            cancel_task(task, event);
        }
    }
}
