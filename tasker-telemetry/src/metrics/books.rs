//! The telemetry's own honesty: what it published, dropped and failed at, read from the publisher's books when somebody
//! looks. Nothing is recorded here.

use std::borrow::Cow;

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

/// Shows the books to an export.
pub(super) fn encode(health: &Health, visitor: &mut dyn Visitor) {
    let published = health.published.iter().map(|(event, count)| ([*event].to_vec(), *count));
    counter(&EVENTS_PUBLISHED, published, visitor);
    let dropped = health.subscribers.iter().flat_map(|subscriber| {
        subscriber.dropped.iter().map(|(reason, count)| ([subscriber.name, reason].to_vec(), *count))
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
