//! What a running task is: identity, trace, counters and permits, shared by its steps and its events.
//!
//! `counted.rs`: what publishing threads count of it; `events.rs`: how what happens gets to the publisher; `travel.rs`: what goes along
//! to another process.

mod counted;
mod events;
mod travel;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_lock::Semaphore;
use serde_json::Value as Json;

use self::counted::Counted;
use super::GivenIds;
use super::driven::Engine;
use crate::catalog::{Source, StepSpec, TaskSpec};
use crate::correlation::Correlation;
use crate::event::EventKind;
use crate::filter::Secrets;
use crate::id::{self, TaskId};
use crate::metrics::TaskSeries;
use crate::publisher::Opening;
use crate::telemetry::Core;
use crate::time::{Moment, Timestamp};
use crate::trace::{SpanId, TaskTrace, TraceId};
use crate::value::{Fields, Value};

/// See the module.
pub(crate) struct TaskCore {
    core: Arc<Core>,
    id: TaskId,
    name: &'static str,
    /// The annotated function, and where it stands.
    place: Option<(&'static str, &'static Source)>,
    field_names: &'static [&'static str],
    fields: Fields,
    /// What its steps' ids grow from.
    nonce: u64,
    /// What the span ids of their first attempts do.
    first_attempts: u64,
    /// What its events' ids grow from: another number where an engine takes the task up again and again, so that the steps
    /// are the same each time and the events are not.
    event_nonce: u64,
    /// Set where an engine counts the attempts.
    engine: Option<Box<Engine>>,
    /// When its body began, in nanoseconds since 1970.
    started_at: AtomicU64,
    /// The bits of all kinds of event that somebody wants to know of, in this task.
    wanted: u32,
    /// `None` when no spans are made.
    trace: Option<TaskTrace>,
    trace_text: OnceLock<Arc<str>>,
    /// `None`: nobody has given one.
    correlation: Option<Box<Correlation>>,
    /// Set where the task began in another process.
    origin: Option<Box<Origin>>,
    handed_over: AtomicBool,
    /// For a task that was taken up: the function that it is goes on with it, and its end was told.
    continued: AtomicBool,
    ended: AtomicBool,
    counted: Counted,
    /// The bits of the kinds that do.
    queued: u32,
    /// The bits of those that go nowhere else.
    direct: u32,
    /// What the beginning of a short step is told by.
    opening: Opening,
    /// What that counts of the step and its events.
    opening_counts: u64,
    pace: Pace,
    /// That is [`Pace::Short`], and both the beginning and the end of a step go into the queue.
    is_told_of_fully: bool,
    in_line: InLine,
    permits: Option<Arc<Semaphore>>,
    /// When it began, if it is a step outside any task that somebody listens to.
    begun: Option<Moment>,
    /// `None` when metrics are off.
    metrics: Option<Arc<TaskSeries>>,
    /// What was masked, to be found again in the texts of errors.
    secrets: Secrets,
}

/// What the router alone writes, apart for the same reason.
#[derive(Default)]
#[repr(align(64))]
struct InLine(AtomicU32);

/// How a step of the task begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It has nothing to wait for, and what is to be told of it goes into the queue and the metrics.
    Short,
    /// Nobody is to be told of it, and it has nothing to wait for.
    Quiet,
    /// There is more to it.
    Long,
}

/// What a task brought along from the process in which it began.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) started_at: Timestamp,
    pub(crate) counts: Counts,
    /// The `fields(..)`, masked.
    pub(crate) context: Vec<(String, Json)>,
    pub(crate) correlation_id: Option<String>,
    /// What the ids of its steps grow from, where an engine runs it.
    pub(crate) seed: Option<u64>,
}

/// How many steps a task has had.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

impl TaskCore {
    /// The task of a `#[task]`.
    pub(crate) fn new(core: Arc<Core>, spec: &'static TaskSpec, ids: GivenIds, fields: Fields) -> Arc<Self> {
        let GivenIds { id, correlation_id } = ids;
        let permits = usize::try_from(spec.max_concurrent_steps).unwrap_or(usize::MAX);
        let secrets = Secrets::default();
        let fields = fields.map(|values| {
            let (fields, masked) = core.filter().fields(spec, "context", spec.fields, values);
            secrets.add(masked);
            fields
        });
        Self {
            permits: (permits > 0).then(|| Arc::new(Semaphore::new(permits))),
            place: Some((spec.function, &spec.source)),
            field_names: spec.fields,
            fields,
            secrets,
            correlation: Correlation::of_task(correlation_id, &core),
            metrics: core.metrics().life_cycle().and_then(|metrics| metrics.task(spec)).map(Arc::clone),
            ..Self::fresh(core, spec.name, id.map_or_else(TaskId::random, TaskId::given))
        }
        .shared()
    }

