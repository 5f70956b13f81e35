//! What can be asked of the store. Each question is one statement, but for one task with everything.

mod explain;
mod rows;

use std::time::Duration;

use sqlx::AssertSqlSafe;

pub use self::explain::Question;
pub(super) use self::rows::parse;
pub use self::rows::{
    ErrorClass, StoredAttempt, StoredError, StoredStep, StoredTask, StoredTransition, TaskHistory, TaskStats,
};

use super::Store;
use super::db::{Arg, Dialect, Row};
use super::error::StoreError;
use super::rows::nanos;
use crate::state::State;
use crate::time::Timestamp;

/// Which tasks [`Store::tasks`] lists. Without any condition: all, the oldest first, at most 100.
///
/// ```
/// use std::time::Duration;
/// use tasker_telemetry::state::State;
/// use tasker_telemetry::store::TaskFilter;
///
/// let stuck = TaskFilter::new().state(State::InProgress).older_than(Duration::from_hours(1)).limit(20);
/// # let _ = stuck;
/// ```
#[derive(Debug, Clone)]
#[must_use = "a filter does nothing by itself"]
pub struct TaskFilter {
    state: Option<State>,
    name: Option<String>,
    older_than: Option<Duration>,
    younger_than: Option<Duration>,
    newest_first: bool,
    limit: u32,
}

impl Default for TaskFilter {
    fn default() -> Self {
        Self { state: None, name: None, older_than: None, younger_than: None, newest_first: false, limit: 100 }
    }
}

impl TaskFilter {
    /// All tasks, the oldest first, at most 100.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those in that state.
    pub const fn state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// Only those of that name.
    pub fn name(mut self, task_name: impl Into<String>) -> Self {
        self.name = Some(task_name.into());
        self
    }

    /// Only those created at least so long ago.
    pub const fn older_than(mut self, age: Duration) -> Self {
        self.older_than = Some(age);
        self
    }

    /// Only those created at most so long ago.
    pub const fn younger_than(mut self, age: Duration) -> Self {
        self.younger_than = Some(age);
        self
    }

    /// The newest first.
    pub const fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// At most so many. Default: 100.
    pub const fn limit(mut self, tasks: u32) -> Self {
        self.limit = tasks;
        self
    }

    fn statement(&self) -> (String, Vec<Arg>) {
        let (mut conditions, mut args) = (Vec::new(), Vec::new());
        let mut add = |condition: &str, arg: Arg| {
            args.push(arg);
            conditions.push(format!("{condition} ${}", args.len()));
        };
        if let Some(state) = self.state {
            add("state =", Arg::from(state.as_str()));
        }
        if let Some(name) = &self.name {
            add("task_name =", Arg::from(name.as_str()));
        }
        if let Some(age) = self.older_than {
            add("created_at <=", Arg::from(ago(age)));
        }
        if let Some(age) = self.younger_than {
            add("created_at >=", Arg::from(ago(age)));
        }
        let conditions =
            if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
        let order = if self.newest_first { "DESC" } else { "ASC" };
        args.push(Arg::from(i64::from(self.limit)));
        let columns = rows::TASK_COLUMNS;
        let limit = args.len();
        (format!("SELECT {columns} FROM tasker_tasks {conditions} ORDER BY created_at {order} LIMIT ${limit}"), args)
    }
}

/// The moment that long ago.
pub(super) fn ago(age: Duration) -> i64 {
    let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
    nanos(Timestamp::now().as_unix_nanos().saturating_sub(age))
}

const STATS: &str = "SELECT t.task_id, t.task_name, t.state, t.created_at, t.started_at, t.ended_at, t.run, t.retries, \
     COUNT(s.step_id) AS total, \
     CAST(COALESCE(SUM(s.attempts), 0) AS BIGINT) AS attempts, \
     COUNT(CASE WHEN s.state = 'pending' THEN 1 END) AS pending, \
     COUNT(CASE WHEN s.state = 'in_progress' THEN 1 END) AS in_progress, \
     COUNT(CASE WHEN s.state = 'complete' THEN 1 END) AS complete, \
     COUNT(CASE WHEN s.state = 'error' THEN 1 END) AS error, \
     COUNT(CASE WHEN s.state = 'cancelled' THEN 1 END) AS cancelled, \
     COUNT(CASE WHEN s.state = 'resolved_manually' THEN 1 END) AS resolved_manually, \
     MIN(s.retry_at) AS retry_at \
     FROM tasker_tasks t LEFT JOIN tasker_steps s ON s.task_id = t.task_id \
     WHERE t.task_id = $1 \
     GROUP BY t.task_id, t.task_name, t.state, t.created_at, t.started_at, t.ended_at, t.run, t.retries";

