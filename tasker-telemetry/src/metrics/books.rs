//! The telemetry's own honesty: what it published, dropped and failed at, read from the publisher's books when somebody
//! looks. Nothing is recorded here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::family::{Descriptor, Labels};
use super::lifecycle::Own;
use super::name::MetricKind;
use super::render::{Reading, Visitor};
use crate::publisher::Health;

pub(super) const EVENTS_PUBLISHED: Own = Own {
    prometheus: "tasker_events_published_total",
    dotted: "tasker.events.published",
    unit: "",
    labels: &["event"],
    help: "Events that the publisher took; custom ones together as `custom`.",
};
pub(super) const EVENTS_DROPPED: Own = Own {
    prometheus: "tasker_events_dropped_total",
    dotted: "tasker.events.dropped",
    unit: "",
    labels: &["subscriber", "reason"],
    help: "Events that a subscriber never saw.",
};
pub(super) const SUBSCRIBER_FAILURES: Own = Own {
    prometheus: "tasker_subscriber_failures_total",
    dotted: "tasker.subscriber.failures",
    unit: "",
    labels: &["subscriber"],
    help: "Handler calls that ended in an error, a panic or a time-out.",
};

pub(super) const SPANS_EXPORTED: Own = Own {
    prometheus: "tasker_spans_exported_total",
    dotted: "tasker.spans.exported",
    unit: "",
    labels: &[],
    help: "Spans that backends took, those of all exporters together.",
};
pub(super) const SPANS_DROPPED: Own = Own {
    prometheus: "tasker_spans_dropped_total",
    dotted: "tasker.spans.dropped",
    unit: "",
    labels: &["reason"],
    help: "Spans that an exporter could not deliver, those of all exporters together.",
};

// All reasons are there at 0: a rate over a counter that only appears with its first loss would miss that loss.

/// Why events are dropped; see `SubscriberHealth::dropped`.
const EVENT_REASONS: [&str; 6] = ["queue_full", "recursion", "shutdown", "start_failed", "subscriber_full", "untyped"];

/// Why spans are dropped; see `ExporterHealth::dropped`.
const SPAN_REASONS: [&str; 6] =
    ["export_failed", "panicked", "queue_full", "rejected", "shutdown", "undecided_evicted"];

/// Shows the books to an export.
pub(super) fn encode(health: &Health, visitor: &mut dyn Visitor) {
    let published = health.published.iter().map(|(event, count)| ([*event].to_vec(), *count));
    counter(&EVENTS_PUBLISHED, published, visitor);
    let dropped = health.subscribers.iter().flat_map(|subscriber| {
        let mut dropped: BTreeMap<&str, u64> = EVENT_REASONS.iter().map(|reason| (*reason, 0)).collect();
        dropped.extend(&subscriber.dropped);
        dropped.into_iter().map(|(reason, count)| ([subscriber.name, reason].to_vec(), count))
    });
    counter(&EVENTS_DROPPED, dropped, visitor);
    let failures = health.subscribers.iter().map(|subscriber| ([subscriber.name].to_vec(), subscriber.failed));
    counter(&SUBSCRIBER_FAILURES, failures, visitor);
    let Some(spans) = &health.spans else { return };
    let exported = spans.exporters.iter().map(|exporter| exporter.exported).sum();
    counter(&SPANS_EXPORTED, [(Vec::new(), exported)].into_iter(), visitor);
    let mut dropped: BTreeMap<&str, u64> = SPAN_REASONS.iter().map(|reason| (*reason, 0)).collect();
    for (reason, count) in spans.exporters.iter().flat_map(|exporter| &exporter.dropped) {
        *dropped.entry(reason).or_default() += *count;
    }
    *dropped.entry("undecided_evicted").or_default() += spans.undecided_evicted;
    counter(&SPANS_DROPPED, dropped.into_iter().map(|(reason, count)| (vec![reason], count)), visitor);
}

fn counter(own: &Own, series: impl Iterator<Item = (Vec<&'static str>, u64)>, visitor: &mut dyn Visitor) {
    let descriptor: Descriptor = own.descriptor(MetricKind::Counter);
    let mut series = series.peekable();
    if series.peek().is_some() {
        visitor.begin(&descriptor);
    }
    let names: &[Cow<'static, str>] = &descriptor.labels;
    for (values, count) in series {
        visitor.sample(&descriptor, &Labels::new(names, &values), &Reading::Counter(count));
    }
}
