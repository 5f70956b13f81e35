//! A finished span: what an exporter sends, read straight from the record of the end it is made of.
//!
//! Nothing is copied or formatted before an exporter asks: [`Span::visit_attributes`] hands out borrowed values, and every
//! exporter (OTLP, OpenTelemetry's `SpanData`, the console, memory) reads the same ones.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::sync::Arc;

use super::call::Call;
use super::carried::CarriedSpan;
use super::{Remote, SpanId, TaskTrace, TraceId};
use crate::catalog::Source;
use crate::event::EventKind;
use crate::failure::Failure;
use crate::id;
use crate::lifecycle::TaskCore;
use crate::publisher::{Fact, Record, StepPlace};
use crate::time::Timestamp;
use crate::value::Value;

/// A finished span: one attempt of a step, a task, or a call to another service.
///
/// ```
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::trace::{InMemorySpans, SpanStatus};
///
/// #[step]
/// fn charge(amount: u64) -> Result<u64, String> { Ok(amount) }
///
/// let spans = InMemorySpans::default();
/// let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone()).build()?;
/// telemetry.in_scope(|| charge(7)).unwrap();
/// telemetry.flush_blocking()?;
/// let charge = &spans.named("tasker.step.execution")[0];
/// assert_eq!(charge.attribute("tasker.step_name"), Some("charge".into()));
/// assert_eq!(charge.status(), SpanStatus::Ok);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Span {
    pub(super) record: Record,
    pub(super) extra: Option<Arc<Extra>>,
    pub(super) rules: Rules,
}

/// What few spans have.
#[derive(Clone, Default)]
pub(super) struct Extra {
    pub(super) published: Vec<Record>,
    pub(super) dropped_events: u32,
}

/// What the settings say of every span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Success is `Ok`, not `Unset`.
    pub(crate) success_is_ok: bool,
    /// An exception is an event of its span.
    pub(crate) exception_events: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { success_is_ok: true, exception_events: true }
    }
}

/// How a span ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpanStatus {
    /// It was cancelled; or it ended well, and the settings leave that open.
    Unset,
    /// It ended well.
    Ok,
    /// It failed, with this message.
    Error(Cow<'static, str>),
}

/// Whether a span's work was asked for by a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpanKind {
    /// Work in this process.
    Internal,
    /// A task that came from another process.
    Consumer,
    /// A call to another service.
    Client,
}

/// What happened in a span.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpanEvent {
    /// `step.started`, `exception`, or the name of a custom event.
    pub name: Cow<'static, str>,
    /// When.
    pub at: Timestamp,
    /// Its values, by name.
    pub attributes: Vec<(Cow<'static, str>, Value)>,
}

/// A span that another refers to, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link<'a> {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) sampled: bool,
    /// It is known from another process.
    pub(crate) remote: bool,
    /// The `tracestate`, or nothing.
    pub(crate) state: &'a str,
}

/// A value of an attribute, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AttributeValue<'a> {
    Str(&'a str),
    I64(i64),
    F64(f64),
    /// An integer that OpenTelemetry's do not hold, to be written as text: as a float it would be another number.
    Big(u64),
    Bool(bool),
    Json(&'a serde_json::Value),
    /// A UUID, to be written as text.
    Uuid(uuid::Uuid),
    /// A text and another, with `::` between.
    Path(&'a str, &'a str),
}

impl AttributeValue<'_> {
    /// The value as one that is kept.
    pub(crate) fn to_value(self) -> Value {
        match self {
            Self::Str(text) => Value::Str(text.to_owned().into()),
            Self::I64(number) => Value::I64(number),
            Self::F64(number) => Value::F64(number),
            Self::Big(number) => Value::Str(number.to_string().into()),
            Self::Bool(is) => Value::Bool(is),
            Self::Json(json) => Value::Json(json.clone()),
            Self::Uuid(uuid) => Value::Str(uuid.to_string().into()),
            Self::Path(module, function) => Value::Str(format!("{module}::{function}").into()),
        }
    }
}

impl<'a> From<&'a Value> for AttributeValue<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Bool(is) => Self::Bool(*is),
            Value::I64(number) => Self::I64(*number),
            Value::U64(number) => i64::try_from(*number).map_or(Self::Big(*number), Self::I64),
            Value::F64(number) => Self::F64(*number),
            Value::Str(text) => Self::Str(text),
            Value::Json(json) => Self::Json(json),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "the nearest number there is")]
const fn approximately(number: u64) -> f64 {
    number as f64
}

