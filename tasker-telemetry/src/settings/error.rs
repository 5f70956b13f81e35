//! What is wrong with settings, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsProblem {
    pub(super) place: Place,
    pub(super) key: String,
    pub(super) problem: String,
    pub(super) nearest: Option<String>,
}

/// Where a mistake is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File { path: PathBuf, line: usize },
    Variable(String),
    Code,
}

impl SettingsProblem {
    /// The file that it is in.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The line of the file, from 1; `None` where it is in no file, or the file could not be read at all.
    #[must_use]
    pub const fn line(&self) -> Option<usize> {
        match &self.place {
            Place::File { line, .. } if *line > 0 => Some(*line),
            _ => None,
        }
    }

    /// The environment variable that it is in.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match &self.place {
            Place::Variable(name) => Some(name),
            _ => None,
        }
    }

    /// The key, as it was written, with the sections before it: `otlp.endpont`. Empty where no key is to blame.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// For an unknown key, the valid one that may have been meant.
    #[must_use]
    pub fn nearest(&self) -> Option<&str> {
        self.nearest.as_deref()
    }
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { path, line: 0 } => write!(f, "{}: ", path.display())?,
            Place::File { path, line } => write!(f, "{}:{line}: ", path.display())?,
            Place::Variable(name) => write!(f, "{name}: ")?,
            Place::Code => {}
        }
        if !self.key.is_empty() {
            write!(f, "`{}` ", self.key)?;
        }
        f.write_str(&self.problem)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

/// The settings have mistakes: all of them, not only the first. No text of it holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    pub(super) problems: Vec<SettingsProblem>,
}

impl SettingsError {
    /// The mistakes, in the order of the sources: the file, then the environment.
    #[must_use]
    pub fn problems(&self) -> &[SettingsProblem] {
        &self.problems
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}
