//! Alerts of `PagerDuty`, over its Events API v2.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;

use serde_json::{Value as Json, json};

use super::post::{BadAddress, Patience, Post};
use super::{Handled, subscribes, text};
use crate::event::{EventExt as _, EventRecord};

/// Triggers an alert for each task that fails, and resolves it when the task comes to a good end after all: completed, or resolved
/// manually.
///
/// `PagerDuty` makes alerts with one `dedup_key` one incident. By default the key is the task: an alert for each. [`dedup_key`](Self::dedup_key) makes
/// it coarser, say one for each class of error of a workflow; such an alert is then left to people to resolve.
///
/// An event that `PagerDuty` does not take (it is down, or answers 429 or 5xx, with `Retry-After` heeded) is sent again, as [`Patience`]
/// says; then it is given up, and counted as `failed` in [`SubscriberHealth`](crate::SubscriberHealth). The key makes sending it twice harmless.
///
/// ```no_run
/// use tasker_telemetry::Telemetry;
/// use tasker_telemetry::subscribers::PagerDuty;
///
/// let on_call = PagerDuty::new(std::env::var("PAGERDUTY_ROUTING_KEY")?).source("shop");
/// let telemetry = Telemetry::builder().subscriber(on_call).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PagerDuty {
    post: Post,
    routing_key: String,
    source: String,
    severity: &'static str,
    dedup_key: Option<fn(&EventRecord) -> String>,
    open: RefCell<VecDeque<String>>,
}

subscribes!(PagerDuty, ["task.failed", "task.completed", "task.resolved_manually"]);

/// So many alerts are remembered, to be resolved.
const MOST_OPEN: usize = 10_000;
/// The API's own limits, in characters.
const LONGEST_SUMMARY: usize = 1_024;
const LONGEST_KEY: usize = 255;

impl PagerDuty {
    /// Alerts to the service or the rule set with that integration key.
    #[must_use]
    pub fn new(routing_key: impl Into<String>) -> Self {
        Self::through(Post::known("https://events.pagerduty.com/v2/enqueue"), routing_key)
    }

    /// The same through another address, such as a proxy's.
    ///
    /// # Errors
    /// [`BadAddress`] when it is none of HTTP.
    pub fn at(address: &str, routing_key: impl Into<String>) -> Result<Self, BadAddress> {
        Ok(Self::through(Post::new(address)?, routing_key))
    }

    fn through(post: Post, routing_key: impl Into<String>) -> Self {
        let (source, open) = ("tasker".to_owned(), RefCell::default());
        Self { post, routing_key: routing_key.into(), source, severity: "error", dedup_key: None, open }
    }

    /// Where alerts come from. Default: `tasker`.
    #[must_use]
    pub fn source(mut self, source: &str) -> Self {
        source.clone_into(&mut self.source);
        self
    }

    /// `critical`, `error`, `warning` or `info`. Default: `error`.
    #[must_use]
    pub const fn severity(mut self, severity: &'static str) -> Self {
        self.severity = severity;
        self
    }

    /// What of a `task.failed` makes it the same alert. At most 255 characters count.
    #[must_use]
    pub const fn dedup_key(mut self, key: fn(&EventRecord) -> String) -> Self {
        self.dedup_key = Some(key);
        self
    }

    /// How often and how long an event is tried.
    #[must_use]
    pub const fn patience(mut self, patience: Patience) -> Self {
        self.post.set_patience(patience);
        self
    }

    fn take(&self, event: &EventRecord) -> Handled {
        if event.name() == "task.failed" { self.trigger(event) } else { self.resolve(event) }
    }

    fn trigger(&self, event: &EventRecord) -> Handled {
        let key = cut(self.dedup_key.map_or_else(|| key_of_task(event), |key| key(event)), LONGEST_KEY);
        let task_name = event.task_name().unwrap_or_default();
        let summary = format!("{task_name} failed: {}", text(event, "error_message"));
        self.post.json(&json!({
            "routing_key": self.routing_key,
            "event_action": "trigger",
            "dedup_key": key,
            "client": "tasker-telemetry",
            "payload": {
                "summary": cut(summary, LONGEST_SUMMARY),
                "source": self.source,
                "severity": self.severity,
                "timestamp": event.timestamp().to_string(),
                "component": task_name,
                "class": event.error().error_type,
                "custom_details": details(event),
            },
        }))?;
        if self.dedup_key.is_none() {
            self.remember(key);
        }
        Ok(())
    }

    fn resolve(&self, event: &EventRecord) -> Handled {
        let key = cut(key_of_task(event), LONGEST_KEY);
        if !self.forget(&key) {
            return Ok(());
        }
        let resolved = self.post.json(&json!({
            "routing_key": self.routing_key, "event_action": "resolve", "dedup_key": key,
        }));
        if resolved.is_err() {
            self.remember(key); // another end may resolve it
        }
        resolved
    }

    fn remember(&self, key: String) {
        if let Ok(mut open) = self.open.try_borrow_mut() {
            open.retain(|known| *known != key);
            if open.len() >= MOST_OPEN {
                open.pop_front();
            }
            open.push_back(key);
        }
    }

    fn forget(&self, key: &str) -> bool {
        self.open.try_borrow_mut().is_ok_and(|mut open| {
            let place = open.iter().position(|known| known == key);
            place.and_then(|place| open.remove(place)).is_some()
        })
    }
}

fn key_of_task(event: &EventRecord) -> String {
    format!("tasker/{}/{}", event.task_name().unwrap_or_default(), event.task_id().unwrap_or_default())
}

/// What a person who is woken wants to see first.
fn details(event: &EventRecord) -> Json {
    const FIELDS: [&str; 10] = [
        "task_id",
        "error_class",
        "error_message",
        "error_chain",
        "execution_duration",
        "total_steps",
        "completed_steps",
        "failed_steps",
        "correlation_id",
        "trace_id",
    ];
    let fields = FIELDS.iter().filter_map(|name| Some(((*name).to_owned(), event.payload().get(*name)?.clone())));
    fields.collect::<serde_json::Map<_, _>>().into()
}

fn cut(text: String, most: usize) -> String {
    if text.chars().count() <= most { text } else { text.chars().take(most - 1).chain(['…']).collect() }
}

impl fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagerDuty").field("source", &self.source).finish_non_exhaustive()
    }
}
