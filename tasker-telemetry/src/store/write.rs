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
use super::sql;

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
    /// What it was decided upon is another one by now: nothing of it may stay.
    Changed,
}

const CHANGED: &str = "somebody else changed it meanwhile";

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
            Self::Changed => StoreError::Unavailable(CHANGED.to_owned()),
        }
    }
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sql(error) => error.fmt(f),
            Self::Other(error) => error.fmt(f),
            Self::Changed => f.write_str(CHANGED),
        }
    }
}

impl Statements {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            tasks: sql::tasks(dialect).into(),
            steps: sql::steps(dialect).into(),
            attempts: sql::attempts(dialect).into(),
            errors: sql::errors(dialect).into(),
            transitions: sql::transitions(dialect).into(),
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
            put(conn, &self.transitions, &batch.transitions).await?;
            // Last: who has counted errors of a class keeps others from counting them until the commit.
            put(conn, &self.errors, &batch.errors).await
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
