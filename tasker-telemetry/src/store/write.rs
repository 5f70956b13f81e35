//! How a batch is written: one statement for each table, whatever the number of rows, in one transaction.
//!
//! The rows travel as one JSON text, which both databases take apart by themselves. Every statement may be run twice without
//! harm: rows are found by their ids, and what came later does not give way to what came before.

use std::sync::Arc;

use serde::Serialize;
use sqlx::AssertSqlSafe;

use super::db::{Arg, Conn, Db, Dialect};
use super::error::StoreError;
use super::rows::Batch;

/// The statements, made once.
#[derive(Debug)]
pub(super) struct Statements {
    tasks: Arc<str>,
    steps: Arc<str>,
    attempts: Arc<str>,
    errors: Arc<str>,
    transitions: Arc<str>,
}

/// Why a batch was not written.
#[derive(Debug)]
pub(super) enum WriteError {
    Sql(sqlx::Error),
    Other(StoreError),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Other(error)
    }
}

impl WriteError {
    pub(super) fn into_store(self) -> StoreError {
        match self {
            Self::Sql(error) => error.into(),
            Self::Other(error) => error,
        }
    }
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sql(error) => error.fmt(f),
            Self::Other(error) => error.fmt(f),
        }
    }
}

const INT: &str = "bigint";
const TEXT: &str = "text";

impl Statements {
    pub(super) fn new(dialect: Dialect) -> Self {
        // A task of that id was begun again: what stood there was of the run before.
        let fresh = "excluded.run_key <> t.run_key";
        let is_settled = "t.state IN ('cancelled', 'resolved_manually')";
        let end = |column: &str| {
            format!(
                "{column} = CASE WHEN {fresh} THEN excluded.{column} WHEN {is_settled} THEN t.{column} \
                 ELSE COALESCE(excluded.{column}, t.{column}) END"
            )
        };
        let newest = |column: &str| {
            format!(
                "{column} = CASE WHEN {fresh} THEN excluded.{column} ELSE COALESCE(excluded.{column}, t.{column}) END"
            )
        };
        let first = |column: &str| {
            format!(
                "{column} = CASE WHEN {fresh} THEN excluded.{column} ELSE COALESCE(t.{column}, excluded.{column}) END"
            )
        };
        let task_updates = [
            // What an operator decided stands, whatever a run that went on says; and no event that is late takes an end back.
            format!(
                "state = CASE WHEN {fresh} THEN excluded.state \
                 WHEN {is_settled} THEN t.state \
                 WHEN t.state IN ('complete', 'error') AND excluded.state IN ('pending', 'in_progress') THEN t.state \
                 ELSE excluded.state END"
            ),
            format!("run = CASE WHEN {fresh} THEN t.run + 1 ELSE t.run END"),
            format!("retries = CASE WHEN {fresh} THEN 0 ELSE t.retries END"),
            format!("created_at = CASE WHEN {fresh} THEN excluded.created_at ELSE t.created_at END"),
            "task_name = excluded.task_name".to_owned(),
            "updated_at = excluded.updated_at".to_owned(),
            newest("run_key"),
            newest("correlation_id"),
            newest("context"),
            newest("carrier"),
            newest("worker_id"),
            end("ended_at"),
            end("reason"),
            first("started_at"),
        ];
        let is_closed = "t.state IN ('complete', 'cancelled', 'resolved_manually')";
        let kept =
            |column: &str| format!("{column} = CASE WHEN {is_closed} THEN t.{column} ELSE excluded.{column} END");
        let step_updates = [
            kept("state"),
            kept("ended_at"),
            kept("retry_at"),
            kept("reason"),
            "attempts = CASE WHEN excluded.attempts > t.attempts THEN excluded.attempts ELSE t.attempts END".to_owned(),
            "inputs = COALESCE(t.inputs, excluded.inputs)".to_owned(),
            "created_at = CASE WHEN excluded.created_at < t.created_at THEN excluded.created_at ELSE t.created_at END"
                .to_owned(),
            "started_at = COALESCE(t.started_at, excluded.started_at)".to_owned(),
        ];
        let is_over = "t.ended_at IS NOT NULL AND excluded.ended_at IS NULL";
        let attempt_updates = [
            format!("state = CASE WHEN {is_over} OR t.state = 'cancelled' THEN t.state ELSE excluded.state END"),
            "started_at = COALESCE(excluded.started_at, t.started_at)".to_owned(),
            "ended_at = COALESCE(t.ended_at, excluded.ended_at)".to_owned(),
            "queue_nanos = COALESCE(excluded.queue_nanos, t.queue_nanos)".to_owned(),
            "duration_nanos = COALESCE(excluded.duration_nanos, t.duration_nanos)".to_owned(),
        ];
        let update =
            |key: &str, columns: &[String]| format!("ON CONFLICT ({key}) DO UPDATE SET {}", columns.join(", "));
        let once = "ON CONFLICT (event_id) DO NOTHING";
        Self {
            tasks: insert(
                dialect,
                "tasker_tasks",
                &[
                    ("task_id", TEXT),
                    ("task_name", TEXT),
                    ("state", TEXT),
                    ("run_key", TEXT),
                    ("correlation_id", TEXT),
                    ("context", TEXT),
                    ("carrier", TEXT),
                    ("worker_id", TEXT),
                    ("created_at", INT),
                    ("started_at", INT),
                    ("ended_at", INT),
                    ("updated_at", INT),
                    ("reason", TEXT),
                ],
                &update("task_id", &task_updates),
            ),
            steps: insert(
                dialect,
                "tasker_steps",
                &[
                    ("step_id", TEXT),
                    ("task_id", TEXT),
                    ("step_name", TEXT),
                    ("state", TEXT),
                    ("attempts", INT),
                    ("retry_limit", INT),
                    ("inputs", TEXT),
                    ("created_at", INT),
                    ("started_at", INT),
                    ("ended_at", INT),
                    ("retry_at", INT),
                    ("reason", TEXT),
                ],
                &update("step_id", &step_updates),
            ),
            attempts: insert(
                dialect,
                "tasker_attempts",
                &[
                    ("step_id", TEXT),
                    ("attempt", INT),
                    ("task_id", TEXT),
                    ("step_name", TEXT),
                    ("state", TEXT),
                    ("requested_at", INT),
                    ("started_at", INT),
                    ("ended_at", INT),
                    ("queue_nanos", INT),
                    ("duration_nanos", INT),
                ],
                &update("step_id, attempt", &attempt_updates),
            ),
            errors: insert(
                dialect,
                "tasker_errors",
                &[
                    ("event_id", TEXT),
                    ("task_id", TEXT),
                    ("step_id", TEXT),
                    ("step_name", TEXT),
                    ("attempt", INT),
                    ("occurred_at", INT),
                    ("error_class", TEXT),
                    ("error_type", TEXT),
                    ("error_message", TEXT),
                    ("error_chain", TEXT),
                    ("backtrace", TEXT),
                    ("retryable", "boolean"),
                ],
                once,
            ),
            transitions: insert(
                dialect,
                "tasker_transitions",
                &[
                    ("event_id", TEXT),
                    ("task_id", TEXT),
                    ("step_id", TEXT),
                    ("attempt", INT),
                    ("event", TEXT),
                    ("from_state", TEXT),
                    ("to_state", TEXT),
                    ("occurred_at", INT),
                    ("number", INT),
                    ("worker_id", TEXT),
                    ("reason", TEXT),
                ],
                once,
            ),
        }
    }

