//! What the life cycle records: the executions, durations and errors of tasks and steps.
//!
//! A task finds its series once, by the address of its spec, and a step finds its own among its task's the same way: no lock
//! and no text. The names of tasks and steps are labels, ids never are.

use std::borrow::Cow;
use std::sync::Arc;

use super::DEFAULT_BUCKETS;
use super::cell::{Cell, CounterSeries, LevelSeries};
use super::family::{Descriptor, Family, Series};
use super::histogram::{Buckets, HistogramSeries};
use super::name::{MetricKind, Names};
use super::registry::{AnyFamily, Kind};
use super::short::ShortEnds;
use super::steps::Steps;
use crate::catalog::{StepSpec, TaskSpec};
use crate::table::{Table, hash_address};

/// A metric of the library's own.
pub(super) struct Own {
    pub(super) prometheus: &'static str,
    pub(super) dotted: &'static str,
    pub(super) unit: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

const STEP: &[&str] = &["task_name", "step_name"];

pub(super) const TASK_EXECUTIONS: Own = Own {
    prometheus: "tasker_task_executions_total",
    dotted: "tasker.task.executions",
    unit: "",
    labels: &["task_name", "status"],
    help: "Tasks that ended, by status: success, failure or cancelled.",
};
pub(super) const TASK_DURATION: Own = Own {
    prometheus: "tasker_task_duration_seconds",
    dotted: "tasker.task.duration",
    unit: "seconds",
    labels: &["task_name"],
    help: "How long the bodies of tasks ran that completed or failed.",
};
pub(super) const TASKS_IN_PROGRESS: Own = Own {
    prometheus: "tasker_tasks_in_progress",
    dotted: "tasker.tasks.in_progress",
    unit: "",
    labels: &["task_name"],
    help: "Tasks whose body has begun and not ended.",
};
pub(super) const STEPS_IN_PROGRESS: Own = Own {
    prometheus: "tasker_steps_in_progress",
    dotted: "tasker.steps.in_progress",
    unit: "",
    labels: &["task_name"],
    help: "Attempts of steps whose body has begun and not ended.",
};
pub(super) const STEP_EXECUTIONS: Own = Own {
    prometheus: "tasker_step_executions_total",
    dotted: "tasker.step.executions",
    unit: "",
    labels: &["task_name", "step_name", "status"],
    help: "Attempts of steps that ended, by status: success, failure or cancelled.",
};
pub(super) const STEP_DURATION: Own = Own {
    prometheus: "tasker_step_duration_seconds",
    dotted: "tasker.step.duration",
    unit: "seconds",
    labels: STEP,
    help: "How long the bodies of attempts ran that completed or failed.",
};
pub(super) const STEP_QUEUE: Own = Own {
    prometheus: "tasker_step_queue_seconds",
    dotted: "tasker.step.queue",
    unit: "seconds",
    labels: STEP,
    help: "How long attempts waited until their task let them run.",
};
pub(super) const STEP_RETRIES: Own = Own {
    prometheus: "tasker_step_retries_total",
    dotted: "tasker.step.retries",
    unit: "",
    labels: STEP,
    help: "Failed attempts that another one followed.",
};
pub(super) const STEP_ERRORS: Own = Own {
    prometheus: "tasker_step_errors_total",
    dotted: "tasker.step.errors",
    unit: "",
    labels: &["task_name", "step_name", "error_type"],
    help: "Failed attempts, by category of error.",
};

impl Own {
    pub(super) fn descriptor(&self, kind: MetricKind) -> Descriptor {
        let names = Names { prometheus: self.prometheus.into(), dotted: self.dotted.into(), unit: self.unit.into() };
        Descriptor::new(names, kind, self.labels.iter().map(|label| Cow::Borrowed(*label)).collect(), self.help.into())
    }

    fn family<C: Kind>(&self, shape: C::Shape, limit: usize) -> Arc<Family<C>> {
        self.family_of(C::KIND, shape, limit)
    }

