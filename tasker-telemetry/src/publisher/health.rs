//! How a telemetry is doing, as users see it. Who keeps the books of a subscriber: `account.rs`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::metrics::push::PushHealth;
#[cfg(feature = "_store")]
use crate::store::StoreHealth;
use crate::trace::{ExporterHealth, SpansHealth};

/// How the telemetry itself is doing. Serialises to JSON; durations are in seconds.
///
/// For each subscriber, at any time nothing is under way: `published = delivered + filtered + dropped`.
///
/// ```
/// use tasker_telemetry::Telemetry;
/// let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
/// let health = telemetry.health();
/// assert_eq!(health.queue.depth, 0);
/// assert!(health.is_clean(), "{health:#?}");
/// ```
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// The service's name.
    pub service_name: String,
    /// The queue between publishing threads and subscribers.
    pub queue: QueueHealth,
    /// Each subscriber, by name.
    pub subscribers: Vec<SubscriberHealth>,
    /// Events published, by name; those of users together as `custom`.
    pub published: BTreeMap<&'static str, u64>,
    /// Tasks that were begun, those of single steps included.
    pub tasks_started: u64,
    /// The spans, where any are made.
    pub spans: Option<SpansHealth>,
    /// Steps that ran outside any task, each as a task of its own.
    pub implicit_tasks: u64,
    /// Synchronous steps that ran above `max_concurrent_steps`, because waiting would have blocked the thread that the
    /// holders of the permits need.
    pub concurrency_overruns: u64,
    /// How sending logs over OTLP fares, where they are sent.
    pub logs: Option<ExporterHealth>,
    /// Correlation ids that were given and can be none: the trace id stands for them.
    pub invalid_correlation_ids: u64,
    /// What `Catalog::validate` found when the telemetry was built.
    pub catalog_problems: Vec<String>,
    /// How pushing metrics fares, in the order in which the pushers were started.
    pub metric_pushes: Vec<PushHealth>,
    /// The store, if there is one.
    #[cfg(feature = "_store")]
    pub store: Option<StoreHealth>,
}

impl Health {
    /// Whether no event was dropped and nothing failed, the pushing of metrics included.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let spans = self.spans.as_ref();
        let lost = |spans: &SpansHealth| spans.dropped() + spans.undecided_evicted + spans.span_events_dropped > 0;
        !spans.is_some_and(lost)
            && self.subscribers.iter().all(|subscriber| subscriber.dropped.is_empty() && subscriber.failed == 0)
            && self.metric_pushes.iter().all(|push| push.failed == 0)
    }

    /// All dropped events of all subscribers.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.subscribers.iter().map(SubscriberHealth::dropped_total).sum()
    }

    /// The subscriber whose type has that name, with or without its path.
    #[must_use]
    pub fn subscriber(&self, name: &str) -> Option<&SubscriberHealth> {
        self.subscribers
            .iter()
            .find(|subscriber| subscriber.name == name || subscriber.name.rsplit("::").next() == Some(name))
    }
}

/// The queue between publishing threads and subscribers.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[non_exhaustive]
pub struct QueueHealth {
    /// How many events fit.
    pub capacity: usize,
    /// How many wait now.
    pub depth: usize,
    /// How many have waited at once, as far as was seen.
    pub high_water: usize,
    /// How often the order of a task's events had a gap that nothing filled in time: an event that was dropped, or one that
    /// another thread published at the very same moment.
    pub skipped: usize,
    /// Of those, the events that were delivered later, after some that have a higher number.
    pub late: usize,
}

/// One subscriber.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SubscriberHealth {
    /// The subscriber's type, with its path.
    pub name: &'static str,
    /// Events that it subscribed to and that were published.
    pub published: u64,
    /// Events that a handler took, well or not.
    pub delivered: u64,
    /// Events that its filter declined.
    pub filtered: u64,
    /// Handler calls, among the delivered, that ended in an error, a panic or a time-out.
    pub failed: u64,
    /// Events that it never saw, by reason: `queue_full`, `subscriber_full`, `shutdown`, `start_failed`, `untyped`,
    /// `recursion`.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Events that wait for it.
    pub backlog: u64,
    /// How long the handler call that is under way has taken, in seconds; microseconds more, where calls were short before.
    pub busy_seconds: Option<f64>,
    /// The last failure of a handler.
    pub last_error: Option<String>,
}

impl SubscriberHealth {
    /// The dropped events, whatever the reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}
