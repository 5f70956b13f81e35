//! A task that began in another process and goes on here.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use super::driven::Engine;
use super::task_core::{Origin, TaskCore};
use super::task_run::end_task;
use crate::catalog::{Source, TaskSpec, task_named};
use crate::classify::{ErrorText, ErrorView};
use crate::failure::Failure;
use crate::id::TaskId;
use crate::otel::Spot;
use crate::scope::{Entered, InScope, Scope, TaskScope};
use crate::state::{Entity, State, transition};
use crate::telemetry::{self, Core};
use crate::time::Moment;
use crate::trace::{Carrier, TaskTrace};

impl TaskScope {
    /// Takes a task up that another process began: its steps run here, in the task's trace, under its root span. See
    /// [`Carrier`] for an example.
    ///
    /// The telemetry that applies here gets the events and spans; without one, the steps run without.
    #[must_use = "the task is taken up by what it returns"]
    pub fn resume(carrier: Carrier) -> ResumedTask {
        let Some(core) = telemetry::current() else { return ResumedTask { task: None, carrier } };
        let task = core_of(&core, &carrier);
        ResumedTask::begin(task, carrier)
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

/// The task that a carrier names, in this process.
pub(super) fn core_of(core: &Arc<Core>, carrier: &Carrier) -> Arc<TaskCore> {
    let id = TaskId::given(carrier.task_id.clone());
    let trace = core.tracing().map(|tracing| tracing.resume(&id, carrier));
    made_of(core, carrier, id, trace, None)
}

/// The same with that trace, and for that engine.
pub(super) fn made_of(
    core: &Arc<Core>,
    carrier: &Carrier,
    id: TaskId,
    trace: Option<TaskTrace>,
    engine: Option<Engine>,
) -> Arc<TaskCore> {
    let (started_at, counts, mut context) = (carrier.started_at(), carrier.counts(), carrier.context.clone());
    // The other process has masked by its rules; these are ours.
    for (name, value) in &mut context {
        core.filter().attribute(name, value);
    }
    let correlation_id = carrier.correlation_id.clone();
    let origin = Origin { started_at, counts, context, correlation_id, seed: carrier.seed };
    TaskCore::resumed(Arc::clone(core), spec_named(&carrier.task_name), id, trace, origin, engine)
}

/// A task that began in another process and goes on here, taken up with [`TaskScope::resume`] or [`driver`](crate::driver).
///
/// Run the `#[task]` function itself inside of it ([`scope`](Self::scope)), and the function goes on with this task, where its
/// name and id are the same, instead of beginning one anew: it then tells the end, too.
///
/// Dropped without an end it goes on elsewhere, as after [`hand_over`](Self::hand_over).
#[must_use = "dropped without an end, the task goes on elsewhere"]
pub struct ResumedTask {
    pub(super) task: Option<Resumed>,
    pub(super) carrier: Carrier,
}

pub(super) struct Resumed {
    pub(super) task: Arc<TaskCore>,
    spot: Spot,
    pub(super) since: Moment,
}

impl ResumedTask {
    /// The task is open in this process from now on.
    pub(super) fn begin(task: Arc<TaskCore>, mut carrier: Carrier) -> Self {
        task.core().task_began();
        if let Some(metrics) = task.metrics() {
            metrics.began();
        }
        if let Some(tracing) = task.core().tracing() {
            let spans = std::mem::take(&mut carrier.undecided);
            tracing.resumed(&task, carrier.started_at(), spans, carrier.undecided_lost);
        }
        let spot = task.trace().map_or_else(Spot::none, TaskTrace::spot);
        Self { task: Some(Resumed { task, spot, since: Moment::now() }), carrier }
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
            Some(Resumed { task, spot, .. }) => (Scope::of_task(Arc::clone(task)), spot.clone()),
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
        if task.has_ended() {
            return;
        }
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
