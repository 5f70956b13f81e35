//! A `tracing` span around each body, so that what users log inside a step says of which step, attempt, task and trace.
//!
//! It is for logs alone: the spans of traces are made elsewhere. Who turns `tracing` spans into OpenTelemetry's filters these
//! out by their target, [`TARGET`], or they are there twice (`docs/traces.md` shows how).

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing::span::EnteredSpan;

use crate::id;
use crate::lifecycle::TaskCore;
use crate::publisher::StepPlace;

/// The target of these spans.
pub(crate) const TARGET: &str = "tasker_telemetry::span";

/// See the module. Empty where no `tracing` subscriber wants it.
#[derive(Debug, Default)]
pub(crate) struct LogSpan(Option<Box<tracing::Span>>);

impl LogSpan {
    /// Whether one might be.
    #[inline]
    pub(crate) fn is_wanted(task: &TaskCore) -> bool {
        LevelFilter::current() >= Level::INFO && task.core().makes_log_spans()
    }

    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Whether a subscriber wants it.
    pub(crate) const fn is_there(&self) -> bool {
        self.0.is_some()
    }

    #[inline]
    pub(crate) fn of_task(task: &TaskCore) -> Self {
        if Self::is_wanted(task) { Self::make_of_task(task) } else { Self(None) }
    }

    #[inline]
    pub(crate) fn of_step(task: &TaskCore, place: StepPlace) -> Self {
        if Self::is_wanted(task) { Self::make_of_step(task, place) } else { Self(None) }
    }

    #[cold]
    fn make_of_task(task: &TaskCore) -> Self {
        Self::kept(tracing::info_span!(
            target: TARGET,
            "task",
            task_name = task.name(),
            task_id = task.id().as_str(),
            trace_id = %task.trace_id(),
            correlation_id = task.given_correlation_id().map(|id| &**id),
        ))
    }

    #[cold]
    fn make_of_step(task: &TaskCore, place: StepPlace) -> Self {
        Self::kept(tracing::info_span!(
            target: TARGET,
            "step",
            step_name = place.spec.name,
            attempt = place.attempt,
            task_id = task.id().as_str(),
            step_id = %id::step_id(task.nonce(), place.number),
            trace_id = %task.trace_id(),
            correlation_id = task.given_correlation_id().map(|id| &**id),
        ))
    }

    fn kept(span: tracing::Span) -> Self {
        Self((!span.is_disabled()).then(|| Box::new(span)))
    }

    /// While the answer lives, what is logged on this thread is logged inside.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a call in each poll, where there is none")]
    pub(crate) fn enter(&self) -> Option<EnteredSpan> {
        self.0.as_ref().map(|span| Self::enter_it(span))
    }

    #[cold]
    fn enter_it(span: &tracing::Span) -> EnteredSpan {
        span.clone().entered()
    }
}
