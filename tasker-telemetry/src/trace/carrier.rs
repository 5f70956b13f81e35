//! What must travel for a task to go on in another process: who it is, since when, and its trace.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::carried::CarriedSpan;
use super::w3c::Remote;
use crate::lifecycle::Counts;
use crate::time::Timestamp;
use crate::variables::{percent_decoded, percent_encoded};

/// A task on its way to another process. Serialise it into a message or a row, or send it as [headers](Self::to_headers).
///
/// ```
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::trace::{Carrier, InMemorySpans};
///
/// #[step]
/// async fn pack(box_number: u64) -> u64 { box_number }
///
/// #[task(id = order)]
/// async fn order_process(order: u64) -> String {
///     pack(1).await;
///     // The rest is done elsewhere: this process tells no end of the task.
///     let carrier = TaskScope::current().expect("inside a task").hand_over();
///     serde_json::to_string(&carrier).expect("a carrier is plain data")
/// }
///
/// # tasker_telemetry::testing::block_on(async {
/// let (here, there) = (InMemorySpans::default(), InMemorySpans::default());
/// let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(here.clone()).build()?;
/// let message = telemetry.scope(order_process(7)).await;
/// telemetry.flush().await?;
///
/// // In the other process:
/// let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(there.clone()).build()?;
/// let carrier: Carrier = serde_json::from_str(&message)?;
/// let task = telemetry.in_scope(|| TaskScope::resume(carrier));
/// task.scope(pack(2)).await;
/// task.complete();
/// telemetry.flush().await?;
///
/// let root = &there.named("tasker.task.execution")[0];
/// let steps = [here.spans(), there.named("tasker.step.execution")].concat();
/// assert!(steps.iter().all(|step| step.trace_id() == root.trace_id() && step.parent_span_id() == Some(root.span_id())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carrier {
    pub(crate) task_id: String,
    pub(crate) task_name: String,
    /// Which run of the task this is, from 1.
    #[serde(default = "first")]
    pub(crate) run: u32,
    pub(crate) started_at_unix_nanos: u64,
    #[serde(default)]
    pub(crate) total_steps: u64,
    #[serde(default)]
    pub(crate) completed_steps: u64,
    #[serde(default)]
    pub(crate) failed_steps: u64,
    /// The task's root span; absent where the process that wrote it made no spans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tracestate: Option<String>,
    /// Whose child the root span is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    /// What the root span links to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) baggage: BTreeMap<String, String>,
    /// The task's `fields(..)`, masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) context: Vec<(String, Json)>,
    /// What the caller gave; absent where it is the trace id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) correlation_id: Option<String>,
    /// Finished spans of a task of which it is not known yet whether they are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) undecided: Vec<CarriedSpan>,
    /// How many of them could not come along.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) undecided_lost: u64,
    /// What the ids of its steps grow from, for engines: every process gives a step the same id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

const fn first() -> u32 {
    1
}

/// Why headers hold no carrier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CarrierError {
    /// There is no such header.
    #[error("there is no header `{HEADER}`")]
    Missing,
    /// It holds something else.
    #[error("the header `{HEADER}` holds no carrier: {0}")]
    Invalid(String),
}

/// Beside `traceparent`, `tracestate` and `baggage`, which others understand too.
const HEADER: &str = "tasker-task";
const LONGEST_HEADER: usize = 4 * 1024;

impl Carrier {
    /// The carrier of a task that an engine is to run, which nobody has taken up yet.
    pub(crate) fn fresh(task_id: &str, task_name: String, context: Vec<(String, Json)>) -> Self {
        Self {
            task_id: task_id.to_owned(),
            task_name,
            run: first(),
            started_at_unix_nanos: 0,
            total_steps: 0,
            completed_steps: 0,
            failed_steps: 0,
            traceparent: None,
            tracestate: None,
            parent: None,
            link: None,
            baggage: BTreeMap::new(),
            context,
            correlation_id: None,
            undecided: Vec::new(),
            undecided_lost: 0,
            seed: Some(crate::id::nonce()),
        }
    }

    /// The task's identity.
    #[must_use]
    pub fn task_id(&self) -> &str {
        &self.task_id
    }

    /// The task's name.
    #[must_use]
    pub fn task_name(&self) -> &str {
        &self.task_name
    }

