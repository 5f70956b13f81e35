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

/// Why events are dropped; see `SubscriberHealth::dropped`.
const REASONS: [&str; 6] = ["queue_full", "recursion", "shutdown", "start_failed", "subscriber_full", "untyped"];

/// Shows the books to an export.
pub(super) fn encode(health: &Health, visitor: &mut dyn Visitor) {
    let published = health.published.iter().map(|(event, count)| ([*event].to_vec(), *count));
    counter(&EVENTS_PUBLISHED, published, visitor);
    let dropped = health.subscribers.iter().flat_map(|subscriber| {
        // All reasons at 0: a rate over a counter that only appears with its first loss would miss that loss.
        let mut dropped: BTreeMap<&str, u64> = REASONS.iter().map(|reason| (*reason, 0)).collect();
        dropped.extend(&subscriber.dropped);
        dropped.into_iter().map(|(reason, count)| ([subscriber.name, reason].to_vec(), count))
    });
    counter(&EVENTS_DROPPED, dropped, visitor);
    let failures = health.subscribers.iter().map(|subscriber| ([subscriber.name].to_vec(), subscriber.failed));
    counter(&SUBSCRIBER_FAILURES, failures, visitor);
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
