//! Why the store did not do what it was asked.

use crate::state::IllegalTransition;

/// Why a store cannot be used, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The address cannot be used.
    #[error("the store's address {0}")]
    Address(String),
    /// The tables were made by another version of this library.
    #[error("the store's tables: {0}")]
    Schema(String),
    /// The database does not answer, or not in time, or refuses.
    #[error("the database: {0}")]
    Unavailable(String),
    /// There is no such task or step.
    #[error("the store has no {what} `{id}`")]
    NotFound {
        /// `task` or `step`.
        what: &'static str,
        /// Its identity.
        id: String,
    },
    /// The state machine does not allow it.
    #[error("{0}")]
    Illegal(#[from] IllegalTransition),
    /// A process that lives has the task, or another one was faster.
    #[error("the task `{task_id}` belongs to `{worker_id}`")]
    Taken {
        /// The task.
        task_id: String,
        /// Who has it.
        worker_id: String,
    },
    /// What stands in the store cannot be read.
    #[error("the store holds something unreadable: {0}")]
    Unreadable(String),
    /// The telemetry that the store belongs to is no more.
    #[error("the store is closed")]
    Closed,
}

/// Whose fault a failed write is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The database's: the same rows may be written later.
    Database,
    /// The rows': they will be refused as often as they are written.
    Rows,
}

pub(super) fn fault(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Encode(_) => Fault::Rows,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            // PostgreSQL's classes of data and constraint errors; SQLite's CONSTRAINT, MISMATCH and TOOBIG, whose further
            // bits say which.
            let postgres = code.len() == 5 && (code.starts_with("22") || code.starts_with("23"));
            let sqlite = code.parse::<u32>().is_ok_and(|code| code < 10_000 && matches!(code & 0xff, 18..=20));
            if postgres || (code.len() < 5 && sqlite) { Fault::Rows } else { Fault::Database }
        }
        _ => Fault::Database,
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::Migrate(error) => Self::Schema(error.to_string()),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => Self::Unreadable(error.to_string()),
            error => Self::Unavailable(error.to_string()),
        }
    }
}