    /// The correlation id, if the caller gave one.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// When the task began.
    #[must_use]
    pub const fn started_at(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.started_at_unix_nanos)
    }

    /// The W3C `traceparent` of the task's root span.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    pub(crate) const fn counts(&self) -> Counts {
        Counts { total: self.total_steps, completed: self.completed_steps, failed: self.failed_steps }
    }

    /// The root span, if it can be read.
    pub(crate) fn remote(&self) -> Option<Remote> {
        let remote: Remote = self.traceparent.as_deref()?.parse().ok()?;
        Some(match &self.tracestate {
            Some(state) => remote.with_tracestate(state),
            None => remote,
        })
    }

    /// The carrier as headers of a message: `traceparent`, `tracestate` and `baggage` by their standards, the rest as one
    /// header of ours, in printable ASCII.
    ///
    /// Headers have to be short. A task that was sampled out and whose failure would be kept
    /// ([`Sampling::keep_failures`](super::Sampling::keep_failures)) brings its finished spans along; those that make this header
    /// longer than 4 KiB stay behind, and are counted where the task goes on. As JSON, the carrier has room for all.
    #[must_use]
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some(traceparent) = &self.traceparent {
            headers.push(("traceparent", traceparent.clone()));
        }
        if let Some(tracestate) = &self.tracestate {
            headers.push(("tracestate", tracestate.clone()));
        }
        if !self.baggage.is_empty() {
            let entries = self.baggage.iter().map(|(key, value)| format!("{key}={}", percent_encoded(value)));
            headers.push(("baggage", entries.collect::<Vec<_>>().join(",")));
        }
        let mut rest = Self { traceparent: None, tracestate: None, baggage: BTreeMap::new(), ..self.clone() };
        let mut text = rest.header();
        if text.len() > LONGEST_HEADER && !rest.undecided.is_empty() {
            rest.undecided_lost += rest.undecided.len() as u64;
            rest.undecided.clear();
            text = rest.header();
        }
        headers.push((HEADER, text));
        headers
    }

    fn header(&self) -> String {
        percent_encoded(&serde_json::to_string(self).unwrap_or_default()) // texts and numbers: it cannot fail
    }

    /// The carrier that headers hold. Names may be in any case.
    ///
    /// # Errors
    /// [`CarrierError`] when there is none, or it cannot be read.
    pub fn from_headers<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Result<Self, CarrierError> {
        let (mut carrier, mut others) = (None, Vec::new());
        for (name, value) in headers {
            if name.eq_ignore_ascii_case(HEADER) {
                let text = percent_decoded(value).ok_or_else(|| CarrierError::Invalid("not UTF-8".to_owned()))?;
                let read: Result<Self, _> = serde_json::from_str(&text);
                carrier = Some(read.map_err(|error| CarrierError::Invalid(error.to_string()))?);
            } else {
                others.push((name, value));
            }
        }
        let mut carrier = carrier.ok_or(CarrierError::Missing)?;
        for (name, value) in others {
            if name.eq_ignore_ascii_case("traceparent") {
                carrier.traceparent = Some(value.to_owned());
            } else if name.eq_ignore_ascii_case("tracestate") {
                carrier.tracestate = Some(value.to_owned());
            } else if name.eq_ignore_ascii_case("baggage") {
                let entries = value.split(',').filter_map(|entry| entry.split(';').next()?.split_once('='));
                let decoded =
                    entries.filter_map(|(key, value)| Some((key.trim().to_owned(), percent_decoded(value.trim())?)));
                carrier.baggage.extend(decoded);
            }
        }
        Ok(carrier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carrier() -> Carrier {
        Carrier {
            task_id: "order 7, \"ä\"\n".to_owned(),
            task_name: "order_process".to_owned(),
            run: 2,
            started_at_unix_nanos: 1_772_366_400_000_001_999,
            total_steps: 3,
            completed_steps: 2,
            failed_steps: 1,
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            tracestate: Some("a=1".to_owned()),
            parent: None,
            link: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-01".to_owned()),
            baggage: BTreeMap::from([("tenant".to_owned(), "a b,c".to_owned())]),
            context: vec![("amount".to_owned(), Json::from(2.0))],
            correlation_id: Some("req-1".to_owned()),
            undecided: Vec::new(),
            undecided_lost: 0,
            seed: Some(7),
        }
    }

    #[test]
    fn headers_and_json_bring_it_all_back() {
        let carrier = carrier();
        let headers = carrier.to_headers();
        assert!(headers.iter().all(|(_, value)| value.bytes().all(|byte| matches!(byte, b' '..=b'~'))), "{headers:?}");
        let shouted: Vec<_> = headers.iter().map(|(name, value)| (name.to_uppercase(), value.clone())).collect();
        let read = Carrier::from_headers(shouted.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        assert_eq!(read.as_ref(), Ok(&carrier));
        assert_eq!(serde_json::from_str::<Carrier>(&serde_json::to_string(&carrier).unwrap()).unwrap(), carrier);
    }

    #[test]
    fn what_is_no_carrier_is_an_error_that_names_the_header() {
        assert_eq!(Carrier::from_headers([("traceparent", "x")]), Err(CarrierError::Missing));
        let error = Carrier::from_headers([("Tasker-Task", "{}")]).unwrap_err().to_string();
        assert!(error.contains("tasker-task") && error.contains("task_id"), "{error}");
    }

    #[test]
    fn a_carrier_of_an_older_version_is_read() {
        let text = r#"{"task_id":"7","task_name":"t","started_at_unix_nanos":5,"of_the_future":1}"#;
        let carrier: Carrier = serde_json::from_str(text).unwrap();
        assert_eq!((carrier.run, carrier.remote()), (1, None));
    }
}
