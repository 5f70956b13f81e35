//! The end of a task that several processes run: one of them tells it.

use super::Store;
use super::db::{Arg, Conn};
use super::error::StoreError;
use super::write::WriteError;
use crate::state::State;
use crate::time::Timestamp;
use crate::trace::Carrier;

impl Store {
    /// Has the task end that way, if nobody has ended it before: `true`, and it is for the caller to tell
    /// ([`ResumedTask::complete`](crate::ResumedTask::complete) and its kin). For drivers of engines whose processes may die between
    /// telling an end and being believed: of all that try, one gets `true`.
    ///
    /// A task that the store does not know yet, because the row of its begin is still on its way, has not ended.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer in time.
    pub async fn claim_end(&self, carrier: &Carrier, state: State) -> Result<bool, StoreError> {
        let (db, task_id, key) = (self.db().clone(), carrier.task_id().to_owned(), key_of(carrier));
        self.run(async move {
            db.write(async |conn: &mut Conn| -> Result<bool, WriteError> {
                let sql = "UPDATE tasker_tasks SET state = $1, ended_at = $2, updated_at = $2 \
                           WHERE task_id = $3 AND state IN ('pending', 'in_progress') AND COALESCE(run_key, $4) = $4";
                let now = i64::try_from(Timestamp::now().as_unix_nanos()).unwrap_or(i64::MAX);
                let args = vec![
                    Arg::from(state.as_str()),
                    Arg::from(now),
                    Arg::from(task_id.as_str()),
                    Arg::from(key.as_str()),
                ];
                if conn.execute(sql, args).await? > 0 {
                    return Ok(true);
                }
                Ok(!Self::has_row_of_ended(conn, &task_id, &key).await?)
            })
            .await
            .map_err(WriteError::into_store)
        })
        .await
    }

    /// Whether the task has ended: by its own doing in another process, or by an operator's.
    ///
    /// # Errors
    /// As [`claim_end`](Self::claim_end).
    pub async fn has_ended(&self, carrier: &Carrier) -> Result<bool, StoreError> {
        let (db, task_id, key) = (self.db().clone(), carrier.task_id().to_owned(), key_of(carrier));
        self.run(async move {
            let rows = db.fetch(ENDED, vec![Arg::from(task_id), Arg::from(key)]).await?;
            Ok(!rows.is_empty())
        })
        .await
    }

    async fn has_row_of_ended(conn: &mut Conn, task_id: &str, key: &str) -> Result<bool, sqlx::Error> {
        Ok(!conn.fetch(ENDED, vec![Arg::from(task_id), Arg::from(key)]).await?.is_empty())
    }
}

/// Of this run of the task: an earlier one of the same id has ended long ago.
const ENDED: &str = "SELECT state FROM tasker_tasks WHERE task_id = $1 AND state NOT IN ('pending', 'in_progress') \
                     AND COALESCE(run_key, $2) = $2";

fn key_of(carrier: &Carrier) -> String {
    carrier.seed.map_or_else(String::new, |seed| format!("{seed:016x}"))
}
