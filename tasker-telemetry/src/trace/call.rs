//! A call to another service, inside a step: a span of its own, of kind client.
//!
//! Who calls says what happened, as plain values that may be shown; what they mean is the caller's business (`api`). It is made
//! when the call has ended, and goes straight to what makes spans: no subscriber sees it, no event is counted.

#[cfg(feature = "api")]
pub(crate) use self::open::OpenCall;
use super::SpanId;
use crate::time::Timestamp;
use crate::value::Value;

/// A finished call.
#[cfg_attr(not(feature = "api"), allow(dead_code, reason = "only `api` makes calls"))]
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) id: SpanId,
    /// The span that it was made in; 0 for the task's.
    pub(super) parent: u64,
    pub(super) start: Timestamp,
    pub(super) name: String,
    pub(super) attributes: Vec<(&'static str, Value)>,
    /// Set when it failed: the message, which may be empty.
    pub(super) failure: Option<String>,
}

#[cfg(feature = "api")]
mod open {
    //! Who makes them.

    use std::sync::Arc;

    use super::Call;
    use crate::event::EventKind;
    use crate::filter::{Filter, Secrets};
    use crate::lifecycle::TaskCore;
    use crate::publisher::{Fact, OUT_OF_LINE, Record};
    use crate::scope::{self, Scope};
    use crate::time::Moment;
    use crate::trace::{Remote, SpanId, TaskTrace};
    use crate::value::Value;

    /// A call that is under way.
    pub(crate) struct OpenCall {
        task: Arc<TaskCore>,
        id: SpanId,
        parent: u64,
        begun: Moment,
    }

    impl OpenCall {
        /// A call that the calling code makes; `None` where no span is made of it.
        pub(crate) fn begin() -> Option<Self> {
            let task = match scope::current() {
                Scope::Task(task, ..) => task,
                Scope::Empty | Scope::Telemetry(_) | Scope::Light(..) | Scope::Installed(..) => return None,
            };
            let trace = task.trace().filter(|trace| trace.is_recorded())?;
            let parent = trace.parent_of_step(|| scope::step_span_in(&task));
            let id = SpanId::of_u64(crate::id::nonce()).unwrap_or_else(|| SpanId::from_bytes([1; 8]));
            Some(Self { id, parent, begun: Moment::now(), task })
        }

        /// What decides what may be shown of it.
        pub(crate) fn shown_by(&self) -> (&Filter, &Secrets) {
            (self.task.core().filter(), self.task.secrets())
        }

        /// As the service is told of it.
        pub(crate) fn as_remote(&self) -> Option<Remote> {
            let trace = self.task.trace()?;
            let remote = Remote::new(trace.id(), self.id, trace.is_sampled());
            Some(trace.tracestate().map_or(remote.clone(), |state| remote.with_tracestate(state)))
        }

        /// It has ended.
        pub(crate) fn end(self, name: String, attributes: Vec<(&'static str, Value)>, failure: Option<String>) {
            let Self { task, id, parent, begun } = self;
            let end = begun.later();
            let call = Call { id, parent, start: begun.timestamp(), name, attributes, failure };
            let record = Record {
                kind: EventKind::StepCompleted,
                sequence: OUT_OF_LINE,
                at: end.timestamp(),
                task: Some(Arc::clone(&task)),
                step: None,
                fact: Fact::Call(Arc::new(call)),
                follows: false,
            };
            match task.trace().and_then(TaskTrace::undecided) {
                Some(undecided) => undecided.push(&task, record),
                None => task.core().publisher().publish_span(record),
            }
        }
    }
}
