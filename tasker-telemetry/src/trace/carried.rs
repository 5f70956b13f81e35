//! Finished spans that travel with their task, because it is not known yet whether they are kept.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::SpanId;
use super::span::{Link, Span};
use crate::time::Timestamp;

/// A finished span, with nothing that only its own process understands. Its trace is its task's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CarriedSpan {
    pub(crate) id: String,
    /// Of a call to another service; absent for a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) status: u8,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
    pub(crate) attributes: Vec<(String, Json)>,
    pub(crate) events: Vec<CarriedEvent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<String>,
}

/// Name, time in nanoseconds since 1970, attributes.
type CarriedEvent = (String, u64, Vec<(String, Json)>);

/// How much JSON may travel with a task. A task that has more is kept, whatever becomes of it.
const MOST_BYTES: usize = 32 * 1024;

impl CarriedSpan {
    fn of(span: &Span) -> Self {
        let mut attributes = Vec::new();
        span.visit_attributes(&mut |key, value| attributes.push((key.to_owned(), value.to_value().to_json())));
        let events = span.events().into_iter().map(|event| {
            let values = event.attributes.into_iter().map(|(key, value)| (key.into_owned(), value.to_json()));
            (event.name.into_owned(), event.at.as_unix_nanos(), values.collect())
        });
        let (status, message) = span.status_parts();
        Self {
            id: span.span_id().to_string(),
            call: span.is_call().then(|| span.name().to_owned()),
            parent: span.parent_span_id().map(|id| id.to_string()),
            start: span.start().as_unix_nanos(),
            end: span.end().as_unix_nanos(),
            status,
            message: message.to_owned(),
            attributes,
            events: events.collect(),
            links: span.links().iter().map(ToString::to_string).collect(),
        }
    }

    /// The spans as they travel; `None`: they are too many.
    pub(crate) fn pack(spans: &[Span]) -> Option<Vec<Self>> {
        let packed: Vec<_> = spans.iter().map(Self::of).collect();
        let size = serde_json::to_vec(&packed).map_or(usize::MAX, |json| json.len());
        (size <= MOST_BYTES).then_some(packed)
    }

    pub(crate) fn span_id(&self) -> SpanId {
        self.id.parse().unwrap_or_else(|_| SpanId::from_bytes([0; 8]))
    }

    pub(crate) fn parent_span_id(&self) -> Option<SpanId> {
        self.parent.as_deref()?.parse().ok()
    }

    pub(crate) const fn start(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.start)
    }

    pub(crate) fn visit_links(&self, visit: &mut dyn FnMut(Link<'_>)) {
        for link in self.links.iter().filter_map(|link| link.parse::<super::Remote>().ok()) {
            let (trace, span, sampled) = (link.trace_id(), link.span_id(), link.is_sampled());
            visit(Link { trace, span, sampled, remote: false, state: "" });
        }
    }
}
