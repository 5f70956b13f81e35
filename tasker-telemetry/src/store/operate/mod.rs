//! What operators do to tasks and steps, and how a process takes a task up that another one left.
//!
//! Each change is one transaction that asks for the state it was decided upon, and stands beside its event's row; the event is
//! told when the transaction has been committed. What the state machine does not allow changes nothing.

mod change;
mod claim;
mod found;

use std::sync::Arc;

use self::change::{Change, close_steps};
pub(super) use self::claim::sign_off;
use self::found::{FoundStep, FoundTask};
use super::Store;
use super::db::{Arg, Conn};
use super::error::StoreError;
use super::rows::nanos;
use super::write::WriteError;
use crate::event::{Event, step, task};
use crate::lifecycle::Operated;
use crate::state::State;
use crate::time::Timestamp;

/// How often a change is tried again when somebody else changed the state meanwhile.
const MOST_TRIES: usize = 5;

impl Store {
    /// Has a failed task run again: it waits, as `pending`, for whoever [`resume`](Self::resume)s it. Tells
    /// `task.retry_requested`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Illegal`] when it is not in `error`; [`StoreError::Unavailable`].
    pub async fn retry_task(&self, task_id: &str, reason: &str) -> Result<(), StoreError> {
        let reason = self.masked(reason)?;
        self.change_task(task_id, State::Pending, &reason, "", |task| {
            task::RetryRequested::new(u32::try_from(task.retries + 2).unwrap_or(u32::MAX), reason.clone())
        })
        .await
    }

    /// Closes a failed task: somebody has seen to it. Tells `task.resolved_manually`.
    ///
    /// # Errors
    /// As [`retry_task`](Self::retry_task).
    pub async fn resolve_task_manually(
        &self,
        task_id: &str,
        resolved_by: &str,
        reason: &str,
    ) -> Result<(), StoreError> {
        let (by, reason) = (self.masked(resolved_by)?, self.masked(reason)?);
        self.change_task(task_id, State::ResolvedManually, &reason, &by, |_| {
            task::ResolvedManually::new(by.clone(), reason.clone())
        })
        .await
    }

    /// Cancels a task that waits or runs, with its open steps, or undoes one that completed or was closed. Tells `task.cancelled`,
    /// and `step.cancelled` for each open step. A process that runs it is not stopped by this; what it says from now on changes
    /// nothing in the store.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Illegal`] when it is in `error` or cancelled; [`StoreError::Unavailable`].
    pub async fn cancel_task(&self, task_id: &str, reason: &str) -> Result<(), StoreError> {
        let reason = self.masked(reason)?;
        self.change_task(task_id, State::Cancelled, &reason, "", |_| task::Cancelled::new(reason.clone())).await
    }

    /// Has a failed step run again, by whatever engine runs its steps. Tells `step.retry_requested`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Illegal`] when it is not in `error`; [`StoreError::Unavailable`].
    pub async fn retry_step(&self, step_id: &str, reason: &str) -> Result<(), StoreError> {
        let reason = self.masked(reason)?;
        self.change_step(step_id, State::Pending, &reason, "", |found| {
            let event = step::RetryRequested::new(reason.clone(), 0.0, "operator".to_owned());
            let step = found.clone();
            step::RetryRequested {
                step_id: step.step_id,
                step_name: step.step_name,
                attempt_number: step.attempt,
                retry_limit: step.retry_limit,
                ..event
            }
        })
        .await
    }

    /// Closes a step that failed or waits. Tells `step.resolved_manually`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Illegal`] when it is in another state; [`StoreError::Unavailable`].
    pub async fn resolve_step_manually(
        &self,
        step_id: &str,
        resolved_by: &str,
        reason: &str,
    ) -> Result<(), StoreError> {
        let (by, reason) = (self.masked(resolved_by)?, self.masked(reason)?);
        self.change_step(step_id, State::ResolvedManually, &reason, &by, |found| {
            let event = step::ResolvedManually::new(reason.clone());
            let step = found.clone();
            step::ResolvedManually {
                step_id: step.step_id,
                step_name: step.step_name,
                attempt_number: step.attempt,
                retry_limit: step.retry_limit,
                ..event
            }
        })
        .await
    }

    /// Cancels a step that waits or runs. Tells `step.cancelled`.
    ///
    /// # Errors
    /// As [`resolve_step_manually`](Self::resolve_step_manually).
    pub async fn cancel_step(&self, step_id: &str, reason: &str) -> Result<(), StoreError> {
        let reason = self.masked(reason)?;
        self.change_step(step_id, State::Cancelled, &reason, "", |found| found.cancelled(&reason)).await
    }