    /// A task that goes on here.
    pub(crate) fn resumed(
        core: Arc<Core>,
        spec: &'static TaskSpec,
        id: TaskId,
        trace: Option<TaskTrace>,
        origin: Origin,
        engine: Option<Engine>,
    ) -> Arc<Self> {
        let permits = usize::try_from(spec.max_concurrent_steps).unwrap_or(usize::MAX);
        let bare = Self::bare(core, spec.name, id, trace);
        Self {
            nonce: engine.as_ref().map_or(bare.nonce, Engine::nonce),
            engine: engine.map(Box::new),
            permits: (permits > 0).then(|| Arc::new(Semaphore::new(permits))),
            metrics: bare.core.metrics().life_cycle().and_then(|metrics| metrics.task(spec)).map(Arc::clone),
            place: (!spec.source.file.is_empty()).then_some((spec.function, &spec.source)),
            correlation: Correlation::carried(origin.correlation_id.as_deref()),
            origin: Some(Box::new(origin)),
            ..bare
        }
        .shared()
    }

    /// The task that a step outside any task is; `begun` when the step has to tell of that task, too.
    pub(crate) fn implicit(core: Arc<Core>, spec: &'static StepSpec, begun: Option<Moment>) -> Arc<Self> {
        let metrics = core.metrics().life_cycle().and_then(|metrics| metrics.lone_step(spec)).map(Arc::clone);
        let place = Some((spec.function, &spec.source));
        let correlation = Correlation::of_task(None, &core);
        Self { place, correlation, begun, metrics, ..Self::fresh(core, spec.name, TaskId::random()) }.shared()
    }

    /// What there is to be known of it is known.
    fn shared(mut self) -> Arc<Self> {
        self.first_attempts = SpanId::first_attempts(self.nonce);
        let is_bound = self.permits.is_some() || self.engine.is_some();
        let is_undecided = self.trace.as_ref().is_some_and(|trace| trace.undecided().is_some());
        self.pace = if is_bound {
            Pace::Long
        } else if !self.is_watched() && self.metrics.is_none() {
            Pace::Quiet
        } else if is_undecided || self.wanted & !self.direct != 0 || self.core.tells_step_processing() {
            Pace::Long
        } else {
            Pace::Short
        };
        let tells_both = self.opening != Opening::Nothing && self.direct & EventKind::StepCompleted.bit() != 0;
        self.is_told_of_fully = self.pace == Pace::Short && tells_both;
        Arc::new(self)
    }

    fn fresh(core: Arc<Core>, name: &'static str, id: TaskId) -> Self {
        let trace = core.tracing().map(|tracing| tracing.begin(&id));
        Self::bare(core, name, id, trace)
    }

    fn bare(core: Arc<Core>, name: &'static str, id: TaskId, trace: Option<TaskTrace>) -> Self {
        let publisher = core.publisher();
        let spans = trace.as_ref().is_some_and(TaskTrace::is_recorded);
        let is_undecided = trace.as_ref().is_some_and(|trace| trace.undecided().is_some());
        let queued = publisher.queue_mask(trace.as_ref().is_some_and(TaskTrace::is_sampled));
        let nonce = id::nonce();
        let direct = if is_undecided { 0 } else { queued & !publisher.inline_mask() };
        let opening = Opening::among(direct);
        Self {
            direct,
            opening,
            opening_counts: Counted::of_step(opening.events()),
            pace: Pace::Long,
            is_told_of_fully: false,
            wanted: publisher.mask() | if spans { publisher.span_mask() } else { 0 },
            trace,
            trace_text: OnceLock::new(),
            correlation: None,
            origin: None,
            handed_over: AtomicBool::new(false),
            continued: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            core,
            id,
            name,
            place: None,
            field_names: &[],
            fields: None,
            nonce,
            first_attempts: 0,
            event_nonce: nonce,
            engine: None,
            started_at: AtomicU64::new(0),
            counted: Counted::default(),
            queued,
            in_line: InLine::default(),
            permits: None,
            begun: None,
            metrics: None,
            secrets: Secrets::default(),
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

    /// The annotated function, and where it stands; `None` for a task of another program.
    pub(crate) const fn place(&self) -> Option<(&'static str, &'static Source)> {
        self.place
    }

    pub(crate) const fn nonce(&self) -> u64 {
        self.nonce
    }

    /// See [`SpanId::of_first_attempt`].
    #[inline]
    pub(crate) const fn first_attempts(&self) -> u64 {
        self.first_attempts
    }

    pub(crate) const fn event_nonce(&self) -> u64 {
        self.event_nonce
    }

    /// The engine's attempt that runs here, if one counts the attempts.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.engine.as_deref()
    }

    pub(crate) const fn field_names(&self) -> &'static [&'static str] {
        self.field_names
    }

