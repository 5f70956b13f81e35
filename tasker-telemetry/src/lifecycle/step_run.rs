//! The life of one step: its attempts, the waits between them, its end. Not generic: what the body returns is
//! `future.rs`'s business.

mod meter;

use std::any::Any;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_lock::SemaphoreGuardArc;
use async_lock::futures::AcquireArc;
use tracing::span::EnteredSpan;

use self::meter::Metering;
use super::TaskCore;
use super::task_run::end_task;
use super::wait::Wait;
use crate::catalog::StepSpec;
use crate::classify::{ErrorView, RetryAdvice};
use crate::event::EventKind;
use crate::failure::Failure;
use crate::log_span::LogSpan;
use crate::metrics::error_type;
use crate::otel::{Attached, Spot};
use crate::publisher::{Fact, Inputs, Reason, StepPlace};
use crate::retry::LONGEST_WAIT;
use crate::scope::{self, Entered, Lent, Permit, Scope};
use crate::state::{Entity, State, transition};
use crate::telemetry;
use crate::time::Moment;
use crate::trace::SpanId;
use crate::value::Fields;

/// See the module.
///
/// A part of the step's future, so it is kept small: what few steps need is boxed, what a task can keep is the task's.
pub(crate) struct StepRun {
    spec: &'static StepSpec,
    kept: Kept,
    /// The attempt's span, as other libraries see it.
    spot: Spot,
    log: LogSpan,
    /// `None` when nobody listens.
    times: Option<Times>,
    /// From 1. Kept here as well as in the scope: attempts are counted when telemetry is off, too.
    attempt: u32,
    state: State,
    phase: Phase,
    /// Somebody listens: moments are taken, and events built.
    watched: bool,
    /// The step is a task of its own.
    owns_task: bool,
    /// While the body is dropped in the step's scope: whether the thread was polling before.
    entered: Option<bool>,
    metering: Metering,
}

/// Whatever has to be dropped. One question when telemetry is off, not one for each field: those took 60 instructions of
/// the 200 that a step cost.
#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    /// The values of `fields(..)`, before the first poll.
    Fields(Box<[crate::value::Value]>),
    /// From the first poll on.
    Scope(Scope, Option<Box<Rare>>),
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
    /// The next attempt has not asked to run yet.
    Ready,
    /// It has, and waits for its permit.
    Asked,
    /// The body runs.
    Running,
    /// The body is being dropped before its end, inside the step's scope.
    Dropping,
    Over,
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

/// What is told of a failed attempt.
struct Told {
    /// Written out for listeners only.
    failure: Option<Arc<Failure>>,
    retryable: bool,
    /// For the metrics only.
    error_type: &'static str,
}

/// When an attempt ended, and how long its body ran.
#[derive(Clone, Copy)]
struct Ended {
    end: Moment,
    nanos: u64,
    queue_nanos: u64,
}

