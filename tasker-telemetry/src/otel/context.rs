//! The current context: where a step's span is put for other libraries, and where a caller's span is found.

mod usable;

use std::fmt;
use std::mem;

use opentelemetry::baggage::{BaggageExt, KeyValueMetadata};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry::{Context, ContextGuard, SpanId as OtelSpanId, TraceId as OtelTraceId};

use self::usable::{is_usable, look};
use crate::trace::{Remote, SpanId, TaskTrace, TraceId};

/// The context of one place: a task, a step, or wherever a future was made. Attached anew for every poll, since a guard may
/// not leave its thread.
#[derive(Clone, Default)]
pub(crate) struct Spot(Place);

#[derive(Clone, Default)]
enum Place {
    /// What is current stays current.
    #[default]
    Anywhere,
    At(Context),
    /// That span, in whatever is current when it is attached.
    Within(Box<SpanContext>),
}

/// While it lives, the context is the current one of its thread.
pub(crate) struct Attached(Option<ContextGuard>);

impl Attached {
    pub(crate) const NOTHING: Self = Self(None);

    /// A step begins here: its span is the active one of what is current now. Nothing has been attached before. Says also in
    /// which span such a step runs, as [`parent_in`] does, with one look at what is current; 0 if in none of the task's trace.
    #[inline(never)]
    pub(crate) fn attach_step(&mut self, trace: &TaskTrace, span: SpanId) -> u64 {
        if !is_usable() {
            return 0;
        }
        if trace.tracestate().is_some() {
            return self.attach_step_with_state(trace, span);
        }
        self.attach_step_in(trace, || stateless(trace, span))
    }

    /// Apart, so that the usual way has nothing in it that has to be found out.
    #[cold]
    #[inline(never)]
    fn attach_step_with_state(&mut self, trace: &TaskTrace, span: SpanId) -> u64 {
        self.attach_step_in(trace, || span_context(trace, span))
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as a function of its own it costs 20 instructions")]
    fn attach_step_in(&mut self, trace: &TaskTrace, span: impl FnOnce() -> SpanContext) -> u64 {
        let (mut context, mut parent) = (None, 0);
        Context::map_current(|current| {
            parent = span_of(current, trace);
            context = Some(current.with_remote_span_context(span()));
        });
        if let Some(context) = context {
            put(&mut self.0, context.attach());
        }
        parent
    }

    /// What was current before is current again.
    #[inline]
    pub(crate) fn detach(&mut self) {
        self.0 = None;
    }

    /// The same, and what was attached by [`attach_step`](Self::attach_step) comes back, for the polls that follow. Without what
    /// the body has attached inside and not detached before this poll ended: that is not the step's.
    pub(crate) fn take_back(&mut self, trace: &TaskTrace, span: SpanId) -> Spot {
        if self.0.is_none() {
            return Spot::none();
        }
        let is_ours = |context: &Context| {
            context.has_active_span() && context.span().span_context().span_id().to_bytes() == span.to_bytes()
        };
        let context = look(|current| is_ours(current).then(|| current.clone())).flatten();
        self.detach();
        match context {
            // What the body left stands above ours, and is current still, if only with other values beside our span.
            Some(context) if !look(is_ours).unwrap_or(false) => Spot(Place::At(context)),
            // Then ours is not to be had any more. When the step is polled again, that around it is current.
            _ => Spot(Place::Within(Box::new(span_context(trace, span)))),
        }
    }
}

impl Spot {
    /// None: what is current stays current.
    pub(crate) const fn none() -> Self {
        Self(Place::Anywhere)
    }

    fn at(context: Option<Context>) -> Self {
        Self(context.map_or(Place::Anywhere, Place::At))
    }

    /// That of the calling code.
    pub(crate) fn current() -> Self {
        Self::at(look(Context::clone))
    }

    /// The current one, with the task's root span as the active span, and the baggage that came with the task.
    pub(crate) fn of_task(trace: &TaskTrace) -> Self {
        let Some(mut context) = with_span(trace, trace.root()) else { return Self::none() };
        if !trace.baggage().is_empty() {
            let entries = trace.baggage().iter();
            context = context.with_baggage(
                entries.map(|(key, value)| KeyValueMetadata::new(key.clone(), value.clone(), String::new())),
            );
        }
        Self(Place::At(context))
    }