    /// Writes a batch in a transaction of its own, with a sign of life of the process where one is due.
    pub(super) async fn write(&self, db: &Db, batch: &Batch, sign: Option<&Sign>) -> Result<(), WriteError> {
        db.write(async |conn| {
            if let Some(sign) = sign {
                sign.give(conn).await?;
            }
            for wave in &batch.tasks {
                put(conn, &self.tasks, wave).await?;
            }
            put(conn, &self.steps, &batch.steps).await?;
            put(conn, &self.attempts, &batch.attempts).await?;
            put(conn, &self.errors, &batch.errors).await?;
            put(conn, &self.transitions, &batch.transitions).await
        })
        .await
    }
}

async fn put<R: Serialize>(conn: &mut Conn, sql: &Arc<str>, rows: &[R]) -> Result<(), WriteError> {
    if rows.is_empty() {
        return Ok(());
    }
    let json = serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    conn.execute(AssertSqlSafe(Arc::clone(sql)), vec![Arg::from(json)]).await?;
    Ok(())
}

/// Inserts the rows that one JSON text holds; `conflict` says what happens to those that are there.
fn insert(dialect: Dialect, table: &str, columns: &[(&str, &str)], conflict: &str) -> Arc<str> {
    let list = |show: &dyn Fn(&(&str, &str)) -> String| columns.iter().map(show).collect::<Vec<_>>().join(", ");
    let names = list(&|(name, _)| (*name).to_owned());
    let from = match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            let values = list(&|(name, _)| format!("value ->> '$.{name}'"));
            format!("SELECT {values} FROM json_each($1) WHERE true")
        }
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            let typed = list(&|(name, ty)| format!("{name} {ty}"));
            format!("SELECT {names} FROM json_to_recordset($1::json) AS r({typed})")
        }
    };
    format!("INSERT INTO {table} AS t ({names}) {from} {conflict}").into()
}

/// A process's sign of life.
#[derive(Debug)]
pub(super) struct Sign {
    pub(super) worker_id: Arc<str>,
    pub(super) lease_until: i64,
}

impl Sign {
    pub(super) async fn give(&self, conn: &mut Conn) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO tasker_workers AS t (worker_id, lease_until) VALUES ($1, $2) \
                   ON CONFLICT (worker_id) DO UPDATE SET lease_until = excluded.lease_until";
        conn.execute(sql, vec![Arg::from(&*self.worker_id), Arg::from(self.lease_until)]).await?;
        Ok(())
    }
}
