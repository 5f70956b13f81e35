//! What a running task is: identity, trace, counters and permits, shared by its steps and its events.

use std::borrow::Cow;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_lock::Semaphore;
use serde_json::Value as Json;

use super::GivenIds;
use super::driven::Engine;
use crate::catalog::{Source, StepSpec, TaskSpec};
use crate::correlation::Correlation;
use crate::event::EventKind;
use crate::filter::Secrets;
use crate::id::{self, TaskId};
use crate::metrics::TaskSeries;
use crate::publisher::{Fact, Inputs, Lanes, OUT_OF_LINE, Opening, Record, StepPlace};
use crate::telemetry::Core;
use crate::time::{Moment, Timestamp};
use crate::trace::{Carrier, TaskTrace, TraceId, Tracing};
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
    pace: Pace,
    in_line: InLine,
    permits: Option<Arc<Semaphore>>,
    /// When it began, if it is a step outside any task that somebody listens to.
    begun: Option<Moment>,
    /// `None` when metrics are off.
    metrics: Option<Arc<TaskSeries>>,
    /// What was masked, to be found again in the texts of errors.
    secrets: Secrets,
}

/// What publishing threads write, apart from what others read: they would wait for each other's cache line.
#[derive(Default)]
#[repr(align(64))]
struct Counted {
    /// How many steps have begun, and above that how many events that go through the queue have happened: a step's beginning
    /// counts both at once. (After four thousand million steps an event's number is left out.)
    numbers: AtomicU64,
    completed: AtomicU32,
    failed: AtomicU32,
    /// Events that do not go through the queue.
    others: AtomicU32,
}

/// What the router alone writes, apart for the same reason.
#[derive(Default)]
#[repr(align(64))]
struct InLine(AtomicU32);