    /// The current one, with that span as the active span.
    pub(crate) fn of_step(trace: &TaskTrace, span: SpanId) -> Self {
        Self::at(with_span(trace, span))
    }

    /// Whether it is one.
    pub(crate) const fn is_there(&self) -> bool {
        !matches!(self.0, Place::Anywhere)
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a call in each poll, where there is none")]
    pub(crate) fn attach(&self) -> Attached {
        if self.is_there() { self.attach_it() } else { Attached::NOTHING }
    }

    fn attach_it(&self) -> Attached {
        // A clone each time, though the context could be taken back after the poll: what the body leaves attached across
        // an await would come along.
        match &self.0 {
            Place::At(context) if is_usable() => Attached(Some(context.clone().attach())),
            Place::Within(span) => {
                Attached(look(|current| current.with_remote_span_context((**span).clone())).map(Context::attach))
            }
            Place::Anywhere | Place::At(_) => Attached::NOTHING,
        }
    }
}

fn with_span(trace: &TaskTrace, span: SpanId) -> Option<Context> {
    let span = span_context(trace, span);
    look(|current| current.with_remote_span_context(span))
}

/// Puts it where there is none: forgotten, what is there is not asked what it holds.
#[inline]
fn put<T>(place: &mut Option<T>, new: T) {
    mem::forget(place.replace(new));
}

fn span_context(trace: &TaskTrace, span: SpanId) -> SpanContext {
    let state = trace.tracestate().map_or(TraceState::NONE, |state| state.parse().unwrap_or(TraceState::NONE));
    span_context_with(trace, span, state)
}

#[inline]
fn stateless(trace: &TaskTrace, span: SpanId) -> SpanContext {
    span_context_with(trace, span, TraceState::default()) // the constant costs 20 instructions: it is copied whole
}

#[inline]
fn span_context_with(trace: &TaskTrace, span: SpanId, state: TraceState) -> SpanContext {
    let flags = if trace.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    // Ours, though no object of the crate's own stands behind it: nobody can add to it through the context.
    let (trace, span) = (OtelTraceId::from_bytes(trace.id().to_bytes()), OtelSpanId::from_bytes(span.to_bytes()));
    SpanContext::new(trace, span, flags, false, state)
}

/// The active span of the calling code, if there is a valid one, and whether it is one of another process.
pub(crate) fn caller() -> Option<(Remote, bool)> {
    look(|context| {
        if !context.has_active_span() {
            return None;
        }
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| {
            let trace = TraceId::from_bytes(span.trace_id().to_bytes());
            let remote = Remote::new(trace, SpanId::from_bytes(span.span_id().to_bytes()), span.is_sampled())
                .with_tracestate(&span.trace_state().header());
            (remote, span.is_remote())
        })
    })
    .flatten()
}

/// The span that a step which begins here runs in, if it is one of the task's own trace: that of another library, too, unless
/// it was not sampled and so will never be seen.
pub(crate) fn parent_in(trace: &TaskTrace) -> Option<SpanId> {
    look(|context| span_of(context, trace)).and_then(SpanId::of_u64)
}

/// 0: it is none such.
#[inline]
fn span_of(context: &Context, trace: &TaskTrace) -> u64 {
    if !context.has_active_span() {
        return 0;
    }
    let span = context.span();
    let span = span.span_context();
    let is_ours = TraceId::from_bytes(span.trace_id().to_bytes()) == trace.id() && span.is_sampled();
    if is_ours { u64::from_be_bytes(span.span_id().to_bytes()) } else { 0 }
}

/// The current baggage, as far as it is allowed to travel.
pub(crate) fn baggage(allowed: &[String]) -> Vec<(String, String)> {
    if allowed.is_empty() {
        return Vec::new();
    }
    look(|context| {
        let baggage = context.baggage();
        let entries = allowed.iter().filter_map(|key| baggage.get(key).map(|value| (key.clone(), value.to_string())));
        entries.collect()
    })
    .unwrap_or_default()
}

impl fmt::Debug for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spot").field(&self.is_there()).finish()
    }
}