    async fn change_task<E: Event>(
        &self,
        task_id: &str,
        to: State,
        reason: &str,
        by: &str,
        event: impl Fn(&FoundTask) -> E,
    ) -> Result<(), StoreError> {
        for _ in 0..MOST_TRIES {
            let found = self.found_task(task_id).await?;
            let mut operated = Operated::new(&self.core()?, found.carrier()?);
            let mut change = Change::default();
            let runs = matches!(found.state, State::Pending | State::InProgress);
            let mut open = Vec::new();
            if to == State::Cancelled && runs {
                for step in self.open_steps(task_id).await? {
                    change.step(&mut operated, &step, State::Cancelled, reason, step.cancelled(reason))?;
                    open.push(step);
                }
                let (told, at) = operated.cancel(found.state, reason.to_owned())?;
                change.add(None, told, (found.state, to), at, reason);
            } else {
                change.task(&mut operated, (found.state, to), reason, event(&found))?;
            }
            let sql = "UPDATE tasker_tasks SET state = $1, updated_at = $2, reason = $3, \
                       resolved_by = CASE WHEN $4 = '' THEN resolved_by ELSE $4 END, \
                       ended_at = CASE WHEN $1 = 'pending' THEN NULL ELSE COALESCE(ended_at, $2) END, \
                       worker_id = CASE WHEN $1 = 'pending' THEN NULL ELSE worker_id END \
                       WHERE task_id = $5 AND state = $6";
            let args = vec![
                Arg::from(to.as_str()),
                Arg::from(now()),
                Arg::from(reason),
                Arg::from(by),
                Arg::from(task_id),
                Arg::from(found.state.as_str()),
            ];
            if self.put(sql, args, change, found.task_id, open).await? {
                operated.tell();
                return Ok(());
            }
        }
        Err(StoreError::Unavailable("the task changes faster than it can be changed".to_owned()))
    }

    async fn change_step<E: Event>(
        &self,
        step_id: &str,
        to: State,
        reason: &str,
        by: &str,
        event: impl Fn(&FoundStep) -> E,
    ) -> Result<(), StoreError> {
        for _ in 0..MOST_TRIES {
            let found = self.found_step(step_id).await?;
            let task = self.found_task(&found.task_id).await?;
            let mut operated = Operated::new(&self.core()?, task.carrier()?);
            let mut change = Change::default();
            change.step(&mut operated, &found, to, reason, event(&found))?;
            let sql = "UPDATE tasker_steps SET state = $1, reason = $3, retry_at = NULL, \
                       resolved_by = CASE WHEN $4 = '' THEN resolved_by ELSE $4 END, \
                       ended_at = CASE WHEN $1 = 'pending' THEN NULL ELSE COALESCE(ended_at, $2) END \
                       WHERE step_id = $5 AND state = $6";
            let args = vec![
                Arg::from(to.as_str()),
                Arg::from(now()),
                Arg::from(reason),
                Arg::from(by),
                Arg::from(step_id),
                Arg::from(found.state.as_str()),
            ];
            // Its attempts are closed when it is cancelled itself.
            let open = if to == State::Cancelled { vec![FoundStep { state: to, ..found }] } else { Vec::new() };
            if self.put(sql, args, change, task.task_id, open).await? {
                operated.tell();
                return Ok(());
            }
        }
        Err(StoreError::Unavailable("the step changes faster than it can be changed".to_owned()))
    }

    /// Writes one change and the rows of its events. `false`: the state was another one by then.
    async fn put(
        &self,
        sql: &'static str,
        args: Vec<Arg>,
        change: Change,
        task_id: String,
        open: Vec<FoundStep>,
    ) -> Result<bool, StoreError> {
        let (db, worker) = (self.db().clone(), Arc::clone(&self.inner.worker_id));
        self.run(async move {
            let put = db.write(async |conn: &mut Conn| -> Result<(), WriteError> {
                if conn.execute(sql, args).await? == 0 {
                    return Err(WriteError::Changed);
                }
                close_steps(conn, &open, now()).await?;
                change.write(conn, &task_id, &worker).await
            });
            match put.await {
                Ok(()) => Ok(true),
                Err(WriteError::Changed) => Ok(false),
                Err(error) => Err(error.into_store()),
            }
        })
        .await
    }

    /// What an operator writes may hold what the filter masks.
    fn masked(&self, text: &str) -> Result<String, StoreError> {
        Ok(self.core()?.filter().message(text.to_owned(), None))
    }
}

fn now() -> i64 {
    nanos(Timestamp::now().as_unix_nanos())
}
