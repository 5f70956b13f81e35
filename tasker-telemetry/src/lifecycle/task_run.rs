//! The life of one task, from its first poll to its end. Not generic: what the body returns is `future.rs`'s business.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use std::thread;

use super::TaskCore;
use super::TaskIdArg;
use super::dying;
use super::inside::{Outside, inside};
use crate::catalog::TaskSpec;
use crate::classify::ErrorView;
use crate::event::EventKind;
use crate::failure::Failure;
use crate::log_span::LogSpan;
use crate::metrics::Took;
#[cfg(feature = "_store")]
use crate::publisher::Record;
use crate::publisher::{Fact, Reason, TaskEnd};
use crate::scope::{self, Scope};
use crate::state::{Entity, State, transition};
use crate::telemetry;
use crate::time::{Moment, Timestamp};
use crate::value::Fields;

/// See the module.
pub(crate) struct TaskRun {
    spec: &'static TaskSpec,
    id: TaskIdArg,
    fields: Fields,
    scope: Scope,
    outside: Outside,
    started: Option<Moment>,
    state: State,
    phase: Phase,
    /// While the body is dropped: whether the thread was polling before.
    was_polling: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not polled yet: nothing has happened.
    New,
    /// Telemetry is off: nothing will.
    Off,
    Running,
    /// The body is being dropped before its end, inside the task's scope.
    Dropping,
    Over,
}

impl TaskRun {
    pub(super) const fn new(spec: &'static TaskSpec, id: TaskIdArg, fields: Fields) -> Self {
        let (state, phase) = (State::Pending, Phase::New);
        Self {
            spec,
            id,
            fields,
            scope: Scope::Empty,
            outside: Outside::NOTHING,
            started: None,
            state,
            phase,
            was_polling: false,
        }
    }

    /// Whether the body runs without us.
    #[inline]
    pub(super) fn is_off(&mut self) -> bool {
        if self.phase == Phase::New {
            self.begin();
        }
        self.phase == Phase::Off
    }

    #[inline(never)]
    fn begin(&mut self) {
        let core = match telemetry::current() {
            Some(core) => core,
            // The bound on concurrent steps is the program's behaviour, not telemetry: it holds without telemetry, too.
            None if self.spec.max_concurrent_steps > 0 => telemetry::silent(),
            None => {
                self.phase = Phase::Off;
                return;
            }
        };
        self.phase = Phase::Running;
        if let Some(task) = self.continued() {
            return self.go_on(task);
        }
        core.task_began();
        let task = TaskCore::new(core, self.spec, self.id.take().unwrap_or_default(), self.fields.take());
        if let Some(metrics) = task.metrics() {
            metrics.began();
        }
        if let Some(trace) = task.trace() {
            self.outside.spot = trace.spot();
        }
        self.outside.log = LogSpan::of_task(&task);
        if task.is_watched() || task.metrics().is_some() {
            let now = Moment::now();
            self.started = Some(now);
            task.begins(now.timestamp());
            task.emit(EventKind::TaskInitializeRequested, now.timestamp(), None, || Fact::Bare);
            if let Some(event) = advance(&mut self.state, State::InProgress) {
                task.emit(event, now.timestamp(), None, || Fact::Bare);
            }
        }
        self.scope = Scope::of_task(task);
    }

    /// The task that was taken up around it and is this one: it goes on here instead of beginning anew.
    fn continued(&self) -> Option<Arc<TaskCore>> {
        scope::with_current(|around| match around {
            Scope::Task(task, None, _) if task.is_resumed() && self.is_run_of(task) && task.goes_on() => {
                Some(Arc::clone(task))
            }
            _ => None,
        })
    }

    fn is_run_of(&self, task: &TaskCore) -> bool {
        let id = self.id.as_ref().and_then(|ids| ids.id.as_deref());
        task.name() == self.spec.name && id.is_none_or(|id| id == task.id().as_str())
    }

    fn go_on(&mut self, task: Arc<TaskCore>) {
        if let Some(trace) = task.trace() {
            self.outside.spot = trace.spot();
        }
        self.outside.log = LogSpan::of_task(&task);
        self.state = State::InProgress;
        self.started = Some(Moment::now());
        self.scope = Scope::of_task(task);
    }

    /// Whether the body is under way.
    pub(super) const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    /// Runs the body inside the task. `Err`: it panicked.
    #[inline]
    pub(super) fn inside<R>(&mut self, polling: bool, body: impl FnOnce() -> R) -> thread::Result<R> {
        inside(&mut self.scope, Some(&self.outside), polling, body)
    }

    /// The body is about to be dropped, and this after it: a body that did not come to its end is dropped in its scope.
    #[inline]
    pub(super) fn before_drop_of_body(&mut self) {
        if self.phase == Phase::Running {
            self.phase = Phase::Dropping;
            self.was_polling = dying::enter(&mut self.scope, Some(&self.outside));
        }
    }

    /// Whether an end has to be told to anybody: if not, spare the work of finding out what it was.
    pub(super) const fn is_watched(&self) -> bool {
        self.started.is_some()
    }

