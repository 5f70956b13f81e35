//! A task that began in another process and goes on here.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;

use super::driven::{Attempt, Engine, Verdict, key_of, nonce_of};
use super::task_core::{Origin, TaskCore};
use super::task_run::end_task;
use crate::catalog::{Source, TaskSpec, task_named};
use crate::classify::{ErrorText, ErrorView};
use crate::event::EventKind;
use crate::failure::Failure;
use crate::id::{self, TaskId};
use crate::otel::Spot;
use crate::publisher::{Fact, StepPlace};
use crate::scope::{Entered, InScope, Scope, TaskScope};
use crate::state::{Entity, State, transition};
use crate::telemetry::{self, Core};
use crate::time::{Moment, Timestamp};
use crate::trace::{Carrier, TaskTrace};

impl TaskScope {
    /// Takes a task up that another process began: its steps run here, in the task's trace, under its root span. See
    /// [`Carrier`] for an example.
    ///
    /// The telemetry that applies here gets the events and spans; without one, the steps run without.
    #[must_use = "the task is taken up by what it returns"]
    pub fn resume(carrier: Carrier) -> ResumedTask {
        match telemetry::current() {
            Some(core) => take_up(core, carrier, None),
            None => ResumedTask { task: None, carrier },
        }
    }

    /// Steps that begin from here on in this attempt of an engine run again here, in this process, as often as they say
    /// themselves (`#[step(retry_limit = ..)]`), beginning with the engine's attempt number. For a unit of work of several
    /// steps that can fail: the engine could only run them all again.
    ///
    /// Does nothing in a task that no engine runs.
    pub fn retry_in_process(&self) {
        if let Some(engine) = self.core_of_task().engine() {
            engine.retry_in_process();
        }
    }

    /// Steps that begin from here on in this attempt of an engine are none of the engine's: they count from 1 and run again by
    /// themselves, as a step inside a step does. For what is done once when an attempt was the last: to give back what was taken.
    ///
    /// Does nothing in a task that no engine runs.
    pub fn apart_from_engine(&self) {
        if let Some(engine) = self.core_of_task().engine() {
            engine.stand_apart();
        }
    }

    /// What the steps of this attempt of an engine said so far; [`Verdict::Open`] in a task that no engine runs.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.core_of_task().engine().map(Engine::verdict).unwrap_or_default()
    }

    /// What must travel for the task to go on in another process, or for another process to run steps of it. This process
    /// still tells how the task ends; [`hand_over`](Self::hand_over) leaves that to the other one.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.core_of_task().carrier()
    }

    /// The same, and from now on this process tells nothing of the task's end: whoever takes the task up does.
    #[must_use = "the task goes on with what it returns, and nowhere else"]
    pub fn hand_over(&self) -> Carrier {
        self.core_of_task().send_off()
    }
}

/// Takes a task up for one attempt that an engine counts: a step that runs in it takes its attempt and its limit from there
/// and does not run again by itself. See [`driver`](crate::driver).
///
/// Without a telemetry the steps keep to that all the same: retries are the program's behaviour.
#[must_use = "the task is taken up by what it returns"]
pub fn resume(mut carrier: Carrier, attempt: Attempt) -> ResumedTask {
    let core = telemetry::current().unwrap_or_else(telemetry::silent);
    let now = Timestamp::now();
    if carrier.started_at_unix_nanos == 0 {
        carrier.started_at_unix_nanos = now.as_unix_nanos();
    }
    let engine = Engine::new(seed_of(&carrier), attempt, now);
    take_up(core, carrier, Some(engine))
}

/// What the ids of a task's steps grow from, also where a version that knew no engines wrote the carrier.
fn seed_of(carrier: &Carrier) -> u64 {
    carrier.seed.unwrap_or_else(|| nonce_of(key_of(&carrier.task_id), u64::from(carrier.run)))
}

fn take_up(core: Arc<Core>, mut carrier: Carrier, engine: Option<Engine>) -> ResumedTask {
    core.task_began();
    let id = TaskId::given(carrier.task_id.clone());
    let trace = core.tracing().map(|tracing| tracing.resume(&id, &carrier));
    let task = make(core, id, trace, &mut carrier, engine);
    if let Some(tracing) = task.core().tracing() {
        let spans = std::mem::take(&mut carrier.undecided);
        tracing.resumed(&task, carrier.started_at(), spans, carrier.undecided_lost);
    }
    ResumedTask::new(task, carrier)
}

