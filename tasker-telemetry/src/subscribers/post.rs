//! Sending a message over HTTP to a service that may be down: tried again, within bounds, on the subscriber's own thread.

use std::fmt;
use std::thread;
use std::time::Duration;

use serde_json::Value as Json;
use ureq::Agent;
use ureq::http::{HeaderMap, Uri};

use super::Handled;

/// How long, and how often, a message is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    attempts: u32,
    wait: Duration,
    timeout: Duration,
}

impl Patience {
    /// Three attempts of at most 10 s each, with 1 s and 2 s between them. What the service asks for (`Retry-After`) goes before, up to
    /// 30 s.
    #[must_use]
    pub const fn new() -> Self {
        Self { attempts: 3, wait: Duration::from_secs(1), timeout: Duration::from_secs(10) }
    }

    /// How often a message is tried in all, at least once.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// The first wait; each further one is twice as long, up to 30 s.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How long one attempt may take.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::new()
    }
}

/// An address that no message can be sent to. Its text does not show the address, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no address of HTTP: write `https://host/path`")]
pub struct BadAddress;

/// No wait is longer, whoever asks for it: the subscriber's other events wait, too.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The way to one service.
pub(super) struct Post {
    agent: Agent,
    address: String,
    patience: Patience,
}

/// What became of one attempt.
enum Attempt {
    Taken,
    /// Not now; after this, if the service says when.
    Later(String, Option<Duration>),
    Never(String),
}

impl Post {
    pub(super) fn new(address: &str) -> Result<Self, BadAddress> {
        let uri: Uri = address.parse().map_err(|_| BadAddress)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_http || uri.host().is_none_or(str::is_empty) {
            return Err(BadAddress);
        }
        Ok(Self::known(address))
    }

    /// The way to an address that is known to be one.
    pub(super) fn known(address: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("tasker-telemetry/", env!("CARGO_PKG_VERSION")));
        Self { agent: config.build().new_agent(), address: address.to_owned(), patience: Patience::new() }
    }

    pub(super) const fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// Sends it, as often as it takes and patience allows.
    pub(super) fn json(&self, message: &Json) -> Handled {
        let body = message.to_string();
        let mut wait = self.patience.wait;
        for attempt in 1.. {
            let (failure, asked) = match self.attempt(&body) {
                Attempt::Taken => return Ok(()),
                Attempt::Never(failure) => return Err(failure),
                Attempt::Later(failure, asked) => (failure, asked),
            };
            if attempt >= self.patience.attempts {
                return Err(format!("given up after {attempt} attempts: {failure}"));
            }
            thread::sleep(asked.unwrap_or(wait).min(LONGEST_WAIT));
            wait = wait.saturating_mul(2);
        }
        Ok(())
    }

    fn attempt(&self, body: &str) -> Attempt {
        let request = self.agent.post(&self.address).config().timeout_global(Some(self.patience.timeout)).build();
        let answer = match request.header("content-type", "application/json").send(body) {
            Ok(answer) => answer,
            Err(error) => return Attempt::Later(what(&error), None),
        };
        let status = answer.status();
        let failure = format!("the service answered {status}");
        match status.as_u16() {
            200..=299 => Attempt::Taken,
            429 | 500..=599 => Attempt::Later(failure, retry_after(answer.headers())),
            _ => Attempt::Never(failure),
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What went wrong, without the address: it may hold a secret.
fn what(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "the service did not answer in time".to_owned(),
        ureq::Error::Io(error) => format!("the service cannot be reached: {}", error.kind()),
        ureq::Error::HostNotFound => "the service's host is not known".to_owned(),
        ureq::Error::ConnectionFailed => "the service cannot be reached".to_owned(),
        _ => "the service gave no answer that HTTP knows".to_owned(),
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("patience", &self.patience).finish_non_exhaustive()
    }
}