    /// Nobody has to be told.
    pub(super) fn finish_silently(&mut self) {
        self.phase = Phase::Over;
    }

    #[inline(never)]
    pub(super) fn completed(&mut self) {
        self.end(State::Complete, Moment::now(), None);
    }

    #[inline(never)]
    pub(super) fn failed(&mut self, error: &ErrorView<'_>, kind: Option<&'static str>) {
        let end = Moment::now(); // before anything is done about the error: that is not the body's time
        let failure = self.listened_to().map(|task| Failure::of_error(error, kind, false, Some(task)));
        self.end(State::Error, end, failure);
    }

    #[cold]
    pub(super) fn panicked(&mut self, panic: &(dyn Any + Send)) {
        if self.is_watched() {
            let end = Moment::now();
            let failure = self.listened_to().map(|task| Failure::of_panic_in(panic, Some(task)));
            self.end(State::Error, end, failure);
        }
        self.phase = Phase::Over;
    }

    /// The task, if anybody gets events, so that a failure is worth writing out.
    fn listened_to(&self) -> Option<&TaskCore> {
        match &self.scope {
            Scope::Task(task, ..) if task.is_watched() => Some(task),
            _ => None,
        }
    }

    fn end(&mut self, state: State, end: Moment, failure: Option<Failure>) {
        self.phase = Phase::Over;
        let (Scope::Task(task, ..), Some(started)) = (&self.scope, self.started) else { return };
        if let Some(event) = advance(&mut self.state, state) {
            end_task(task, event, started, end, failure.map(Arc::new));
        }
    }
}

impl Drop for TaskRun {
    fn drop(&mut self) {
        match self.phase {
            Phase::Running => {}
            Phase::Dropping => {
                dying::leave(&mut self.scope, self.was_polling);
            }
            Phase::New | Phase::Off | Phase::Over => return,
        }
        let (Scope::Task(task, ..), Some(started)) = (&self.scope, self.started) else { return };
        if let Some(event) = advance(&mut self.state, State::Cancelled) {
            end_task(task, event, started, Moment::now(), None);
        }
    }
}

/// One step through the state machine; `None` (and no event) for one that is not legal.
fn advance(state: &mut State, to: State) -> Option<EventKind> {
    let event = transition(Entity::Task, *state, to).ok()?;
    *state = to;
    Some(event)
}

/// The one place where a task's end becomes an event: also for the task that a lone step is. A task that was handed over goes
/// on elsewhere, and ends there.
pub(super) fn end_task(
    task: &Arc<TaskCore>,
    event: EventKind,
    started: Moment,
    end: Moment,
    failure: Option<Arc<Failure>>,
) {
    if task.is_handed_over() {
        if let Some(metrics) = task.metrics() {
            metrics.handed_over();
        }
        return;
    }
    if task.is_resumed() && !task.ends() {
        return; // told already, by the function that it is or by whoever took it up
    }
    let end = started.dated(end);
    let (started_at, nanos) = body_time(task, started, end);
    if let Some(metrics) = task.metrics() {
        let trace = || task.exemplar();
        let took = Took { nanos, end_unix_nanos: end.timestamp().as_unix_nanos(), trace };
        match event {
            EventKind::TaskCompleted => metrics.completed(took),
            EventKind::TaskCancelled => metrics.cancelled(),
            _ => metrics.failed(took),
        }
    }
    task.emit(event, end.timestamp(), None, || {
        let reason = (event == EventKind::TaskCancelled).then(|| Reason::Dropped.as_str().into());
        ended(task, started_at, nanos, failure, reason)
    });
    task.decide(event == EventKind::TaskFailed);
}

/// The end of a task that runs nowhere, for those who tell it when the store has agreed.
#[cfg(feature = "_store")]
pub(super) fn cancelled(task: &Arc<TaskCore>, now: Moment, reason: Cow<'static, str>) -> Record {
    let (started_at, nanos) = body_time(task, now, now);
    let kind = EventKind::TaskCancelled;
    Record {
        kind,
        sequence: task.next_event(kind),
        at: now.timestamp(),
        task: Some(Arc::clone(task)),
        step: None,
        fact: ended(task, started_at, nanos, None, Some(reason)),
        follows: false,
    }
}

fn body_time(task: &TaskCore, started: Moment, end: Moment) -> (Timestamp, u64) {
    match task.origin() {
        None => (started.timestamp(), started.nanos_until(end)),
        // Two machines, two clocks: never negative, and as true as they agree.
        Some(origin) => {
            let took = end.timestamp().saturating_duration_since(origin.started_at);
            (origin.started_at, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))
        }
    }
}

fn ended(
    task: &TaskCore,
    started_at: Timestamp,
    nanos: u64,
    failure: Option<Arc<Failure>>,
    reason: Option<Cow<'static, str>>,
) -> Fact {
    let counts = task.counts();
    Fact::TaskEnded(Arc::new(TaskEnd {
        started_at,
        nanos,
        total_steps: counts.total,
        completed_steps: counts.completed,
        failed_steps: counts.failed,
        failure,
        reason,
    }))
}
