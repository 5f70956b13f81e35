//! What the doctor found.

use serde_json::{Value as Json, json};

use crate::output::{ERROR, GOOD, STRONG, WARNING, painted};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// It is as it should be.
    Good,
    /// Nothing to do: something was not looked at, and why.
    Skipped,
    /// It works, and somebody should look.
    Warning,
    /// It does not work: exit code 1.
    Broken,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What was looked at: `settings`, `otlp traces`.
    pub(super) area: String,
    pub(super) message: String,
    /// What to do about it.
    pub(super) advice: Option<String>,
}

impl Finding {
    pub(super) fn good(area: &str, message: impl Into<String>) -> Self {
        Self { level: Level::Good, area: area.to_owned(), message: message.into(), advice: None }
    }

    pub(super) fn skipped(area: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Skipped, area: area.to_owned(), message: message.into(), advice: Some(advice.into()) }
    }

    pub(super) fn warning(area: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Warning, area: area.to_owned(), message: message.into(), advice: Some(advice.into()) }
    }

    pub(super) fn broken(area: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Broken, area: area.to_owned(), message: message.into(), advice: Some(advice.into()) }
    }

    pub(super) fn json(&self) -> Json {
        let level = match self.level {
            Level::Good => "good",
            Level::Skipped => "skipped",
            Level::Warning => "warning",
            Level::Broken => "broken",
        };
        json!({"level": level, "area": self.area, "message": self.message, "advice": self.advice})
    }

    pub(super) fn text(&self) -> String {
        let mark = match self.level {
            Level::Good => painted(GOOD, "good   "),
            Level::Skipped => painted(STRONG, "skipped"),
            Level::Warning => painted(WARNING, "warning"),
            Level::Broken => painted(ERROR, "broken "),
        };
        let advice = self.advice.as_ref().map(|advice| format!("\n         {advice}")).unwrap_or_default();
        format!("{mark}  {}: {}{advice}", self.area, self.message)
    }
}