/// What lies before the first whole hour of the time is counted one by one, the rest was counted when it was written.
const ERROR_CLASSES: &str = "SELECT c.error_class, c.error_type, c.attempts, c.tasks, \
     (SELECT MIN(e.occurred_at) FROM tasker_errors e \
     WHERE e.error_class = c.error_class AND e.error_type = c.error_type AND e.occurred_at >= $1) AS first_at, \
     (SELECT MAX(e.occurred_at) FROM tasker_errors e \
     WHERE e.error_class = c.error_class AND e.error_type = c.error_type) AS last_at \
     FROM (SELECT error_class, error_type, CAST(SUM(attempts) AS BIGINT) AS attempts, CAST(SUM(tasks) AS BIGINT) AS tasks \
     FROM (SELECT error_class, error_type, COUNT(step_id) AS attempts, COUNT(*) - COUNT(step_id) AS tasks \
     FROM tasker_errors WHERE occurred_at >= $1 AND occurred_at < $2 GROUP BY error_class, error_type \
     UNION ALL SELECT error_class, error_type, attempts, tasks FROM tasker_error_counts \
     WHERE span = 3600000000000 AND begins_at >= $2 AND begins_at < $3 \
     UNION ALL SELECT error_class, error_type, attempts, tasks FROM tasker_error_counts \
     WHERE span = 86400000000000 AND begins_at >= $3) AS parts \
     GROUP BY error_class, error_type ORDER BY SUM(attempts + tasks) DESC, error_class, error_type LIMIT 1000) AS c \
     ORDER BY c.attempts + c.tasks DESC, c.error_class, c.error_type";

/// Since when, the first whole hour since then, and the first whole day.
fn error_classes(within: Duration) -> Vec<Arg> {
    let since = ago(within);
    let first = |span: Duration| {
        let span = nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        Arg::from(since.saturating_add(span - 1) / span * span)
    };
    vec![Arg::from(since), first(Duration::from_hours(1)), first(Duration::from_hours(24))]
}

const ERRORS: &str = "SELECT event_id, task_id, step_id, step_name, attempt, occurred_at, error_class, error_type, \
     error_message, error_chain, backtrace, retryable \
     FROM tasker_errors WHERE occurred_at >= $1 AND occurred_at < $2 ORDER BY occurred_at DESC LIMIT $3";

/// Where few ended within that time, those are compared; where many did, one finds them soon among the slowest of all. What the
/// database cannot know before it looks is asked first, of the index alone.
fn slowest(dialect: Dialect) -> String {
    let columns =
        "step_id, attempt, task_id, step_name, state, requested_at, started_at, ended_at, queue_nanos, duration_nanos";
    let (few, many) = ("(SELECT number FROM counted) <= 3000", "(SELECT number FROM counted) > 3000");
    let [by_end, by_duration, is_few, is_many, most_of_few, most_of_many] = match dialect {
        // It knows nothing of the times in a column, and would ask a condition of every row.
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => [
            "INDEXED BY tasker_attempts_by_end",
            "INDEXED BY tasker_attempts_by_duration",
            "true",
            "true",
            &format!("CASE WHEN {few} THEN 3000 ELSE 0 END"),
            &format!("CASE WHEN {many} THEN $2 ELSE 0 END"),
        ],
        #[cfg(feature = "postgres")]
        Dialect::Postgres => ["", "", few, many, "3000", "$2"],
    };
    format!(
        "WITH counted AS (SELECT COUNT(*) AS number FROM \
         (SELECT 1 AS one FROM tasker_attempts {by_end} WHERE ended_at >= $1 LIMIT 3001) AS ended) \
         SELECT * FROM (SELECT * FROM (SELECT {columns} FROM tasker_attempts {by_end} \
         WHERE {is_few} AND ended_at >= $1 AND duration_nanos IS NOT NULL LIMIT {most_of_few}) AS all_of_few \
         ORDER BY duration_nanos DESC LIMIT $2) AS few \
         UNION ALL SELECT * FROM (SELECT {columns} FROM tasker_attempts {by_duration} \
         WHERE {is_many} AND ended_at + 0 >= $1 AND duration_nanos IS NOT NULL ORDER BY duration_nanos DESC LIMIT {most_of_many}) AS many \
         ORDER BY duration_nanos DESC"
    )
}

impl Store {
    /// How far a task is, in one statement; `None`: the store does not know it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer in time.
    pub async fn task_stats(&self, task_id: &str) -> Result<Option<TaskStats>, StoreError> {
        self.first(STATS, vec![Arg::from(task_id)], TaskStats::read).await
    }

