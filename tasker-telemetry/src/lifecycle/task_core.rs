//! What a running task is: identity, counters and permits, shared by its steps and its events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_lock::Semaphore;

use crate::catalog::{StepSpec, TaskSpec};
use crate::event::EventKind;
use crate::id::{self, TaskId};
use crate::metrics::TaskSeries;
use crate::publisher::{Fact, Record, StepPlace};
use crate::telemetry::Core;
use crate::time::{Moment, Timestamp};
use crate::value::{Fields, Value};

/// See the module.
pub(crate) struct TaskCore {
    core: Arc<Core>,
    id: TaskId,
    name: &'static str,
    field_names: &'static [&'static str],
    fields: Fields,
    nonce: u64,
    steps: AtomicU32,
    completed: AtomicU32,
    failed: AtomicU32,
    events: AtomicU32,
    permits: Option<Arc<Semaphore>>,
    /// When it began, if it is a step outside any task that somebody listens to.
    begun: Option<Moment>,
    /// `None` when metrics are off.
    metrics: Option<Arc<TaskSeries>>,
    /// Nobody is to be told of its steps, and they have nothing to wait for.
    quiet: bool,
}

/// How many steps a task has had.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

impl TaskCore {
    /// The task of a `#[task]`.
    pub(crate) fn new(core: Arc<Core>, spec: &'static TaskSpec, id: Option<String>, fields: Fields) -> Arc<Self> {
        let permits = usize::try_from(spec.max_concurrent_steps).unwrap_or(usize::MAX);
        Arc::new(Self {
            permits: (permits > 0).then(|| Arc::new(Semaphore::new(permits))),
            field_names: spec.fields,
            fields: fields.map(|values| core.mask_fields(spec.fields, values)),
            metrics: core.metrics().life_cycle().and_then(|metrics| metrics.task(spec)).map(Arc::clone),
            quiet: core.is_quiet() && permits == 0,
            ..Self::bare(core, spec.name, id.map_or_else(TaskId::random, TaskId::given))
        })
    }

    /// The task that a step outside any task is; `begun` when the step has to tell of that task, too.
    pub(crate) fn implicit(core: Arc<Core>, spec: &'static StepSpec, begun: Option<Moment>) -> Arc<Self> {
        let metrics = core.metrics().life_cycle().and_then(|metrics| metrics.lone_step(spec)).map(Arc::clone);
        Arc::new(Self { begun, metrics, ..Self::bare(core, spec.name, TaskId::random()) })
    }

    fn bare(core: Arc<Core>, name: &'static str, id: TaskId) -> Self {
        Self {
            quiet: core.is_quiet(),
            core,
            id,
            name,
            field_names: &[],
            fields: None,
            nonce: id::nonce(),
            steps: AtomicU32::new(0),
            completed: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            events: AtomicU32::new(0),
            permits: None,
            begun: None,
            metrics: None,
        }
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) const fn id(&self) -> &TaskId {
        &self.id
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn nonce(&self) -> u64 {
        self.nonce
    }

    pub(crate) const fn field_names(&self) -> &'static [&'static str] {
        self.field_names
    }

    pub(crate) fn fields(&self) -> &[Value] {
        self.fields.as_deref().unwrap_or_default()
    }

    /// Where the task is counted; `None` when metrics are off.
    pub(crate) fn metrics(&self) -> Option<&TaskSeries> {
        self.metrics.as_deref()
    }

    pub(crate) const fn begun(&self) -> Option<Moment> {
        self.begun
    }

    pub(crate) const fn permits(&self) -> Option<&Arc<Semaphore>> {
        self.permits.as_ref()
    }

    /// Whether nobody is to be told of its steps, and they have nothing to wait for.
    #[inline]
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// The number of the step that begins now, from 0.
    pub(crate) fn next_step(&self) -> u32 {
        self.steps.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn step_completed(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn step_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU32| u64::from(counter.load(Ordering::Relaxed));
        Counts { total: read(&self.steps), completed: read(&self.completed), failed: read(&self.failed) }
    }

    /// The number of the event that happens now, from 0.
    pub(crate) fn next_event(&self) -> u32 {
        self.events.fetch_add(1, Ordering::Relaxed)
    }

    /// Hands an event of this task to the publisher, if anybody listens to its kind; `fact` is asked for only then.
    pub(crate) fn emit(
        self: &Arc<Self>,
        kind: EventKind,
        at: Timestamp,
        step: Option<StepPlace>,
        fact: impl FnOnce() -> Fact,
    ) {
        let publisher = self.core.publisher();
        if publisher.wants(kind) {
            publisher.publish(Record {
                kind,
                sequence: self.next_event(),
                at,
                task: Some(Arc::clone(self)),
                step,
                fact: fact(),
            });
        }
    }
}