    fn level(&self, limit: usize) -> Arc<Family<LevelSeries>> {
        self.family_of(MetricKind::Gauge, (), limit)
    }

    fn family_of<C: Cell>(&self, kind: MetricKind, shape: C::Shape, limit: usize) -> Arc<Family<C>> {
        Arc::new(Family::new(self.descriptor(kind), Arc::new(shape), limit))
    }
}

/// The metrics of one telemetry's tasks and steps.
pub(crate) struct LifeCycle {
    families: Arc<Families>,
    tasks: Table<Arc<TaskSeries>>,
}

#[derive(Debug)]
struct Families {
    task_executions: Arc<Family<CounterSeries>>,
    task_duration: Arc<Family<HistogramSeries>>,
    tasks_in_progress: Arc<Family<LevelSeries>>,
    steps_in_progress: Arc<Family<LevelSeries>>,
    step_executions: Arc<Family<CounterSeries>>,
    step_duration: Arc<Family<HistogramSeries>>,
    step_queue: Arc<Family<HistogramSeries>>,
    step_retries: Arc<Family<CounterSeries>>,
    step_errors: Arc<Family<CounterSeries>>,
}

/// An end: success, failure, cancelled. All three exist from the first run on: a rate over a counter that only appears with
/// its first failure would miss that failure.
struct Executions {
    success: Arc<Series<CounterSeries>>,
    failure: Arc<Series<CounterSeries>>,
    cancelled: Arc<Series<CounterSeries>>,
}

impl Executions {
    fn of(family: &Family<CounterSeries>, names: &[&str]) -> Self {
        let series = |status| {
            let values: Vec<&str> = names.iter().copied().chain([status]).collect();
            Arc::clone(family.series(&values))
        };
        Self { success: series("success"), failure: series("failure"), cancelled: series("cancelled") }
    }
}

/// The series of one task's runs.
pub(crate) struct TaskSeries {
    /// The address of the spec, a task's or a lone step's.
    key: usize,
    name: &'static str,
    executions: Executions,
    duration: Arc<Series<HistogramSeries>>,
    in_progress: Arc<Series<LevelSeries>>,
    steps_in_progress: Arc<Series<LevelSeries>>,
    steps: Steps<StepSeries>,
    families: Arc<Families>,
}

/// The series of one step's runs in one task. What short steps need of them lies near.
struct StepSeries {
    short: Arc<ShortEnds>,
    all: Box<AllOfStep>,
}

struct AllOfStep {
    executions: Executions,
    duration: Arc<Series<HistogramSeries>>,
    queue: Arc<Series<HistogramSeries>>,
    retries: Arc<Series<CounterSeries>>,
}

/// When something ended, how long it took, and the trace that shows it.
pub(crate) struct Took<T: FnOnce() -> Option<u128>> {
    pub(crate) nanos: u64,
    pub(crate) end_unix_nanos: u64,
    /// Asked for from time to time only.
    pub(crate) trace: T,
}

impl LifeCycle {
    pub(super) fn new(limit: usize) -> Self {
        let durations = |exemplars| Buckets::new(DEFAULT_BUCKETS, exemplars);
        Self {
            families: Arc::new(Families {
                task_executions: TASK_EXECUTIONS.family((), limit),
                task_duration: TASK_DURATION.family(durations(true), limit),
                tasks_in_progress: TASKS_IN_PROGRESS.level(limit),
                steps_in_progress: STEPS_IN_PROGRESS.level(limit),
                step_executions: STEP_EXECUTIONS.family((), limit),
                step_duration: STEP_DURATION.family(durations(true), limit),
                step_queue: STEP_QUEUE.family(durations(false), limit),
                step_retries: STEP_RETRIES.family((), limit),
                step_errors: STEP_ERRORS.family((), limit),
            }),
            tasks: Table::new(),
        }
    }