fn make(
    core: Arc<Core>,
    id: TaskId,
    trace: Option<TaskTrace>,
    carrier: &mut Carrier,
    engine: Option<Engine>,
) -> Arc<TaskCore> {
    // The other process has masked by its rules; these are ours.
    for (name, value) in &mut carrier.context {
        core.filter().attribute(name, value);
    }
    let context = carrier.context.clone();
    let origin = Origin { started_at: carrier.started_at(), counts: carrier.counts(), context, seed: carrier.seed };
    let task = TaskCore::resumed(core, spec_named(&carrier.task_name), id, trace, origin, engine);
    if let Some(metrics) = task.metrics() {
        metrics.began();
    }
    task
}

/// A task that an engine is to run: see [`begin`].
#[derive(Debug, Clone)]
#[must_use = "it begins with `driver::begin`"]
pub struct NewTask {
    name: String,
    id: Option<String>,
    context: Vec<(String, Json)>,
}

impl NewTask {
    /// A task of that name. Where the program that runs it has a `#[task]` of the same name, its options hold there.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), id: None, context: Vec::new() }
    }

    /// Its identity; a fresh UUID (version 7) if it is given none.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// One value of the task's `context`, as `fields(..)` has it. What the filter names is masked.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.context.push((name.into(), value.into()));
        self
    }
}

/// Begins a task that an engine is to run: tells `task.initialize_requested`, and gives what has to travel
/// ([`ResumedTask::hand_over`]). The task's time begins with the first [`resume`], not here: until then it lies in a queue.
///
/// Without a telemetry nothing is told, and the carrier holds no trace.
#[must_use = "the task goes on with what it hands over"]
pub fn begin(task: NewTask) -> ResumedTask {
    let id = task.id.map_or_else(TaskId::random, TaskId::given);
    let mut carrier = Carrier::fresh(id.as_str(), task.name, task.context);
    let Some(core) = telemetry::current() else { return ResumedTask { task: None, carrier } };
    core.task_began();
    let trace = core.tracing().map(|tracing| tracing.begin(&id));
    let task = make(core, id, trace, &mut carrier, None);
    task.emit(EventKind::TaskInitializeRequested, Timestamp::now(), None, || Fact::Bare);
    ResumedTask::new(task, carrier)
}

/// A task that began in another process and goes on here, taken up with [`TaskScope::resume`] or [`driver`](crate::driver).
///
/// Dropped without an end it goes on elsewhere, as after [`hand_over`](Self::hand_over).
#[must_use = "dropped without an end, the task goes on elsewhere"]
pub struct ResumedTask {
    task: Option<Resumed>,
    carrier: Carrier,
}

struct Resumed {
    task: Arc<TaskCore>,
    spot: Spot,
    since: Moment,
}

impl ResumedTask {
    fn new(task: Arc<TaskCore>, carrier: Carrier) -> Self {
        let spot = task.trace().map_or_else(Spot::none, TaskTrace::spot);
        Self { task: Some(Resumed { task, spot, since: Moment::now() }), carrier }
    }

    /// Tells `task.start_requested`: for the driver that is the first to run something of the task.
    pub fn start(&self) {
        let Some(Resumed { task, since, .. }) = &self.task else { return };
        if let Ok(event) = transition(Entity::Task, State::Pending, State::InProgress) {
            task.emit(event, since.timestamp(), None, || Fact::Bare);
        }
    }

