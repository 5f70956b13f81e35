//! A task that an engine runs: how a driver begins it, takes it up for an attempt, and asks what became of that.

use serde_json::Value as Json;

use super::driven::{Engine, EngineAttempt, Verdict, key_of, nonce_of};
use super::resumed::{Resumed, ResumedTask, made_of};
use crate::correlation::Correlation;
use crate::event::EventKind;
use crate::id::{self, TaskId};
use crate::publisher::{Fact, StepPlace};
use crate::scope::TaskScope;
use crate::state::{Entity, State, transition};
use crate::telemetry;
use crate::time::Timestamp;
use crate::trace::Carrier;

/// A task that an engine is to run: see [`begin`].
#[derive(Debug, Clone)]
#[must_use = "it begins with `driver::begin`"]
pub struct NewTask {
    name: String,
    id: Option<String>,
    correlation_id: Option<String>,
    context: Vec<(String, Json)>,
}

impl NewTask {
    /// A task of that name. Where the program that runs it has a `#[task]` of the same name, its options hold there.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), id: None, correlation_id: None, context: Vec::new() }
    }

    /// Its identity; a fresh UUID (version 7) if it is given none.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// What ties it together with everything else that one request caused; the trace id if it is given none.
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
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
    carrier.correlation_id = task.correlation_id;
    let Some(core) = telemetry::current() else { return ResumedTask { task: None, carrier } };
    for (name, value) in &mut carrier.context {
        core.filter().attribute(name, value);
    }
    let correlation = Correlation::of_task(carrier.correlation_id.take().map(String::into_boxed_str), &core);
    carrier.correlation_id = correlation.and_then(|found| found.id().map(|id| (**id).to_owned()));
    let trace = core.tracing().map(|tracing| tracing.begin(&id));
    let task = made_of(&core, &carrier, id, trace, None);
    task.emit(EventKind::TaskInitializeRequested, Timestamp::now(), None, || Fact::Bare);
    ResumedTask::begin(task, carrier)
}

/// Takes a task up for one attempt that an engine counts: a step that runs in it takes its attempt and its limit from there
/// and does not run again by itself. See [`driver`](crate::driver).
///
/// Without a telemetry the steps keep to that all the same: retries are the program's behaviour.
#[must_use = "the task is taken up by what it returns"]
pub fn resume(mut carrier: Carrier, attempt: EngineAttempt) -> ResumedTask {
    let core = telemetry::current().unwrap_or_else(telemetry::silent);
    let now = Timestamp::now();
    if carrier.started_at_unix_nanos == 0 {
        carrier.started_at_unix_nanos = now.as_unix_nanos();
    }
    let engine = Engine::new(seed_of(&carrier), attempt, now);
    let id = TaskId::given(carrier.task_id.clone());
    let trace = core.tracing().map(|tracing| tracing.resume(&id, &carrier));
    let task = made_of(&core, &carrier, id, trace, Some(engine));
    ResumedTask::begin(task, carrier)
}

/// What the ids of a task's steps grow from, also where a version that knew no engines wrote the carrier.
fn seed_of(carrier: &Carrier) -> u64 {
    carrier.seed.unwrap_or_else(|| nonce_of(key_of(&carrier.task_id), u64::from(carrier.run)))
}

impl TaskScope {
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
}

impl ResumedTask {
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

    /// The id of the first step in that unit of work of the task, in whichever process it runs. See [`EngineAttempt::new`].
    #[must_use]
    pub fn step_id(&self, unit: &str) -> String {
        id::text(id::step_id(nonce_of(seed_of(&self.carrier), key_of(unit)), StepPlace::FIRST_DRIVEN))
    }

    /// The task's identity.
    #[must_use]
    pub fn task_id(&self) -> &str {
        self.carrier.task_id()
    }
}