impl StepRun {
    #[inline]
    pub(super) fn new(spec: &'static StepSpec, fields: Fields) -> Self {
        Self {
            spec,
            kept: match fields {
                None => Kept::Nothing,
                Some(fields) => Kept::Fields(fields),
            },
            spot: Spot::none(),
            log: LogSpan::none(),
            times: None,
            attempt: 1,
            state: State::Pending,
            phase: Phase::New,
            watched: false,
            owns_task: false,
            entered: None,
            metering: Metering::Off,
        }
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

    /// Begins, in the scope around it if nobody is to be told of the step and it has nothing to wait for. `true`: the body is
    /// next, and then it is over, unless [`keep`](Self::keep) says that it is not.
    #[inline]
    pub(super) fn begin_lent(&mut self, polls: bool, lent: &mut Lent) -> bool {
        let begun = lent.begin(self.spec, polls);
        if begun {
            self.phase = Phase::Over;
        }
        begun
    }

    /// Begins: finds the task, or makes one. `false`: telemetry is off here.
    #[inline(never)]
    pub(super) fn begin(&mut self) -> bool {
        let found = scope::with_here(|here| {
            let permit = match &here.scope {
                Scope::Step(_, _, permit) => *permit,
                _ => Permit::NotHeld,
            };
            if let Some(task) = here.scope.task() {
                self.watched = task.is_watched();
                self.metering = if task.metrics().is_some() { Metering::Step } else { Metering::Off };
                let place = StepPlace { spec: self.spec, number: task.next_step(), attempt: 1, parent: 0 };
                let scope = Scope::Step(Arc::clone(task), place, permit);
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
        let is_free = !self.is_watched() && self.permit_needed().is_none();
        self.phase = if is_free { Phase::Running } else { Phase::Ready };
        true
    }

    /// The first poll, in a lent scope, has ended before the body did.
    #[cold]
    pub(super) fn keep(&mut self, lent: Lent) {
        self.set_scope(lent.keep());
        self.phase = Phase::Running;
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
        self.set_scope(Scope::Light(core, self.spec, 1));
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
        let place = StepPlace { spec: self.spec, number: task.next_step(), attempt: 1, parent: 0 };
        self.set_scope(Scope::Step(task, place, Permit::NotHeld));
    }

    #[inline]
    fn set_scope(&mut self, scope: Scope) {
        if let Kept::Nothing = self.kept {
            // There is nothing in it: forgotten, it is not asked again what it holds (30 instructions).
            mem::forget(mem::replace(&mut self.kept, Kept::Scope(scope, None)));
        } else {
            self.replace_scope(scope);
        }
    }

    #[cold]
    fn replace_scope(&mut self, scope: Scope) {
        let rare = match mem::take(&mut self.kept) {
            Kept::Fields(fields) => Some(Box::new(Rare { fields: Some(fields), ..Rare::default() })),
            Kept::Scope(_, rare) => rare,
            Kept::Nothing => None,
        };
        self.kept = Kept::Scope(scope, rare);
    }

    /// `None` before the first poll and when telemetry is off.
    const fn scope(&self) -> Option<&Scope> {
        match &self.kept {
            Kept::Scope(scope, _) => Some(scope),
            Kept::Nothing | Kept::Fields(_) => None,
        }
    }

    const fn scope_mut(&mut self) -> Option<&mut Scope> {
        match &mut self.kept {
            Kept::Scope(scope, _) => Some(scope),
            Kept::Nothing | Kept::Fields(_) => None,
        }
    }

    fn rare(&self) -> Option<&Rare> {
        match &self.kept {
            Kept::Scope(_, rare) => rare.as_deref(),
            Kept::Nothing | Kept::Fields(_) => None,
        }
    }

    fn hold_mut(&mut self) -> Option<&mut Hold> {
        match &mut self.kept {
            Kept::Scope(_, Some(rare)) => rare.hold.as_mut(),
            _ => None,
        }
    }

    fn set_hold(&mut self, hold: Option<Hold>) {
        if !matches!(self.kept, Kept::Scope(..)) {
            self.kept = Kept::Scope(Scope::Empty, None); // a backoff, with telemetry off
        }
        if let Kept::Scope(_, rare) = &mut self.kept
            && (hold.is_some() || rare.is_some())
        {
            rare.get_or_insert_default().hold = hold;
        }
    }

    fn task(&self) -> Option<(&Arc<TaskCore>, StepPlace)> {
        match self.scope()? {
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
    pub(super) fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.phase == Phase::Ready {
            if self.permit_needed().is_none() {
                self.ask_and_start();
                return Poll::Ready(());
            }
            self.ask();
            if let Some((semaphore, _)) = self.permit_needed() {
                let permit = Box::pin(semaphore.acquire_arc());
                self.set_hold(Some(Hold::Awaited(permit)));
            }
        }
        if let Some(Hold::Awaited(permit)) = self.hold_mut() {
            let guard = ready!(permit.as_mut().poll(cx));
            self.set_hold(Some(Hold::Permit(guard)));
        }
        self.start();
        Poll::Ready(())
    }

    /// The same for a plain function, which waits by blocking.
    #[inline(never)]
    pub(super) fn start_blocking(&mut self) {
        if self.permit_needed().is_none() {
            self.ask_and_start();
            return;
        }
        self.ask();
        if let Some((semaphore, task)) = self.permit_needed() {
            if !scope::is_polling() {
                let guard = semaphore.acquire_arc_blocking();
                self.set_hold(Some(Hold::Permit(guard)));
            } else if let Some(guard) = semaphore.try_acquire_arc() {
                self.set_hold(Some(Hold::Permit(guard)));
            } else {
                // This thread drives the futures that hold the permits: blocking it might be for ever.
                task.core().concurrency_overrun();
            }
        }
        self.start();
    }

    fn permit_needed(&self) -> Option<(&Arc<async_lock::Semaphore>, &Arc<TaskCore>)> {
        match self.scope()? {
            Scope::Step(task, _, Permit::NotHeld) => task.permits().map(|permits| (permits, task)),
            _ => None,
        }
    }

    /// The attempt asks to run, and has nothing to wait for.
    fn ask_and_start(&mut self) {
        if !self.prepare() {
            self.phase = Phase::Running;
            return;
        }
        let Some(Times { asked: now, .. }) = self.times else { return };
        match self.scope() {
            Some(Scope::Step(task, place, _)) if task.wants_begun() && self.state == State::Pending => {
                task.emit_begun(now.timestamp(), *place, self.inputs());
                self.advance(State::InProgress);
                self.phase = Phase::Running;
                self.meter_start(0);
                self.find_spot();
            }
            _ => {
                self.tell_asked(now);
                self.start();
            }
        }
    }

    fn ask(&mut self) {
        self.phase = Phase::Asked;
        if self.prepare()
            && let Some(Times { asked, .. }) = self.times
        {
            self.tell_asked(asked);
        }
    }

    /// Takes down when the attempt asks to run, if anybody wants to know.
    fn prepare(&mut self) -> bool {
        if !self.is_watched() {
            return false;
        }
        let now = Moment::now();
        self.times = Some(Times { asked: now, started: now });
        if self.attempt == 1 {
            self.find_parent();
            self.mask_fields();
        }
        true
    }

    fn tell_asked(&self, now: Moment) {
        self.emit(EventKind::StepExecutionRequested, now, || self.inputs().map_or(Fact::Bare, Fact::Inputs));
    }

    /// Finds the span that this one's is a child of.
    fn find_parent(&mut self) {
        let Some(Scope::Step(task, place, _)) = self.scope_mut() else { return };
        if let Some(trace) = task.trace().filter(|trace| trace.is_recorded()) {
            place.parent = trace.parent_of_step(|| scope::step_span_in(task));
        }
    }

    /// From here on there are only values that may be shown.
    fn mask_fields(&mut self) {
        let spec = self.spec;
        if let Kept::Scope(Scope::Step(task, ..), Some(rare)) = &mut self.kept
            && let Some(fields) = rare.fields.take()
        {
            let (inputs, masked) = task.core().filter().fields(spec, "step_inputs", spec.fields, fields);
            task.secrets().add(masked);
            rare.inputs = Some(Arc::new(inputs));
        }
    }

    fn inputs(&self) -> Option<Inputs> {
        self.rare()?.inputs.clone()
    }

    fn start(&mut self) {
        self.phase = Phase::Running;
        let waited = self.has_permit();
        if waited && let Some(Scope::Step(_, _, permit)) = self.scope_mut() {
            *permit = Permit::Held;
        }
        let Some(Times { asked, started }) = &mut self.times else { return };
        // Without a wait the two moments are one: it saves reading the clock again.
        if waited {
            *started = asked.later();
        }
        let (asked, now) = (*asked, *started);
        if let Some(event) = self.advance(State::InProgress) {
            let queue_nanos = asked.nanos_until(now);
            self.meter_start(queue_nanos);
            self.emit(event, now, || Fact::Started { queue_nanos });
            self.find_spot();
        }
    }

    /// Makes the attempt's span what other libraries see. In a task whose spans nobody wants, the task's own serves all steps.
    fn find_spot(&mut self) {
        let owns_task = self.owns_task;
        let spot = self.task().and_then(|(task, place)| {
            let trace = task.trace().filter(|trace| owns_task || trace.is_recorded())?;
            let span = SpanId::of_step(task.nonce(), place.number, place.attempt);
            Some(Spot::of_step(trace, span))
        });
        if let Some(spot) = spot {
            self.spot = spot;
        }
        if let Some((task, place)) = self.task() {
            self.log = LogSpan::of_step(task, place);
        }
    }

    fn has_permit(&self) -> bool {
        matches!(self.rare(), Some(Rare { hold: Some(Hold::Permit(_)), .. }))
    }

    /// Makes the step the current scope, for as long as the answer lives.
    #[inline]
    pub(super) fn enter(&mut self, polling: bool) -> (Option<Entered<'_>>, Attached, Option<EnteredSpan>) {
        // A layer of `tracing` may have a context of its own for the log's span: ours comes after it.
        let log = self.log.enter();
        let attached = self.spot.attach();
        (self.scope_mut().map(|scope| Entered::new(scope, polling)), attached, log)
    }

    /// The body is about to be dropped, and this after it: a body that did not come to its end is dropped in its scope.
    #[inline]
    pub(super) fn before_drop_of_body(&mut self) {
        if self.phase == Phase::Running {
            self.enter_for_drop();
        }
    }

    #[cold]
    fn enter_for_drop(&mut self) {
        self.phase = Phase::Dropping;
        if let Some(scope) = self.scope_mut() {
            let was_polling = scope::exchange(scope, true);
            self.entered = Some(was_polling);
        }
    }

    /// Whether an end has to be told to anybody.
    #[inline]
    pub(super) const fn is_watched(&self) -> bool {
        self.watched || self.metering.is_on()
    }

    /// Nobody has to be told how it ended.
    #[inline]
    pub(super) fn finish_silently(&mut self) {
        self.phase = Phase::Over;
        self.release();
    }

    #[inline(never)]
    pub(super) fn completed(&mut self) {
        self.phase = Phase::Over;
        self.release();
        let Some(Ended { end, nanos, queue_nanos }) = self.ended() else { return };
        if let Some(event) = self.advance(State::Complete) {
            if let Some((task, _)) = self.task() {
                task.step_completed();
            }
            self.emit(event, end, || Fact::Completed { nanos, queue_nanos, inputs: self.inputs() });
            self.meter_completed(end, nanos);
            self.tell_processing(end, nanos);
        }
        self.end_own_task(State::Complete, end, None);
    }

    /// An attempt ended with an error. Says whether another follows.
    #[inline(never)]
    pub(super) fn failed(
        &mut self,
        error: &ErrorView<'_>,
        advice: Option<RetryAdvice>,
        kind: Option<&'static str>,
    ) -> Next {
        let ended = self.ended(); // before anything is done about the error: that is not the body's time
        let (retryable, delay) = self.judge(advice);
        let next = if retryable && self.attempt < self.spec.retry_limit {
            Next::Again(delay.unwrap_or_else(|| self.spec.backoff.draw_after(self.attempt)))
        } else {
            Next::End
        };
        let write = |task| Failure::of_error(error, kind, retryable, task).with_inputs(self.inputs());
        let failure = self.watched.then(|| Arc::new(write(self.task().map(|(task, _)| &**task))));
        let error_type = || failure.as_ref().map_or_else(|| error_type(error, kind), |failure| failure.error_type());
        let error_type = if self.metering.is_on() { error_type() } else { "" };
        self.attempt_failed(&Told { failure, retryable, error_type }, ended, next, delay.is_some());
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
        let ended = self.ended();
        let write = |task| Failure::of_panic_in(panic, task).with_inputs(self.inputs());
        let failure = self.watched.then(|| Arc::new(write(self.task().map(|(task, _)| &**task))));
        let error_type = crate::event::error_type(Some("panic"));
        self.attempt_failed(&Told { failure, retryable: false, error_type }, ended, Next::End, false);
    }

    fn attempt_failed(&mut self, told: &Told, ended: Option<Ended>, next: Next, server_requested: bool) {
        self.release();
        if self.phase != Phase::Off {
            self.phase = match next {
                Next::Again(_) => Phase::Ready,
                Next::End => Phase::Over,
            };
        }
        if let Some(ended) = ended {
            self.tell_failure(told, next, server_requested, ended);
        }
        if let Next::Again(_) = next {
            self.attempt = self.attempt.saturating_add(1);
            if let (Some(times), Some(ended)) = (&mut self.times, ended) {
                *times = Times { asked: ended.end, started: ended.end }; // from now on it waits
            }
            let number = self.attempt;
            match self.scope_mut() {
                Some(Scope::Step(_, place, _)) => place.attempt = number,
                Some(Scope::Light(_, _, attempt)) => *attempt = number,
                _ => {}
            }
        }
    }

    fn tell_failure(&mut self, told: &Told, next: Next, server_requested: bool, ended: Ended) {
        let Ended { end, nanos, queue_nanos } = ended;
        let Some(event) = self.advance(State::Error) else { return };
        // Facts are built for listeners only, and for them the failure was written out.
        let failure = || told.failure.clone().unwrap_or_default();
        let retried = matches!(next, Next::Again(_));
        self.emit(event, end, || Fact::Failed { nanos, queue_nanos, retried, failure: failure() });
        self.meter_failed(end, nanos, told.error_type, next);
        self.tell_processing(end, nanos);
        match next {
            Next::Again(wait) => {
                let wait_nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
                let fact = || Fact::Wait { wait_nanos, server_requested, failure: failure() };
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
                if told.retryable {
                    self.emit(EventKind::StepMaxRetriesReached, end, || Fact::Exhausted(failure()));
                }
                self.end_own_task(State::Error, end, told.failure.clone());
            }
        }
    }

    /// What the attempt used, for those who asked for it.
    fn tell_processing(&self, end: Moment, nanos: u64) {
        if let (Some((task, _)), Some(Times { asked, started })) = (self.task(), self.times)
            && task.core().tells_step_processing()
        {
            let queue_nanos = asked.nanos_until(started);
            self.emit(EventKind::ObservabilityStepProcessing, end, || Fact::Processing { nanos, queue_nanos });
        }
    }

    /// When the attempt ended and how long its body ran; `None` when nobody is told.
    fn ended(&self) -> Option<Ended> {
        let Times { asked, started } = self.times?;
        let end = started.later();
        Some(Ended { end, nanos: started.nanos_until(end), queue_nanos: asked.nanos_until(started) })
    }

    #[inline]
    fn release(&mut self) {
        if self.rare().is_some() {
            self.release_permit();
        }
    }

    #[cold]
    fn release_permit(&mut self) {
        if self.has_permit() {
            self.set_hold(None);
            if let Some(Scope::Step(_, _, permit)) = self.scope_mut() {
                *permit = Permit::NotHeld;
            }
        }
    }

    /// The step's own task and when it began, if the step is a task of its own.
    fn own_task(&self) -> Option<(&Arc<TaskCore>, Moment)> {
        match self.task() {
            Some((task, _)) if self.owns_task => Some((task, task.begun()?)),
            _ => None,
        }
    }

    fn end_own_task(&mut self, state: State, end: Moment, failure: Option<Arc<Failure>>) {
        if let Some((task, begun)) = self.own_task()
            && let Ok(event) = transition(Entity::Task, State::InProgress, state)
        {
            end_task(task, event, begun, end, failure);
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

impl Drop for StepRun {
    #[inline]
    fn drop(&mut self) {
        if self.phase == Phase::Dropping || (self.is_watched() && self.phase != Phase::Over) {
            self.dropped();
        }
    }
}

impl StepRun {
    #[cold]
    fn dropped(&mut self) {
        if self.phase == Phase::Dropping
            && let Some(was_polling) = self.entered.take()
            && let Some(scope) = self.scope_mut()
        {
            scope::exchange(scope, was_polling);
        }
        // `Ready` after a failed attempt: dropped in the wait for the next one.
        let under_way = matches!(self.phase, Phase::Running | Phase::Dropping | Phase::Asked)
            || (self.phase == Phase::Ready && self.attempt > 1);
        if !under_way || !self.is_watched() {
            return;
        }
        let was_running = self.state == State::InProgress;
        if let Some(event) = self.advance(State::Cancelled) {
            if self.watched {
                self.tell_cancelled(event, was_running);
            }
            self.meter_cancelled(was_running);
        }
        self.end_own_task(State::Cancelled, Moment::now(), None);
    }

    fn tell_cancelled(&self, event: EventKind, ran: bool) {
        // A moment of its own only where nobody kept the times, which somebody who listens always does.
        let since = if ran { self.times.map(|times| times.started) } else { self.times.map(|times| times.asked) };
        let since = since.unwrap_or_else(Moment::now);
        let end = since.later();
        let took = since.nanos_until(end);
        let queue_nanos = match self.times {
            Some(Times { asked, started }) if ran => asked.nanos_until(started),
            _ => took,
        };
        let nanos = if ran { took } else { 0 };
        let inputs = self.inputs();
        self.emit(event, end, || Fact::Cancelled { nanos, queue_nanos, ran, reason: Reason::Dropped, inputs });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_stays_small() {
        assert!(size_of::<StepRun>() <= 144, "{} bytes", size_of::<StepRun>());
    }
}
