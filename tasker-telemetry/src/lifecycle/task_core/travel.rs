//! What travels for a task to go on in another process.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value as Json;

use super::TaskCore;
use crate::time::Timestamp;
use crate::trace::{Carrier, TaskTrace, Tracing};

impl TaskCore {
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
}