    pub(super) fn families(&self) -> [AnyFamily; 9] {
        let families = &*self.families;
        [
            CounterSeries::wrap(Arc::clone(&families.task_executions)),
            HistogramSeries::wrap(Arc::clone(&families.task_duration)),
            AnyFamily::Level(Arc::clone(&families.tasks_in_progress)),
            AnyFamily::Level(Arc::clone(&families.steps_in_progress)),
            CounterSeries::wrap(Arc::clone(&families.step_executions)),
            HistogramSeries::wrap(Arc::clone(&families.step_duration)),
            HistogramSeries::wrap(Arc::clone(&families.step_queue)),
            CounterSeries::wrap(Arc::clone(&families.step_retries)),
            CounterSeries::wrap(Arc::clone(&families.step_errors)),
        ]
    }

    /// The series of a task.
    pub(crate) fn task(&self, spec: &'static TaskSpec) -> Option<&Arc<TaskSeries>> {
        self.named(spec, spec.name)
    }

    /// The series of the task that a step outside any task is.
    #[inline]
    pub(crate) fn lone_step(&self, spec: &'static StepSpec) -> Option<&Arc<TaskSeries>> {
        self.named(spec, spec.name)
    }

    #[inline]
    fn named<S>(&self, spec: &'static S, name: &'static str) -> Option<&Arc<TaskSeries>> {
        let key = std::ptr::from_ref(spec).addr();
        let make = || Some(Arc::new(TaskSeries::new(key, name, &self.families)));
        self.tasks.get_or_add(hash_address(spec), |task| task.key == key, make).ok()
    }
}

impl TaskSeries {
    fn new(key: usize, name: &'static str, families: &Arc<Families>) -> Self {
        Self {
            key,
            name,
            executions: Executions::of(&families.task_executions, &[name]),
            duration: Arc::clone(families.task_duration.series(&[name])),
            in_progress: Arc::clone(families.tasks_in_progress.series(&[name])),
            steps_in_progress: Arc::clone(families.steps_in_progress.series(&[name])),
            steps: Steps::new(),
            families: Arc::clone(families),
        }
    }

    /// The series of a step of this task, and where they are found again.
    fn step(&self, spec: &'static StepSpec) -> Option<(u32, &StepSeries)> {
        self.steps.find_or_add(spec, || StepSeries::new(spec, self.name, &self.families))
    }

    /// The body begins.
    pub(crate) fn began(&self) {
        self.in_progress.cell.inc();
    }

    pub(crate) fn completed(&self, took: Took<impl FnOnce() -> Option<u128>>) {
        self.executions.success.cell.inc();
        self.ended(took);
    }

    pub(crate) fn failed(&self, took: Took<impl FnOnce() -> Option<u128>>) {
        self.executions.failure.cell.inc();
        self.ended(took);
    }

    pub(crate) fn cancelled(&self) {
        self.executions.cancelled.cell.inc();
        self.in_progress.cell.dec();
    }

    /// It goes on in another process, which will tell its end.
    pub(crate) fn handed_over(&self) {
        self.in_progress.cell.dec();
    }

    fn ended(&self, took: Took<impl FnOnce() -> Option<u128>>) {
        record(&self.duration.cell, took);
        self.in_progress.cell.dec();
    }

    /// The body of an attempt of that step begins, after so long a wait. Says where the step is found again.
    #[inline]
    pub(crate) fn step_began(&self, spec: &'static StepSpec, queue_nanos: u64) -> u32 {
        self.short_step_began();
        self.step_waited(spec, queue_nanos)
    }

    /// The same for a short step, which has not waited: that is recorded with its end, or when it turns out not to be short.
    #[inline]
    pub(crate) fn short_step_began(&self) {
        self.steps_in_progress.cell.inc();
    }

    /// It has waited so long.
    pub(crate) fn step_waited(&self, spec: &'static StepSpec, queue_nanos: u64) -> u32 {
        let Some((number, step)) = self.step(spec) else { return u32::MAX };
        step.all.queue.cell.record_nanos(queue_nanos);
        number
    }

