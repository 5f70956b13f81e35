//! What a task knows of its trace: ids, the sampling decision, and the trace that called it.

use super::undecided::Undecided;
use super::{Remote, SpanId, TraceId};
use crate::otel::Spot;

/// Where a task's root span stands to the trace that was active where the task began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TraceParenting {
    /// A trace of its own, with a link to the caller's span. The trace id then is a function of the task id.
    #[default]
    Link,
    /// It goes on in the caller's trace, as a child of the caller's span.
    Child,
    /// A trace of its own that says nothing of the caller.
    None,
}

impl TraceParenting {
    const ALL: [Self; 3] = [Self::Link, Self::Child, Self::None];

    /// `link`, `child` or `none`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Child => "child",
            Self::None => "none",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|parenting| parenting.name() == name)
    }
}

/// Whether a task's spans are exported.
#[derive(Debug)]
pub(crate) enum Recording {
    /// Yes.
    Sampled,
    /// Only if the task fails; until then they wait.
    Undecided(Undecided),
    /// No.
    Out,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct TaskTrace {
    pub(super) id: TraceId,
    pub(super) root: SpanId,
    /// Which run of the task this is, from 1.
    pub(super) run: u32,
    /// Set where the task goes on in its caller's trace.
    pub(super) parent: Option<Box<Remote>>,
    pub(super) link: Option<Box<Remote>>,
    /// The caller's span is known from another process.
    pub(super) called_remotely: bool,
    pub(super) recording: Recording,
    pub(super) tracestate: Option<Box<str>>,
    pub(super) baggage: Box<[(String, String)]>,
    /// It came from another process.
    pub(super) resumed: bool,
}

impl TaskTrace {
    pub(crate) const fn id(&self) -> TraceId {
        self.id
    }

    /// The root span, which stands for the task.
    pub(crate) const fn root(&self) -> SpanId {
        self.root
    }

    /// Which run of the task this is, from 1.
    pub(crate) const fn run(&self) -> u32 {
        self.run
    }

    /// The caller's span, where the task is its child.
    pub(crate) fn parent(&self) -> Option<&Remote> {
        self.parent.as_deref()
    }

    /// The caller's span, where the root links to it.
    pub(crate) fn link(&self) -> Option<&Remote> {
        self.link.as_deref()
    }

    /// Whether the caller's span, parent or link, is one of another process.
    pub(crate) const fn is_called_remotely(&self) -> bool {
        self.called_remotely
    }

    /// The decision that is handed on: other libraries' spans follow it.
    pub(crate) const fn is_sampled(&self) -> bool {
        matches!(self.recording, Recording::Sampled)
    }

    /// Whether what happens in the task is worth recording.
    pub(crate) const fn is_recorded(&self) -> bool {
        !matches!(self.recording, Recording::Out)
    }

    pub(crate) const fn undecided(&self) -> Option<&Undecided> {
        match &self.recording {
            Recording::Undecided(undecided) => Some(undecided),
            Recording::Sampled | Recording::Out => None,
        }
    }

    pub(crate) fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }

    pub(crate) fn baggage(&self) -> &[(String, String)] {
        &self.baggage
    }

    pub(crate) const fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// The task's root span as other processes name it.
    pub(crate) fn as_remote(&self) -> Remote {
        let remote = Remote::new(self.id, self.root, self.is_sampled());
        match self.tracestate() {
            Some(state) => remote.with_tracestate(state),
            None => remote,
        }
    }

    /// The span that a step which begins here runs in: 0 for the task's own.
    pub(crate) fn parent_of_step(&self, around: impl FnOnce() -> Option<SpanId>) -> u64 {
        self.parent_among(crate::otel::parent_in(self).map_or(0, SpanId::as_u64), around)
    }

    /// The same, where the current span is known already; 0 if that is none of this trace.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the way of each step")]
    pub(crate) fn parent_among(&self, current: u64, around: impl FnOnce() -> Option<SpanId>) -> u64 {
        let parent = if current == 0 { around().map_or(0, SpanId::as_u64) } else { current };
        if parent == self.root.as_u64() { 0 } else { parent }
    }

    /// What is current while the task's own body is polled.
    pub(crate) fn spot(&self) -> Spot {
        Spot::of_task(self)
    }
}
