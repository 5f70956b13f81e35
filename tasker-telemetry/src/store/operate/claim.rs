//! How a process takes a task up that waits, or that another process left: a compare-and-set on who has it.

use std::sync::Arc;
use std::time::Duration;

use super::change::{Change, close_steps};
use super::found::{FoundStep, FoundTask};
use super::{MOST_TRIES, now};
use crate::event::task;
use crate::lifecycle::{Operated, ResumedTask};
use crate::state::State;
use crate::store::Store;
use crate::store::db::{Arg, Conn, Db};
use crate::store::error::StoreError;
use crate::store::query::ago;
use crate::store::rows::nanos;
use crate::store::write::{Sign, WriteError};
use crate::time::Timestamp;

impl Store {
    /// Takes a task up that waits, or that a dead process left in progress: one that has given no sign of life for
    /// [`StoreOptions::lease`](crate::store::StoreOptions::lease). Of several that try, one gets it. What the dead process left open of its
    /// steps is cancelled. Run the `#[task]` function inside of what this returns:
    ///
    /// ```no_run
    /// # use tasker_telemetry::prelude::*;
    /// # #[task(id = order)]
    /// # async fn order_process(order: u64) -> Result<u64, String> { Ok(order) }
    /// # async fn again(telemetry: &Telemetry) -> Result<(), Box<dyn std::error::Error>> {
    /// let store = telemetry.store().ok_or("no store")?;
    /// let task = store.resume("7").await?;
    /// task.scope(order_process(7)).await?; // goes on as the task 7, and tells its end
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Tells `task.retry_requested` if it was in progress, and `task.start_requested`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Illegal`] when it has ended ([`retry_task`](Self::retry_task) first, if it failed);
    /// [`StoreError::Taken`] when a living process has it, or another one was faster; [`StoreError::Unavailable`].
    pub async fn resume(&self, task_id: &str) -> Result<ResumedTask, StoreError> {
        for _ in 0..MOST_TRIES {
            let found = self.found_task(task_id).await?;
            let mut operated = Operated::new(&self.core()?, found.carrier()?);
            let mut change = Change::default();
            let mut open = Vec::new();
            if found.state == State::InProgress {
                let previous = found.worker_id.as_deref().unwrap_or("nobody");
                let why = format!("its process, {previous}, is gone");
                let again = u32::try_from(found.retries + 2).unwrap_or(u32::MAX);
                for step in self.open_steps(task_id).await? {
                    change.step(&mut operated, &step, State::Cancelled, &why, step.cancelled(&why))?;
                    open.push(step);
                }
                change.task(
                    &mut operated,
                    (found.state, State::Pending),
                    &why,
                    task::RetryRequested::new(again, why.clone()),
                )?;
            }
            let now = Timestamp::now();
            let start = task::StartRequested::new(now);
            let from = if found.state == State::InProgress { State::Pending } else { found.state };
            change.task(&mut operated, (from, State::InProgress), "", start)?;
            if self.take(found, change, open).await? {
                return Ok(operated.take_up());
            }
        }
        Err(StoreError::Unavailable("the task changes faster than it can be claimed".to_owned()))
    }

    /// Writes the claim. `false`: somebody changed the task meanwhile.
    async fn take(&self, found: FoundTask, change: Change, open: Vec<FoundStep>) -> Result<bool, StoreError> {
        let (db, worker) = (self.db().clone(), Arc::clone(&self.inner.worker_id));
        let lease = self.inner.options.lease;
        self.run(async move {
            let taken = db
                .write(async |conn: &mut Conn| -> Result<Taking, WriteError> {
                    let now = now();
                    let sql = "UPDATE tasker_tasks SET state = 'in_progress', worker_id = $1, updated_at = $2, ended_at = NULL, \
                               reason = NULL, retries = retries + 1 \
                               WHERE task_id = $3 AND state = $4 AND NOT EXISTS (SELECT 1 FROM tasker_workers w \
                               WHERE w.worker_id = tasker_tasks.worker_id AND w.lease_until > $2)";
                    let args = vec![
                        Arg::from(&*worker),
                        Arg::from(now),
                        Arg::from(found.task_id.as_str()),
                        Arg::from(found.state.as_str()),
                    ];
                    if conn.execute(sql, args).await? == 0 {
                        let sql = "SELECT state, worker_id FROM tasker_tasks WHERE task_id = $1";
                        let rows = conn.fetch(sql, vec![Arg::from(found.task_id.as_str())]).await?;
                        let same = rows.first().map(|row| row.text("state")).transpose()?.as_deref() == Some(found.state.as_str());
                        let owner = rows.first().map(|row| row.maybe_text("worker_id")).transpose()?.flatten();
                        return Ok(if same { Taking::Taken(owner.unwrap_or_default()) } else { Taking::Changed });
                    }
                    let until = now.saturating_add(nanos(u64::try_from(lease.as_nanos()).unwrap_or(u64::MAX)));
                    let sign = Sign { worker_id: Arc::clone(&worker), lease_until: until };
                    sign.give(conn).await?;
                    close_steps(conn, &open, now).await?;
                    change.write(conn, &found.task_id, &worker).await?;
                    Ok(Taking::Done)
                })
                .await;
            match taken {
                Ok(Taking::Done) => Ok(true),
                Ok(Taking::Changed) | Err(WriteError::Changed) => Ok(false),
                Err(error) => Err(error.into_store()),
                Ok(Taking::Taken(worker_id)) => Err(StoreError::Taken { task_id: found.task_id, worker_id }),
            }
        })
        .await
    }
}

enum Taking {
    Done,
    Changed,
    Taken(String),
}

/// The process ends: what it left open may be claimed at once.
pub(in crate::store) async fn sign_off(db: &Db, worker_id: &str) {
    const LIMIT: Duration = Duration::from_secs(1);
    let worker_id = worker_id.to_owned();
    let delete = db.write(async |conn: &mut Conn| -> Result<(), WriteError> {
        // Those that are dead for a while go as well: who is not there is as dead as who gives no sign.
        let sql = "DELETE FROM tasker_workers WHERE worker_id = $1 OR lease_until < $2";
        conn.execute(sql, vec![Arg::from(worker_id), Arg::from(ago(Duration::from_hours(1)))]).await?;
        Ok(())
    });
    // Where that fails, its lease will run out.
    let _ = tokio::time::timeout(LIMIT, delete).await;
}