    /// It ended well; `number`: where [`step_began`](Self::step_began) said.
    #[inline]
    pub(crate) fn step_completed(&self, number: u32, took: Took<impl FnOnce() -> Option<u128>>) {
        self.steps_in_progress.cell.dec();
        if let Some(step) = self.steps.at(number) {
            step.all.executions.success.cell.inc();
            record(&step.all.duration.cell, took);
        }
    }

    /// A short step ended well: it has not waited, and took so long.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the way of most steps")]
    pub(crate) fn short_step_completed(&self, spec: &'static StepSpec, took: Took<impl FnOnce() -> Option<u128>>) {
        let Took { nanos, end_unix_nanos, trace } = took;
        let in_progress = &self.steps_in_progress.cell;
        // (No closure: the compiler would make a function of it.)
        let added = match self.steps.near(spec) {
            Some((_, step)) => step.short.add_own(in_progress, nanos, end_unix_nanos),
            None => None,
        };
        let may_keep = match added {
            Some(may_keep) => may_keep,
            None => self.add_short_end(spec, nanos, end_unix_nanos),
        };
        if may_keep && let Some(trace) = trace() {
            self.keep_short_trace(spec, nanos, end_unix_nanos, trace);
        }
    }

    /// One that cannot be added the shortest way: there may be nothing of the step yet.
    #[cold]
    fn add_short_end(&self, spec: &'static StepSpec, nanos: u64, end_unix_nanos: u64) -> bool {
        let in_progress = &self.steps_in_progress.cell;
        if let Some((_, step)) = self.step(spec) {
            return step.short.add(in_progress, nanos, end_unix_nanos);
        }
        in_progress.dec();
        false
    }

    #[cold]
    fn keep_short_trace(&self, spec: &'static StepSpec, nanos: u64, end_unix_nanos: u64, trace: u128) {
        if let Some((_, step)) = self.step(spec) {
            let due = step.all.duration.cell.keep_trace(nanos, end_unix_nanos, trace);
            step.short.exemplar_due(nanos, due);
        }
    }

    pub(crate) fn step_failed(
        &self,
        spec: &'static StepSpec,
        error_type: &str,
        retried: bool,
        took: Took<impl FnOnce() -> Option<u128>>,
    ) {
        self.steps_in_progress.cell.dec();
        self.families.step_errors.series(&[self.name, spec.name, error_type]).cell.inc();
        if let Some((_, step)) = self.step(spec) {
            step.all.executions.failure.cell.inc();
            if retried {
                step.all.retries.cell.inc();
            }
            record(&step.all.duration.cell, took);
        }
    }

    /// It was dropped; `running`: inside its body, not before it or between two attempts.
    pub(crate) fn step_cancelled(&self, spec: &'static StepSpec, running: bool) {
        if running {
            self.steps_in_progress.cell.dec();
        }
        if let Some((_, step)) = self.step(spec) {
            step.all.executions.cancelled.cell.inc();
        }
    }
}

impl StepSeries {
    fn new(spec: &'static StepSpec, task: &'static str, families: &Families) -> Self {
        let names = [task, spec.name];
        let all = AllOfStep {
            executions: Executions::of(&families.step_executions, &names),
            duration: Arc::clone(families.step_duration.series(&names)),
            queue: Arc::clone(families.step_queue.series(&names)),
            retries: Arc::clone(families.step_retries.series(&names)),
        };
        let short = Arc::new(ShortEnds::new());
        all.executions.success.cell.count_short(&short);
        all.queue.cell.count_short_as_nothing(&short);
        all.duration.cell.count_short(&short);
        Self { short, all: Box::new(all) }
    }
}

#[inline]
fn record(duration: &HistogramSeries, took: Took<impl FnOnce() -> Option<u128>>) {
    duration.record_traced(took.nanos, took.end_unix_nanos, took.trace);
}

impl std::fmt::Debug for LifeCycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LifeCycle").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}