/// How a step of the task begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Nobody is to be told of it, and it has nothing to wait for.
    Quiet,
    /// It has nothing to wait for, and what is to be told of it goes into the queue and the metrics.
    Short,
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
        Self {
            direct,
            opening: Opening::among(direct),
            pace: Pace::Long,
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

    /// What must travel for the task to go on in another process.
    pub(crate) fn carrier(&self) -> Carrier {
        let counts = self.counts();
        let started_at = Timestamp::from_unix_nanos(self.started_at.load(Ordering::Relaxed));
        let started_at = self.origin().map_or(started_at, |origin| origin.started_at);
        let trace = self.trace();
        let remote = trace.map(TaskTrace::as_remote);
        let keys = self.core.tracing().map(Tracing::baggage_keys).unwrap_or_default();
        let carried = trace.iter().flat_map(|trace| trace.baggage().iter().cloned());
        // A mask in the place of a value would be taken for one: such an entry stays behind.
        let filter = self.core.filter();
        let may_travel = |key: &str, value: &str| !filter.masks(key) && matches!(filter.text(value), Cow::Borrowed(_));
        Carrier {
            task_id: self.id.as_str().to_owned(),
            task_name: self.name.to_owned(),
            run: trace.map_or(1, TaskTrace::run),
            started_at_unix_nanos: started_at.as_unix_nanos(),
            total_steps: counts.total,
            completed_steps: counts.completed,
            failed_steps: counts.failed,
            traceparent: remote.as_ref().map(ToString::to_string),
            tracestate: remote.as_ref().and_then(|remote| remote.tracestate().map(str::to_owned)),
            parent: trace.and_then(|trace| trace.parent().map(ToString::to_string)),
            link: trace.and_then(|trace| trace.link().map(ToString::to_string)),
            baggage: carried.chain(crate::otel::baggage(keys)).filter(|(key, value)| may_travel(key, value)).collect(),
            context: self.context(),
            correlation_id: self.given_correlation_id().map(|id| (**id).to_owned()),
            undecided: Vec::new(),
            undecided_lost: 0,
            seed: self.origin().and_then(|origin| origin.seed),
        }
    }

    /// The `fields(..)` by name, masked.
    pub(crate) fn context(&self) -> Vec<(String, Json)> {
        if let Some(origin) = self.origin() {
            return origin.context.clone();
        }
        let values = self.field_names.iter().zip(self.fields());
        values.map(|(name, value)| ((*name).to_owned(), value.to_json())).collect()
    }

    /// The task goes on elsewhere, with what is in the carrier: this process tells no end of it. `false`: that was so already.
    pub(crate) fn hand_over(&self) -> bool {
        !self.handed_over.swap(true, Ordering::AcqRel)
    }

    /// [`carrier`](Self::carrier), and [`hand_over`](Self::hand_over). Spans that wait for the task's end come along.
    pub(crate) fn send_off(self: &Arc<Self>) -> Carrier {
        self.hand_over();
        let mut carrier = self.carrier();
        let undecided = self.trace.as_ref().and_then(TaskTrace::undecided);
        let (Some(undecided), Some(tracing)) = (undecided, self.core.tracing()) else { return carrier };
        let Ok(records) = undecided.take() else { return carrier }; // evicted, and counted
        if let Some(spans) = tracing.pack(self, &records) {
            carrier.undecided = spans;
        } else {
            // Whole or absent: what cannot travel is exported here, and so must be the rest, elsewhere.
            self.release(records);
            let sampled = |parent: String| parent.strip_suffix("-00").map_or(parent.clone(), |id| format!("{id}-01"));
            carrier.traceparent = carrier.traceparent.map(sampled);
        }
        carrier
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

    /// How its steps begin and end.
    #[inline]
    pub(crate) const fn pace(&self) -> Pace {
        self.pace
    }

    /// The number of the step that begins now, from 0.
    pub(crate) fn next_step(&self) -> u32 {
        steps_of(self.counted.numbers.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn step_completed(&self) {
        self.counted.completed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn step_failed(&self) {
        self.counted.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU32| u64::from(counter.load(Ordering::Relaxed));
        let before = self.origin().map(|origin| origin.counts).unwrap_or_default();
        Counts {
            total: before.total + u64::from(steps_of(self.counted.numbers.load(Ordering::Relaxed))),
            completed: before.completed + read(&self.counted.completed),
            failed: before.failed + read(&self.counted.failed),
        }
    }

    /// The number of the event of that kind that happens now. Those that go through the queue have numbers from 0, without gaps.
    #[inline]
    pub(crate) fn next_event(&self, kind: EventKind) -> u32 {
        if self.queued & kind.bit() != 0 {
            events_of(self.counted.numbers.fetch_add(1 << 32, Ordering::Relaxed)) & !OUT_OF_LINE
        } else {
            self.counted.others.fetch_add(1, Ordering::Relaxed) | OUT_OF_LINE
        }
    }

    /// The number of the event that the router expects next.
    #[inline]
    pub(crate) const fn next_in_line(&self) -> &AtomicU32 {
        &self.in_line.0
    }

    /// Hands an event of this task to the publisher, if anybody listens to its kind; `fact` is asked for only then.
    #[inline]
    pub(crate) fn emit(
        self: &Arc<Self>,
        kind: EventKind,
        at: Timestamp,
        step: Option<StepPlace>,
        fact: impl FnOnce() -> Fact,
    ) {
        if self.wants(kind) {
            self.emit_wanted(kind, at, step, fact());
        }
    }

    #[inline(never)]
    fn emit_wanted(self: &Arc<Self>, kind: EventKind, at: Timestamp, step: Option<StepPlace>, mut fact: Fact) {
        let mut record = |follows| {
            let fact = mem::replace(&mut fact, Fact::Bare);
            Record { kind, sequence: self.next_event(kind), at, task: self.unless(follows), step, fact, follows }
        };
        if self.direct & kind.bit() != 0 {
            self.core.publisher().send(kind, self.owner(), record);
        } else {
            self.publish(record(false));
        }
    }

    /// Whether a step that begins at once can say so in one record.
    #[inline]
    pub(crate) const fn wants_begun(&self) -> bool {
        matches!(self.opening, Opening::Both)
    }

    /// As whose the publisher knows its records.
    #[inline]
    fn owner(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// The task for a record, unless that follows one of the same task.
    #[inline]
    fn unless(self: &Arc<Self>, follows: bool) -> Option<Arc<Self>> {
        if follows { None } else { Some(Arc::clone(self)) }
    }

    /// Hands `step.execution_requested` and `step.started` to the publisher, if [`wants_begun`](Self::wants_begun).
    #[inline(never)]
    pub(crate) fn emit_begun(self: &Arc<Self>, at: Timestamp, step: StepPlace, mut inputs: Option<Inputs>) {
        self.core.publisher().send_begun(self.owner(), |follows| Record {
            kind: EventKind::StepStarted,
            sequence: events_of(self.counted.numbers.fetch_add(2 << 32, Ordering::Relaxed)) & !OUT_OF_LINE,
            at,
            task: self.unless(follows),
            step: Some(step),
            fact: Fact::Begun(inputs.take()),
            follows,
        });
    }

    /// A short step begins: its number, and that of the first event that its beginning is told by.
    #[inline]
    pub(crate) fn open(&self) -> (u32, u32) {
        let before = self.counted.numbers.fetch_add(1 | u64::from(self.opening.events()) << 32, Ordering::Relaxed);
        (steps_of(before), events_of(before) & !OUT_OF_LINE)
    }

    /// Tells the publisher so.
    #[inline]
    pub(crate) fn emit_opening(self: &Arc<Self>, lanes: &mut Lanes, at: Timestamp, step: StepPlace, sequence: u32) {
        let opening = self.opening;
        if opening == Opening::Nothing {
            return;
        }
        self.core.publisher().send_opening(lanes, opening, self.owner(), move |follows| Record {
            kind: EventKind::StepStarted,
            sequence,
            at,
            task: self.unless(follows),
            step: Some(step),
            fact: Fact::Short { opening, ended: None },
            follows,
        });
    }

    /// It ends well, after so long; `opened`: the number of the first event that its beginning was told by.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "called in two places, of which one is the way of most steps")]
    pub(crate) fn emit_short_end(
        self: &Arc<Self>,
        lanes: &mut Lanes,
        at: Timestamp,
        step: StepPlace,
        nanos: u64,
        opened: u32,
    ) {
        if self.direct & EventKind::StepCompleted.bit() == 0 {
            return;
        }
        let sequence = events_of(self.counted.numbers.fetch_add(1 << 32, Ordering::Relaxed)) & !OUT_OF_LINE;
        let is_next = sequence == opened.wrapping_add(self.opening.events());
        let add_to = move |begun: &mut Record| is_next && begun.add_end(opened, nanos);
        self.core.publisher().send_end(lanes, self.owner(), add_to, move |follows| Record {
            kind: EventKind::StepCompleted,
            sequence,
            at,
            task: self.unless(follows),
            step: Some(step),
            fact: Fact::Completed { nanos, queue_nanos: 0, inputs: None },
            follows,
        });
    }

    /// Hands on a record of this task, which somebody wants to have.
    pub(crate) fn publish(self: &Arc<Self>, record: Record) {
        let publisher = self.core.publisher();
        if let Some(undecided) = self.trace.as_ref().and_then(TaskTrace::undecided) {
            if publisher.span_mask() & record.kind.bit() != 0 {
                undecided.push(self, record.clone());
            }
            if !publisher.wants(record.kind) {
                return;
            }
        }
        publisher.publish(record);
    }

    /// The task has ended, so it is known whether its spans are kept.
    pub(crate) fn decide(self: &Arc<Self>, keep: bool) {
        let Some(undecided) = self.trace.as_ref().and_then(TaskTrace::undecided) else { return };
        if let Ok(records) = undecided.take()
            && keep
        {
            self.release(records);
        }
    }

    fn release(self: &Arc<Self>, records: Vec<Record>) {
        let records = records.into_iter().map(|record| Record { task: Some(Arc::clone(self)), ..record });
        self.core.publisher().publish_spans(records.collect());
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the lower half is what is meant")]
const fn steps_of(numbers: u64) -> u32 {
    numbers as u32
}

const fn events_of(numbers: u64) -> u32 {
    (numbers >> 32) as u32
}