    pub(crate) fn fields(&self) -> &[Value] {
        self.fields.as_deref().unwrap_or_default()
    }

    /// What was masked in this task, to be found again in the texts of errors.
    pub(crate) const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Where the task is counted; `None` when metrics are off.
    pub(crate) fn metrics(&self) -> Option<&TaskSeries> {
        self.metrics.as_deref()
    }

    /// `None` when no spans are made.
    pub(crate) const fn trace(&self) -> Option<&TaskTrace> {
        self.trace.as_ref()
    }

    /// The trace that the task is seen in, or would be.
    pub(crate) fn trace_id(&self) -> TraceId {
        self.trace.as_ref().map_or_else(|| self.id.trace_id(), TaskTrace::id)
    }

    /// The trace as an exemplar of a metric: one that can be looked at.
    pub(crate) fn exemplar(&self) -> Option<u128> {
        match &self.trace {
            Some(trace) => trace.is_sampled().then(|| trace.id().as_u128()),
            None => Some(self.id.trace_id().as_u128()),
        }
    }

    /// The trace id as text, written once for all events of the task.
    pub(crate) fn trace_text(&self) -> &Arc<str> {
        self.trace_text.get_or_init(|| self.trace_id().to_string().into())
    }

    /// What ties together everything that one request caused: what the caller gave, else the trace id.
    pub(crate) fn correlation_id(&self) -> &Arc<str> {
        self.given_correlation_id().unwrap_or_else(|| self.trace_text())
    }

    pub(crate) fn given_correlation_id(&self) -> Option<&Arc<str>> {
        self.correlation.as_ref()?.id()
    }

    pub(crate) fn correlation(&self) -> Option<&Correlation> {
        self.correlation.as_deref()
    }

    /// Whether anybody wants to know of any event of this task.
    pub(crate) const fn is_watched(&self) -> bool {
        self.wanted != 0
    }

    /// Whether anybody wants to know of that kind of event of this task.
    pub(crate) const fn wants(&self, kind: EventKind) -> bool {
        self.wanted & kind.bit() != 0
    }

    /// When it began, if that was in another process.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.origin.as_deref()
    }

    /// The body begins.
    pub(crate) fn begins(&self, at: Timestamp) {
        self.started_at.store(at.as_unix_nanos(), Ordering::Relaxed);
    }

    /// Whether it began in another process.
    pub(crate) const fn is_resumed(&self) -> bool {
        self.origin.is_some()
    }

    /// The function that the task is goes on with it here. `false`: that was so already.
    pub(crate) fn goes_on(&self) -> bool {
        !self.continued.swap(true, Ordering::AcqRel)
    }

    /// A task that was taken up ends. `false`: that was so already.
    pub(crate) fn ends(&self) -> bool {
        !self.ended.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(crate) fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Acquire)
    }

    pub(crate) const fn begun(&self) -> Option<Moment> {
        self.begun
    }

    pub(crate) const fn permits(&self) -> Option<&Arc<Semaphore>> {
        self.permits.as_ref()
    }

    /// Whether its steps are [short](Pace::Short), and somebody is told of both the beginning and the end of each.
    #[inline]
    pub(crate) const fn is_told_of_fully(&self) -> bool {
        self.is_told_of_fully
    }

    /// How its steps begin and end.
    #[inline]
    pub(crate) const fn pace(&self) -> Pace {
        self.pace
    }

    /// The number of the step that begins now, from 0.
    pub(crate) fn next_step(&self) -> u32 {
        self.counted.step_with(0).0
    }

    #[inline]
    pub(crate) fn step_completed(&self) {
        self.counted.completed();
    }

    pub(crate) fn step_failed(&self) {
        self.counted.failed();
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counted.counts(self.origin().map(|origin| origin.counts).unwrap_or_default())
    }

    /// The number of the event that the router expects next.
    #[inline]
    pub(crate) const fn next_in_line(&self) -> &AtomicU32 {
        &self.in_line.0
    }
}
