//! A finished span: what an exporter sends, read straight from the record of the end it is made of.
//!
//! Nothing is copied or formatted before an exporter asks: [`Span::visit_attributes`] hands out borrowed values, and every
//! exporter (OTLP, OpenTelemetry's `SpanData`, the console, memory) reads the same ones.

mod attributes;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub(super) use self::attributes::visit_context;
pub(crate) use self::attributes::{AttributeValue, Visit, visit_exception};
use self::attributes::{of_json, visit_payload};
use super::call::Call;
use super::carried::CarriedSpan;
use super::{Remote, SpanId, TaskTrace, TraceId};
use crate::event::EventKind;
use crate::failure::Failure;
use crate::lifecycle::TaskCore;
use crate::publisher::{Fact, Record};
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

/// Takes events, one at a time: name, time, and what hands out the attributes.
pub(crate) type VisitEvent<'v> = dyn FnMut(&str, Timestamp, &dyn Fn(&mut Visit<'_>)) + 'v;

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
