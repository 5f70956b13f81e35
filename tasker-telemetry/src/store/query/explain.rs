//! How the database would answer a question: for whoever wonders why it takes so long.

use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::{ERROR_CLASSES, ERRORS, STATS, TaskFilter, ago, error_classes, slowest};
use crate::state::State;
use crate::store::Store;
use crate::store::db::{Arg, Row};
use crate::store::error::StoreError;

/// A question that the store answers with one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// [`Store::task_stats`]
    TaskStats,
    /// [`Store::tasks`] in one state, older than an hour
    TasksByStateAndAge,
    /// [`Store::errors_by_class`] of the last 30 days
    ErrorsByClass,
    /// [`Store::errors`] of the last hour
    Errors,
    /// [`Store::slowest_steps`] of the last hour
    SlowestSteps,
}

impl Store {
    /// The database's own plan for a question, line by line: which indexes it uses. Nothing is run.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer in time.
    pub async fn explain(&self, question: Question) -> Result<Vec<String>, StoreError> {
        let hour = || Arg::from(ago(Duration::from_hours(1)));
        let (sql, args) = match question {
            Question::TaskStats => (STATS.to_owned(), vec![Arg::from("")]),
            Question::TasksByStateAndAge => {
                TaskFilter::new().state(State::Error).older_than(Duration::from_hours(1)).statement()
            }
            Question::ErrorsByClass => (ERROR_CLASSES.to_owned(), error_classes(Duration::from_hours(30 * 24))),
            Question::Errors => (ERRORS.to_owned(), vec![hour(), Arg::from(i64::MAX), Arg::from(10)]),
            Question::SlowestSteps => (slowest(self.db().dialect()), vec![hour(), Arg::from(10)]),
        };
        let dialect = self.db().dialect();
        let read = match dialect {
            #[cfg(feature = "sqlite")]
            crate::store::db::Dialect::Sqlite => |row: &Row| Ok(row.text("detail")?),
            #[cfg(feature = "postgres")]
            crate::store::db::Dialect::Postgres => |row: &Row| Ok(row.text_at(0)?),
        };
        self.all(AssertSqlSafe(format!("{}{sql}", dialect.explain())), args, read).await
    }
}
