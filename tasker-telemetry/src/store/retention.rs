//! Deleting what is old, in batches: a long transaction would keep the writer waiting.

use std::sync::Arc;
use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::Store;
use super::db::{Arg, Conn, Db, Dialect};
use super::error::StoreError;
use super::health::State;
use super::query::ago;
use super::write::WriteError;

/// How many tasks are deleted in one transaction.
const MOST_TASKS: i64 = 200;
/// How often it is looked for what is old, and the pause between two transactions.
const EVERY: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);

impl Store {
    /// Deletes the tasks that ended longer ago than `age`, with their steps, attempts, errors and events; 200 tasks a
    /// transaction. Says how many tasks that were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer in time; what was deleted before stays deleted.
    pub async fn delete_older_than(&self, age: Duration) -> Result<u64, StoreError> {
        let (db, state) = (self.db().clone(), self.state());
        self.run(async move {
            state.migrate(&db).await?;
            delete(&db, age).await
        })
        .await
    }
}

async fn delete(db: &Db, age: Duration) -> Result<u64, StoreError> {
    let (before, mut deleted) = (ago(age), 0);
    loop {
        let tasks = delete_some(db, before).await.map_err(WriteError::into_store)?;
        deleted += tasks;
        if tasks == 0 {
            return Ok(deleted);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn delete_some(db: &Db, before: i64) -> Result<u64, WriteError> {
    let named = match db.dialect() {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => "task_id IN (SELECT value FROM json_each($1))",
        #[cfg(feature = "postgres")]
        Dialect::Postgres => "task_id = ANY (ARRAY(SELECT json_array_elements_text($1::json)))",
    };
    db.write(async |conn: &mut Conn| -> Result<u64, WriteError> {
        let sql = "SELECT task_id FROM tasker_tasks WHERE ended_at < $1 ORDER BY ended_at LIMIT $2";
        let rows = conn.fetch(sql, vec![Arg::from(before), Arg::from(MOST_TASKS)]).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let ids = rows.iter().map(|row| row.text("task_id")).collect::<Result<Vec<_>, _>>()?;
        let ids = serde_json::Value::from(ids).to_string();
        // As what is written: first the tasks, errors last.
        for table in ["tasks", "steps", "attempts", "transitions", "errors"] {
            let sql = AssertSqlSafe(format!("DELETE FROM tasker_{table} WHERE {named}"));
            conn.execute(sql, vec![Arg::from(ids.as_str())]).await?;
        }
        Ok(rows.len() as u64)
    })
    .await
}

/// Deletes what is old for as long as the store is open.
pub(super) async fn keep_deleting(db: Db, state: Arc<State>, age: Duration) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if state.migrate(&db).await.is_ok()
            && let Err(error) = delete(&db, age).await
        {
            state.note_error(&error.to_string());
            tracing::debug!(target: "tasker_telemetry", "what is old could not be deleted: {error}");
        }
    }
}
