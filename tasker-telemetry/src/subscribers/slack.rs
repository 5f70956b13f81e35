//! Messages to a Slack channel, through an incoming webhook.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::json;

use super::post::{BadAddress, Patience, Post};
use super::{Handled, subscribes, text};
use crate::event::EventRecord;
use crate::time::Timestamp;

/// Writes a message for each task that fails, and leaves out those that say the same again.
///
/// Slack has no de-duplication of its own. So a failure with the key of one that was told less than [`quiet_for`](Self::quiet_for) ago (by
/// default the workflow and the class of the error, for 5 minutes) is not sent; the next one that is says how many there were.
///
/// A message that Slack does not take (it is down, or answers 429 or 5xx, with `Retry-After` heeded) is sent again, as [`Patience`]
/// says; then it is given up, and counted as `failed` in [`SubscriberHealth`](crate::SubscriberHealth).
///
/// ```no_run
/// use tasker_telemetry::Telemetry;
/// use tasker_telemetry::subscribers::Slack;
///
/// let channel = Slack::webhook(&std::env::var("SLACK_WEBHOOK")?)?;
/// let telemetry = Telemetry::builder().subscriber(channel).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Slack {
    post: Post,
    quiet_for: Duration,
    key: fn(&EventRecord) -> String,
    told: RefCell<HashMap<String, Told>>,
}

subscribes!(Slack, ["task.failed"]);

/// When a key was last told of, and how often it was left out since.
struct Told {
    at: Timestamp,
    left_out: u64,
}

/// So many keys are remembered; those that are over go first.
const MOST_KEYS: usize = 1_000;
/// Slack cuts texts off at 40,000 characters; nobody reads so many.
const LONGEST_TEXT: usize = 500;

impl Slack {
    /// Messages to the channel of that webhook. Its address is a secret: it stands in no error and no log.
    ///
    /// # Errors
    /// [`BadAddress`] when it is none of HTTP.
    pub fn webhook(address: &str) -> Result<Self, BadAddress> {
        let (quiet_for, told) = (Duration::from_mins(5), RefCell::default());
        Ok(Self { post: Post::new(address)?, quiet_for, key: key_of_class, told })
    }

    /// For how long a failure with the same key is left out. Default: 5 minutes; zero: every failure is a message.
    #[must_use]
    pub const fn quiet_for(mut self, time: Duration) -> Self {
        self.quiet_for = time;
        self
    }

    /// What of a `task.failed` makes it the same message. Default: the workflow and the class of the error.
    #[must_use]
    pub const fn dedup_key(mut self, key: fn(&EventRecord) -> String) -> Self {
        self.key = key;
        self
    }

    /// How often and how long a message is tried.
    #[must_use]
    pub const fn patience(mut self, patience: Patience) -> Self {
        self.post.set_patience(patience);
        self
    }

    fn take(&self, event: &EventRecord) -> Handled {
        let key = (self.key)(event);
        let Ok(mut told) = self.told.try_borrow_mut() else { return Err("in use".to_owned()) };
        let now = event.timestamp();
        let is_fresh = |told: &Told| now.saturating_duration_since(told.at) < self.quiet_for;
        let left_out = match told.get_mut(&key) {
            Some(told) if is_fresh(told) => {
                told.left_out += 1;
                return Ok(());
            }
            Some(told) => told.left_out,
            None => 0,
        };
        self.post.json(&json!({ "text": message(event, left_out) }))?;
        if told.len() >= MOST_KEYS {
            told.retain(|_, told| is_fresh(told));
            if told.len() >= MOST_KEYS {
                told.clear(); // rather a message too many than a table without end
            }
        }
        told.insert(key, Told { at: now, left_out: 0 });
        Ok(())
    }
}

fn key_of_class(event: &EventRecord) -> String {
    format!("{}/{}", event.task_name().unwrap_or_default(), text(event, "error_class"))
}

fn message(event: &EventRecord, left_out: u64) -> String {
    let (name, id) = (event.task_name().unwrap_or_default(), event.task_id().unwrap_or_default());
    let error = shown(text(event, "error_message"));
    let mut message = format!(":red_circle: *{}* `{}` failed: {error}", shown(name), shown(id));
    for (label, field) in [("class", "error_class"), ("trace", "trace_id")] {
        let value = text(event, field);
        if !value.is_empty() {
            // Writing into a String cannot fail.
            let _ = write!(message, "\n{label}: `{}`", shown(value));
        }
    }
    if left_out > 0 {
        let _ = write!(message, "\n{left_out} more like the last one were not told of");
    }
    message
}

/// A text that Slack shows as it is: three characters mean something else to it, and a line is a line.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(LONGEST_TEXT) {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '`' => shown.push('\''),
            c if c.is_control() => shown.push(' '),
            c => shown.push(c),
        }
    }
    shown
}

impl fmt::Debug for Slack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slack").field("quiet_for", &self.quiet_for).finish_non_exhaustive()
    }
}
