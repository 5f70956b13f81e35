//! Subscribers that stand ready: each is a feature, takes an instance (`Telemetry::builder().subscriber(..)`), and harms nobody but itself
//! when its service is down, slow or gone: it has a thread and a bounded backlog of its own, and what it loses stands in
//! [`Health`](crate::Health) by reason.
//!
//! | subscriber | feature | what it does |
//! | --- | --- | --- |
//! | `JsonLines` | `json-lines` | every event as a line of JSON in a file, with rotation |
//! | `StatsDEvents` | `statsd` | counters and timings of events to `StatsD` or `DogStatsD` |
//! | `PagerDuty` | `pagerduty` | an alert for each failed task, resolved when the task comes to a good end |
//! | `Slack` | `slack` | a message for each failed task, repeated ones left out |
//! | `SentryEvents` | `sentry` | failed attempts and tasks as errors in Sentry, through the program's own client |

#[cfg(feature = "json-lines")]
mod json_lines;
#[cfg(feature = "pagerduty")]
mod pagerduty;
#[cfg(feature = "_post")]
mod post;
#[cfg(feature = "sentry")]
mod sentry;
#[cfg(feature = "slack")]
mod slack;
#[cfg(feature = "statsd")]
mod statsd;

#[cfg(feature = "json-lines")]
pub use self::json_lines::JsonLines;
#[cfg(feature = "pagerduty")]
pub use self::pagerduty::PagerDuty;
#[cfg(feature = "_post")]
pub use self::post::{BadAddress, Patience};
#[cfg(feature = "sentry")]
pub use self::sentry::SentryEvents;
#[cfg(feature = "slack")]
pub use self::slack::Slack;
#[cfg(feature = "statsd")]
pub use self::statsd::StatsDEvents;

use crate::catalog::{Source, SubscriberSpec};
use crate::subscriber::{Dispatch, HandlerError};

/// What the catalog would know of a subscriber of the library's own.
const fn spec(name: &'static str, patterns: &'static [&'static str]) -> SubscriberSpec {
    let source = Source { module: module_path!(), file: file!(), line: line!() };
    SubscriberSpec { name, patterns, inline: false, source }
}

/// How a handler here ends.
type Handled = Result<(), String>;

fn done<'a>(handled: Handled) -> Dispatch<'a> {
    Dispatch::Done(handled.map_err(HandlerError::of_text))
}

/// A field of an event's JSON, as text; empty where there is none.
#[cfg(any(feature = "pagerduty", feature = "slack", feature = "sentry"))]
fn text<'e>(event: &'e crate::EventRecord, field: &str) -> &'e str {
    event.payload().get(field).and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// `S` subscribes to those patterns with one function.
macro_rules! subscribes {
    ($subscriber:ident, [$($pattern:literal),+]) => {
        impl crate::Subscriber for $subscriber {
            const SPEC: &'static crate::SubscriberSpec =
                &super::spec(concat!("tasker_telemetry::subscribers::", stringify!($subscriber)), &[$($pattern),+]);

            const ROUTES: &'static [crate::subscriber::Route<Self>] = {
                fn call<'a>(
                    subscriber: &'a $subscriber,
                    event: &'a crate::EventRecord,
                ) -> crate::subscriber::Dispatch<'a> {
                    super::done(subscriber.take(event))
                }
                &[$(crate::subscriber::Route { pattern: $pattern, call }),+]
            };

            type Place = crate::subscriber::Queued;
        }
    };
}
use subscribes;