fn seconds(nanos: u64) -> f64 {
    approximately(nanos) / 1e9
}

fn integer(number: u64) -> AttributeValue<'static> {
    AttributeValue::I64(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Takes events, one at a time: name, time, and what hands out the attributes.
pub(crate) type VisitEvent<'v> = dyn FnMut(&str, Timestamp, &dyn Fn(&mut Visit<'_>)) + 'v;

/// Takes attributes, one at a time.
pub(crate) type Visit<'v> = dyn for<'a> FnMut(&'a str, AttributeValue<'a>) + 'v;

impl Span {
    fn carried(&self) -> Option<&CarriedSpan> {
        match &self.record.fact {
            Fact::Carried(carried) => Some(carried),
            _ => None,
        }
    }

    fn call(&self) -> Option<&Call> {
        match &self.record.fact {
            Fact::Call(call) => Some(call),
            _ => None,
        }
    }

    /// Whether it is a call to another service, no step and no task.
    pub(super) fn is_call(&self) -> bool {
        self.call().is_some() || self.carried().is_some_and(|carried| carried.call.is_some())
    }

    pub(super) fn task(&self) -> Option<&Arc<TaskCore>> {
        self.record.task.as_ref()
    }

    /// The trace.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        self.task().map_or(TraceId::from_bytes([0; 16]), |task| task.trace_id())
    }

    /// The run of a task that it belongs to: trace and root span.
    #[cfg(feature = "console")]
    pub(super) fn run_key(&self) -> super::waterfall::RunKey {
        let root = self.task().map_or_else(|| SpanId::from_bytes([0; 8]), |task| self.root_of(task));
        (self.trace_id(), root)
    }

    /// Whether it is its task's own.
    pub(super) fn is_root(&self) -> bool {
        !self.is_step() && !self.is_call()
    }

    /// The span.
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        if let Some(carried) = self.carried() {
            return carried.span_id();
        }
        if let Some(call) = self.call() {
            return call.id;
        }
        match (self.task(), self.record.step) {
            (Some(task), Some(place)) => SpanId::of_step(task.nonce(), place.number, place.attempt),
            (Some(task), None) => self.root_of(task),
            (None, _) => SpanId::from_bytes([0; 8]),
        }
    }

    fn root_of(&self, task: &TaskCore) -> SpanId {
        task.trace().map_or_else(|| SpanId::of_root(self.trace_id(), 1), TaskTrace::root)
    }

    /// The span that it is a child of; `None` for a task's, unless the task goes on in its caller's trace.
    #[must_use]
    pub fn parent_span_id(&self) -> Option<SpanId> {
        if let Some(carried) = self.carried() {
            return carried.parent_span_id();
        }
        let task = self.task()?;
        if let Some(call) = self.call() {
            return SpanId::of_u64(call.parent).or_else(|| Some(self.root_of(task)));
        }
        match self.record.step {
            Some(place) => SpanId::of_u64(place.parent).or_else(|| Some(self.root_of(task))),
            None => Some(task.trace()?.parent()?.span_id()),
        }
    }

    /// The `tracestate`, empty where there is none.
    #[must_use]
    pub fn tracestate(&self) -> &str {
        self.task().and_then(|task| task.trace()?.tracestate()).unwrap_or_default()
    }

    /// Whether the parent is known from another process.
    pub(crate) fn is_parent_remote(&self) -> bool {
        let of_root = self.task().filter(|_| self.is_root()).and_then(|task| task.trace());
        of_root.is_some_and(|trace| trace.parent().is_some() && trace.is_called_remotely())
    }

    /// `tasker.task.execution` or `tasker.step.execution`; of a call to another service `GET /users/{id}`.
    #[must_use]
    pub fn name(&self) -> &str {
        let carried = self.carried().and_then(|carried| carried.call.as_deref());
        if let Some(name) = self.call().map(|call| call.name.as_str()).or(carried) {
            return name;
        }
        if self.is_step() { "tasker.step.execution" } else { "tasker.task.execution" }
    }

    /// Only steps are carried: the root is told by whoever ends the task.
    const fn is_step(&self) -> bool {
        self.record.step.is_some() || matches!(self.record.fact, Fact::Carried(_))
    }

    /// Whether its work was asked for by a message.
    #[must_use]
    pub fn kind(&self) -> SpanKind {
        if self.is_call() {
            return SpanKind::Client;
        }
        let resumed = !self.is_step() && self.task().and_then(|task| task.trace()).is_some_and(TaskTrace::is_resumed);
        if resumed { SpanKind::Consumer } else { SpanKind::Internal }
    }

    /// When the body began; where it never did, when it began to wait.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        match &self.record.fact {
            Fact::Completed { nanos, .. } | Fact::Failed { nanos, .. } => self.record.at.before(*nanos),
            Fact::Cancelled { nanos, queue_nanos, ran, .. } => {
                self.record.at.before(if *ran { *nanos } else { *queue_nanos })
            }
            Fact::TaskEnded(end) => end.started_at,
            Fact::Carried(carried) => carried.start(),
            Fact::Call(call) => call.start,
            _ => self.record.at,
        }
    }

    /// When it ended.
    #[must_use]
    pub const fn end(&self) -> Timestamp {
        self.record.at
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        match &self.record.fact {
            Fact::Failed { failure, .. } => Some(failure),
            Fact::TaskEnded(end) => end.failure.as_deref(),
            _ => None,
        }
    }

    const fn is_failed(&self) -> bool {
        matches!(self.record.kind, EventKind::StepFailed | EventKind::TaskFailed)
    }

    /// How it ended.
    #[must_use]
    pub fn status(&self) -> SpanStatus {
        match self.status_parts() {
            (0, _) => SpanStatus::Unset,
            (1, _) => SpanStatus::Ok,
            (_, message) => SpanStatus::Error(message.to_owned().into()),
        }
    }

    /// OTLP's number of the status (0 unset, 1 ok, 2 error), and its message.
    pub(crate) fn status_parts(&self) -> (u8, &str) {
        if let Some(carried) = self.carried() {
            return (carried.status, &carried.message);
        }
        if let Some(call) = self.call() {
            return call.failure.as_deref().map_or((0, ""), |message| (2, message));
        }
        match self.record.kind {
            EventKind::StepFailed | EventKind::TaskFailed => (2, self.failure().map_or("", |failure| &failure.message)),
            EventKind::StepCompleted | EventKind::TaskCompleted => (u8::from(self.rules.success_is_ok), ""),
            _ => (0, ""),
        }
    }

    /// The attribute of that name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Value> {
        let mut found = None;
        self.visit_attributes(&mut |key, value| {
            if key == name {
                found = Some(value.to_value());
            }
        });
        found
    }

    /// All attributes, in the order in which they are sent.
    #[must_use]
    pub fn attributes(&self) -> Vec<(String, Value)> {
        let mut attributes = Vec::new();
        self.visit_attributes(&mut |key, value| attributes.push((key.to_owned(), value.to_value())));
        attributes
    }

    /// Hands out the attributes.
    pub(crate) fn visit_attributes(&self, visit: &mut Visit<'_>) {
        if let Some(carried) = self.carried() {
            return carried.attributes.iter().for_each(|(key, value)| visit(key, of_json(value)));
        }
        if let Some(call) = self.call() {
            return call.attributes.iter().for_each(|(key, value)| visit(key, value.into()));
        }
        self.visit_fixed(visit);
        self.visit_own(visit);
    }

    /// The attributes that are this span's own: all but those of [`visit_fixed`](Self::visit_fixed).
    pub(crate) fn visit_own(&self, visit: &mut Visit<'_>) {
        let Some(task) = self.task() else { return };
        visit("tasker.task_id", AttributeValue::Str(task.id().as_str()));
        if let Some(id) = task.given_correlation_id() {
            visit("tasker.correlation_id", AttributeValue::Str(id));
        }
        match self.record.step {
            Some(place) => self.visit_step(task, place, visit),
            None => self.visit_task(task, visit),
        }
    }

    /// What [`visit_fixed`](Self::visit_fixed) depends on: step and task, by the addresses of their statics.
    pub(crate) fn fixed_key(&self) -> Option<(usize, usize)> {
        if self.carried().is_some() || self.call().is_some() {
            return None;
        }
        let task = self.task()?;
        let place = match self.record.step {
            // An engine that allows another number of attempts than the step says.
            Some(place) if place.retry_limit(task) != place.spec.retry_limit.max(1) => return None,
            Some(place) => std::ptr::from_ref(place.spec).addr(),
            None => task.place().map_or(0, |(_, source)| std::ptr::from_ref(source).addr()),
        };
        Some((task.name().as_ptr().addr(), place))
    }

    /// Those that are the same for every span of one step, or task, of one task: an exporter may write them once.
    pub(crate) fn visit_fixed(&self, visit: &mut Visit<'_>) {
        let Some(task) = self.task() else { return };
        visit("tasker.task_name", AttributeValue::Str(task.name()));
        let (function, source) = match self.record.step {
            Some(place) => {
                let spec = place.spec;
                visit("tasker.step_name", AttributeValue::Str(spec.name));
                visit("tasker.retry_limit", AttributeValue::I64(i64::from(place.retry_limit(task))));
                (spec.function, &spec.source)
            }
            None => match task.place() {
                Some(place) => place,
                None => return,
            },
        };
        let Source { module, file, line } = *source;
        visit("code.function.name", AttributeValue::Path(module, function));
        visit("code.file.path", AttributeValue::Str(file));
        visit("code.line.number", AttributeValue::I64(i64::from(line)));
    }

    /// The rest of a step's.
    fn visit_step(&self, task: &TaskCore, place: StepPlace, visit: &mut Visit<'_>) {
        visit("tasker.step_id", AttributeValue::Uuid(id::step_id(task.nonce(), place.number)));
        visit("tasker.attempt_number", AttributeValue::I64(i64::from(place.attempt)));
        let (nanos, queue_nanos, inputs) = match &self.record.fact {
            Fact::Completed { nanos, queue_nanos, inputs } | Fact::Cancelled { nanos, queue_nanos, inputs, .. } => {
                (*nanos, *queue_nanos, inputs.as_ref())
            }
            Fact::Failed { nanos, queue_nanos, failure, .. } => (*nanos, *queue_nanos, failure.inputs.as_ref()),
            _ => (0, 0, None),
        };
        visit("tasker.execution_duration", AttributeValue::F64(seconds(nanos)));
        visit("tasker.queue_time", AttributeValue::F64(seconds(queue_nanos)));
        if let Some(failure) = self.failure() {
            visit("tasker.error", AttributeValue::Str(&failure.message));
            visit("error.type", AttributeValue::Str(failure.error_type()));
        }
        if let Fact::Cancelled { reason, .. } = &self.record.fact {
            visit("tasker.cancel_reason", AttributeValue::Str(reason.as_str()));
        }
        if let Some(inputs) = inputs {
            visit_fields(place.spec.fields, inputs, visit);
        }
    }

    /// The rest of a task's.
    fn visit_task(&self, task: &TaskCore, visit: &mut Visit<'_>) {
        if let Fact::TaskEnded(end) = &self.record.fact {
            visit("tasker.total_steps", integer(end.total_steps));
            visit("tasker.completed_steps", integer(end.completed_steps));
            visit("tasker.failed_steps", integer(end.failed_steps));
            visit("tasker.execution_duration", AttributeValue::F64(seconds(end.nanos)));
            if let Some(failure) = &end.failure {
                visit("tasker.error", AttributeValue::Str(&failure.message));
                visit("error.type", AttributeValue::Str(failure.error_type()));
            }
            if let Some(reason) = end.reason.as_deref() {
                visit("tasker.cancel_reason", AttributeValue::Str(reason));
            }
        }
        visit_context(task, visit);
    }

    /// What happened in it, in the order in which it happened.
    #[must_use]
    pub fn events(&self) -> Vec<SpanEvent> {
        let mut events = Vec::new();
        self.visit_events(&mut |name, at, attributes| {
            let mut kept = Vec::new();
            attributes(&mut |key, value| kept.push((Cow::Owned(key.to_owned()), value.to_value())));
            events.push(SpanEvent { name: name.to_owned().into(), at, attributes: kept });
        });
        events
    }

    /// Hands out the events: name, time, and what hands out the attributes.
    pub(crate) fn visit_events(&self, visit: &mut VisitEvent<'_>) {
        if let Some(carried) = self.carried() {
            for (name, at, values) in &carried.events {
                visit(name, Timestamp::from_unix_nanos(*at), &|visit| {
                    for (key, value) in values {
                        visit(key, of_json(value));
                    }
                });
            }
            return;
        }
        if self.call().is_some() {
            return;
        }
        let none = |_: &mut Visit<'_>| {};
        let (is_step, end) = (self.record.step.is_some(), self.record.at);
        let began = !matches!(self.record.fact, Fact::Cancelled { ran: false, .. });
        if began {
            visit(if is_step { "step.started" } else { "task.started" }, self.start(), &none);
        }
        for record in self.extra.iter().flat_map(|extra| &extra.published) {
            visit(record.name(), record.at, &|visit| visit_payload(record, visit));
        }
        if let Some(failure) = self.failure().filter(|_| self.rules.exception_events) {
            visit("exception", end, &|visit| visit_exception(failure, visit));
        }
        visit(self.record.kind.name(), end, &none);
        if matches!(self.record.fact, Fact::Failed { retried: true, .. }) {
            visit("step.retry_requested", end, &none);
        }
    }

    /// How many events it had beyond those that it may have.
    #[must_use]
    pub fn dropped_events(&self) -> u32 {
        self.extra.as_ref().map_or(0, |extra| extra.dropped_events)
    }

    /// The spans that it refers to: of an attempt, the one before; of a task, the span that called it.
    #[must_use]
    pub fn links(&self) -> Vec<Remote> {
        let mut links = Vec::new();
        self.visit_links(&mut |Link { trace, span, sampled, state, .. }| {
            let link = Remote::new(trace, span, sampled);
            links.push(if state.is_empty() { link } else { link.with_tracestate(state) });
        });
        links
    }

    pub(crate) fn visit_links(&self, visit: &mut dyn FnMut(Link<'_>)) {
        let Some(task) = self.task() else { return };
        if let Some(carried) = self.carried() {
            return carried.visit_links(visit);
        }
        if self.call().is_some() {
            return;
        }
        match self.record.step {
            Some(place) if place.attempt > 1 => {
                let before = SpanId::of_step(task.nonce(), place.number, place.attempt - 1);
                visit(Link { trace: self.trace_id(), span: before, sampled: true, remote: false, state: "" });
            }
            Some(_) => {}
            None => {
                if let Some((link, remote)) =
                    task.trace().and_then(|trace| Some((trace.link()?, trace.is_called_remotely())))
                {
                    visit(Link {
                        trace: link.trace_id(),
                        span: link.span_id(),
                        sampled: link.is_sampled(),
                        remote,
                        state: link.tracestate().unwrap_or_default(),
                    });
                }
            }
        }
    }

    /// The error that it ended with, for exporters that send exceptions as logs.
    pub(crate) fn exception(&self) -> Option<&Failure> {
        self.failure().filter(|_| self.is_failed())
    }
}