    /// A task; `None`: the store does not know it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer in time.
    pub async fn task(&self, task_id: &str) -> Result<Option<StoredTask>, StoreError> {
        let sql = AssertSqlSafe(format!("SELECT {} FROM tasker_tasks WHERE task_id = $1", rows::TASK_COLUMNS));
        self.first(sql, vec![Arg::from(task_id)], StoredTask::read).await
    }

    /// The tasks that the filter names.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer in time.
    pub async fn tasks(&self, filter: &TaskFilter) -> Result<Vec<StoredTask>, StoreError> {
        let (sql, args) = filter.statement();
        self.all(AssertSqlSafe(sql), args, StoredTask::read).await
    }

    /// How often errors of each class occurred since then, the most frequent first; at most 1,000 classes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer in time.
    pub async fn errors_by_class(&self, within: Duration) -> Result<Vec<ErrorClass>, StoreError> {
        self.all(ERROR_CLASSES, error_classes(within), ErrorClass::read).await
    }

    /// The last errors, the newest first: of attempts, and of tasks, which have no step.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer in time.
    pub async fn errors(&self, within: Duration, limit: u32) -> Result<Vec<StoredError>, StoreError> {
        let args = vec![Arg::from(ago(within)), Arg::from(i64::MAX), Arg::from(i64::from(limit))];
        self.all(ERRORS, args, StoredError::read).await
    }

    /// The attempts that took longest, among those that ended within that time; the slowest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer in time.
    pub async fn slowest_steps(&self, within: Duration, limit: u32) -> Result<Vec<StoredAttempt>, StoreError> {
        let sql = AssertSqlSafe(slowest(self.db().dialect()));
        self.all(sql, vec![Arg::from(ago(within)), Arg::from(i64::from(limit))], StoredAttempt::read).await
    }

    /// A task with everything that is known of it; `None`: the store does not know it. Five statements: what happens meanwhile
    /// may be in some answers and not in others.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer in time.
    pub async fn task_history(&self, task_id: &str) -> Result<Option<TaskHistory>, StoreError> {
        let Some(task) = self.task(task_id).await? else { return Ok(None) };
        let id = || vec![Arg::from(task_id)];
        let steps = "SELECT step_id, task_id, step_name, state, attempts, retry_limit, inputs, created_at, started_at, \
                     ended_at, retry_at, reason FROM tasker_steps WHERE task_id = $1 ORDER BY created_at, step_id";
        let attempts = "SELECT step_id, attempt, task_id, step_name, state, requested_at, started_at, ended_at, \
                        queue_nanos, duration_nanos FROM tasker_attempts WHERE task_id = $1 ORDER BY attempt";
        let errors = "SELECT event_id, task_id, step_id, step_name, attempt, occurred_at, error_class, error_type, \
                      error_message, error_chain, backtrace, retryable \
                      FROM tasker_errors WHERE task_id = $1 ORDER BY occurred_at";
        // An event is not older than those before it in its part, whatever the clock of its thread said.
        let transitions = "SELECT event_id, step_id, attempt, event, from_state, to_state, occurred_at, worker_id, reason \
                           FROM tasker_transitions WHERE task_id = $1 \
                           ORDER BY MAX(occurred_at) OVER (PARTITION BY part ORDER BY number), part, number";
        let mut steps = self.all(steps, id(), StoredStep::read).await?;
        let attempts = self.all(attempts, id(), StoredAttempt::read).await?;
        for attempt in attempts {
            if let Some(step) = steps.iter_mut().find(|step| step.step_id == attempt.step_id) {
                step.attempts.push(attempt);
            }
        }
        Ok(Some(TaskHistory {
            task,
            steps,
            errors: self.all(errors, id(), StoredError::read).await?,
            transitions: self.all(transitions, id(), StoredTransition::read).await?,
        }))
    }

    async fn first<T: Send + 'static>(
        &self,
        sql: impl sqlx::SqlSafeStr + Send + 'static,
        args: Vec<Arg>,
        read: fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(sql, args, read).await?.into_iter().next())
    }

    pub(super) async fn all<T: Send + 'static>(
        &self,
        sql: impl sqlx::SqlSafeStr + Send + 'static,
        args: Vec<Arg>,
        read: fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let (db, state) = (self.db().clone(), self.state());
        self.run(async move {
            state.migrate(&db).await?;
            db.fetch(sql, args).await?.iter().map(read).collect()
        })
        .await
    }
}
