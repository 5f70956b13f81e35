//! What a flush or a shutdown answers that did not get through.

use std::fmt;
use std::time::Duration;

/// Not everything was handled within the time limit, or metrics could not be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushError {
    pub(super) limit: Duration,
    pub(super) is_late: bool,
    pub(super) subscribers: Vec<&'static str>,
    pub(super) failed_pushes: Vec<&'static str>,
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, subscribers, failed_pushes, .. } = self;
        if self.is_late {
            let behind = if subscribers.is_empty() { "the router".to_owned() } else { subscribers.join(", ") };
            write!(f, "not every event was handled within {limit:?}; still behind: {behind}")?;
        }
        if !failed_pushes.is_empty() {
            let between = if self.is_late { "; " } else { "" };
            write!(
                f,
                "{between}metrics could not be pushed: {} (see `health().metric_pushes`)",
                failed_pushes.join(", ")
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for FlushError {}

impl FlushError {
    /// The subscribers that were behind.
    #[must_use]
    pub fn subscribers(&self) -> &[&'static str] {
        &self.subscribers
    }

    /// The pushes of metrics that failed, by [`Push::name`](crate::metrics::push::Push::name).
    #[must_use]
    pub fn failed_pushes(&self) -> &[&'static str] {
        &self.failed_pushes
    }
}