/// The `fields(..)` of a task, wherever it began.
pub(super) fn visit_context(task: &TaskCore, visit: &mut Visit<'_>) {
    visit_fields(task.field_names(), task.fields(), visit);
    for (name, value) in task.origin().iter().flat_map(|origin| &origin.context) {
        visit(name, of_json(value));
    }
}

/// The `fields(..)`.
fn visit_fields(names: &[&'static str], values: &[Value], visit: &mut Visit<'_>) {
    for (name, value) in names.iter().zip(values) {
        visit(name, value.into());
    }
}

/// An error, by the conventions for exceptions.
pub(crate) fn visit_exception(failure: &Failure, visit: &mut Visit<'_>) {
    visit("exception.type", AttributeValue::Str(&failure.class));
    visit("exception.message", AttributeValue::Str(&failure.message));
    let frames = failure.backtrace();
    if failure.chain.is_empty() && frames.is_empty() {
        return;
    }
    let mut text = failure.message.clone();
    for cause in &failure.chain {
        let _ = write!(text, "\ncaused by: {cause}");
    }
    for frame in frames {
        let _ = write!(text, "\n    at {frame}");
    }
    visit("exception.stacktrace", AttributeValue::Str(&text));
}

/// The payload of a custom event, without what every event has.
fn visit_payload(record: &Record, visit: &mut Visit<'_>) {
    let event = crate::publisher::build(record);
    let serde_json::Value::Object(fields) = event.payload() else { return };
    for (name, value) in fields {
        // An absent value is an absent attribute.
        if !value.is_null() && !crate::event::HEADER_FIELDS.contains(&name.as_str()) {
            visit(name, of_json(value));
        }
    }
}

fn of_json(json: &serde_json::Value) -> AttributeValue<'_> {
    match json {
        serde_json::Value::Bool(is) => AttributeValue::Bool(*is),
        serde_json::Value::String(text) => AttributeValue::Str(text),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), ..) => AttributeValue::I64(number),
            (None, Some(number), _) => AttributeValue::Big(number),
            (None, None, number) => AttributeValue::F64(number.unwrap_or_default()),
        },
        other => AttributeValue::Json(other),
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Span")
            .field("name", &self.name())
            .field("trace_id", &self.trace_id())
            .field("span_id", &self.span_id())
            .field("parent_span_id", &self.parent_span_id())
            .field("status", &self.status())
            .field("attributes", &self.attributes())
            .finish_non_exhaustive()
    }
}