    /// What the steps of this attempt said so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.task.as_ref().and_then(|resumed| resumed.task.engine()).map(Engine::verdict).unwrap_or_default()
    }

    /// The id of the first step in that unit of work of the task, in whichever process it runs. See [`Attempt::new`].
    #[must_use]
    pub fn step_id(&self, unit: &str) -> String {
        id::text(id::step_id(nonce_of(seed_of(&self.carrier), key_of(unit)), StepPlace::FIRST_DRIVEN))
    }

    /// The task's identity.
    #[must_use]
    pub fn task_id(&self) -> &str {
        self.carrier.task_id()
    }

    /// Runs a future inside the task: steps in it are steps of the task.
    pub fn scope<F: Future>(&self, future: F) -> InScope<F> {
        let (scope, spot) = self.place();
        InScope::new(scope, spot, future)
    }

    /// Calls a function inside the task.
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let (mut scope, spot) = self.place();
        let _attached = spot.attach();
        let _entered = Entered::new(&mut scope, crate::scope::is_polling());
        f()
    }

    fn place(&self) -> (Scope, Spot) {
        match &self.task {
            Some(Resumed { task, spot, .. }) => (Scope::Task(Arc::clone(task)), spot.clone()),
            None => (Scope::Empty, Spot::none()),
        }
    }

    /// What must travel for the task to go on in a further process.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.task.as_ref().map_or_else(|| self.carrier.clone(), |resumed| resumed.task.carrier())
    }

    /// The task goes on in a further process, which tells how it ends.
    #[must_use = "the task goes on with what it returns, and nowhere else"]
    pub fn hand_over(mut self) -> Carrier {
        match self.task.take() {
            Some(Resumed { task, .. }) => {
                if let Some(metrics) = task.metrics() {
                    metrics.handed_over();
                }
                task.send_off()
            }
            None => self.carrier.clone(),
        }
    }

    /// The task ended well: tells `task.completed`, and its root span with the true start.
    pub fn complete(mut self) {
        self.end(State::Complete, None);
    }

    /// The task failed: tells `task.failed`. Its class is that of the step which failed for good in this attempt, if one did: the
    /// type of `error` itself cannot be named here.
    pub fn fail(mut self, error: &(dyn Error + 'static)) {
        let type_name = std::any::type_name::<dyn Error>();
        let view = ErrorView { text: ErrorText::Boxed(error), type_name };
        let task = self.task.as_ref().map(|resumed| &*resumed.task);
        let mut failure = Failure::of_error(&view, None, false, task);
        // A boxed error's type cannot be named. That of the step for which the task fails can.
        if let Some(step) = task.and_then(TaskCore::engine).and_then(Engine::failure) {
            failure.class.clone_from(&step.class);
            failure.kind = Some(step.error_type());
        }
        self.end(State::Error, Some(failure));
    }

    /// The task was cancelled: tells `task.cancelled`.
    pub fn cancel(mut self) {
        self.end(State::Cancelled, None);
    }

    fn end(&mut self, state: State, failure: Option<Failure>) {
        if let Some(Resumed { task, since, .. }) = self.task.take()
            && let Ok(event) = transition(Entity::Task, State::InProgress, state)
        {
            end_task(&task, event, since, Moment::now(), failure.map(Arc::new));
        }
    }
}

impl Drop for ResumedTask {
    fn drop(&mut self) {
        let Some(Resumed { task, .. }) = self.task.take() else { return };
        if task.hand_over()
            && let Some(metrics) = task.metrics()
        {
            metrics.handed_over();
        }
        // Nobody learns here whether the task fails.
        if let Some(undecided) = task.trace().and_then(|trace| trace.undecided()) {
            undecided.evict();
        }
    }
}

impl fmt::Debug for ResumedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumedTask")
            .field("task_id", &self.carrier.task_id())
            .field("task_name", &self.carrier.task_name())
            .finish_non_exhaustive()
    }
}

/// How many names of tasks that no function of this program has are kept; what is over shares one.
const MOST_NAMES: usize = 1_024;

/// The task of that name in this program, or one made of the name alone. Those are kept for good, so there is a bound.
fn spec_named(name: &str) -> &'static TaskSpec {
    static MADE: Mutex<BTreeMap<&'static str, &'static TaskSpec>> = Mutex::new(BTreeMap::new());
    if let Some(spec) = task_named(name) {
        return spec;
    }
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(spec) = made.get(name) {
        return spec;
    }
    let name = if made.len() < MOST_NAMES { name } else { "other" };
    if let Some(spec) = made.get(name) {
        return spec;
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let spec = &*Box::leak(Box::new(TaskSpec {
        name,
        function: "",
        description: "",
        max_concurrent_steps: 0,
        publishes: &[],
        fields: &[],
        source: Source { module: "", file: "", line: 0 },
    }));
    made.insert(name, spec);
    spec
}
