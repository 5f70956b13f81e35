//! How a command ends, and the exit codes that tell it.

use std::process::ExitCode;

/// A command that did what it was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Exit code 0.
    Fine,
    /// Exit code 1: what it was asked to look for is there, such as a breaking change.
    Found,
}

/// A command that did not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Exit code 2: it was asked for something that makes no sense. Nothing was written.
    #[error("{0}")]
    Use(String),
    /// Exit code 3: something that it needs cannot be had.
    #[error("{0}")]
    Cannot(String),
}

impl Outcome {
    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::Fine => ExitCode::SUCCESS,
            Self::Found => ExitCode::from(1),
        }
    }
}

impl Failure {
    /// What was asked for makes no sense.
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self::Use(message.into())
    }

    /// Something cannot be had.
    pub(crate) fn cannot(message: impl Into<String>) -> Self {
        Self::Cannot(message.into())
    }

    pub(crate) fn number(&self) -> u8 {
        match self {
            Self::Use(_) => 2,
            Self::Cannot(_) => 3,
        }
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }
}
