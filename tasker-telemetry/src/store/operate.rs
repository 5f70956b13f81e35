//! What operators do to tasks and steps, and how a process takes a task up that another one left.
//!
//! Each change is one transaction that asks for the state it was decided upon, and stands beside its event's row; the event is
//! told when the transaction has been committed. What the state machine does not allow changes nothing.

use std::sync::Arc;
use std::time::Duration;

use super::Store;
use super::db::{Arg, Conn, Db, Row};
use super::error::StoreError;
use super::query::parse;
use super::rows::nanos;
use super::write::WriteError;
use crate::event::{Event, step, task};
use crate::lifecycle::{Operated, ResumedTask, Told};
use crate::state::{Entity, IllegalTransition, State};
use crate::time::Timestamp;
use crate::trace::Carrier;

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

    /// Takes a task up that waits, or that a dead process left in progress: one that has given no sign of life for
    /// [`StoreOptions::lease`](super::StoreOptions::lease). Of several that try, one gets it. What the dead process left open of its
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
            let mut change = Change { told: Vec::new() };
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
                    let sign = super::write::Sign { worker_id: Arc::clone(&worker), lease_until: until };
                    sign.give(conn).await?;
                    close_steps(conn, &open, now).await?;
                    change.write(conn, &found.task_id, &worker).await?;
                    Ok(Taking::Done)
                })
                .await
                .map_err(WriteError::into_store)?;
            match taken {
                Taking::Done => Ok(true),
                Taking::Changed => Ok(false),
                Taking::Taken(worker_id) => Err(StoreError::Taken { task_id: found.task_id, worker_id }),
            }
        })
        .await
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
            let mut change = Change { told: Vec::new() };
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
            let sql =
                "SELECT step_id, task_id, step_name, state, attempts, retry_limit FROM tasker_steps WHERE step_id = $1";
            let found = self.all(sql, vec![Arg::from(step_id)], FoundStep::read).await?.into_iter().next();
            let found = found.ok_or_else(|| StoreError::NotFound { what: "step", id: step_id.to_owned() })?;
            let task = self.found_task(&found.task_id).await?;
            let mut operated = Operated::new(&self.core()?, task.carrier()?);
            let mut change = Change { told: Vec::new() };
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
            let open = if to == State::Cancelled { vec![found] } else { Vec::new() };
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
            db.write(async |conn: &mut Conn| -> Result<bool, WriteError> {
                if conn.execute(sql, args).await? == 0 {
                    return Ok(false);
                }
                close_steps(conn, &open, now()).await?;
                change.write(conn, &task_id, &worker).await?;
                Ok(true)
            })
            .await
            .map_err(WriteError::into_store)
        })
        .await
    }

    async fn found_task(&self, task_id: &str) -> Result<FoundTask, StoreError> {
        let sql = "SELECT t.task_id, t.task_name, t.state, t.retries, t.worker_id, t.carrier, t.created_at, t.started_at, \
                   COUNT(s.step_id) AS total, COUNT(CASE WHEN s.state = 'complete' THEN 1 END) AS complete, \
                   COUNT(CASE WHEN s.state = 'error' THEN 1 END) AS error \
                   FROM tasker_tasks t LEFT JOIN tasker_steps s ON s.task_id = t.task_id WHERE t.task_id = $1 \
                   GROUP BY t.task_id, t.task_name, t.state, t.retries, t.worker_id, t.carrier, t.created_at, t.started_at";
        let found = self.all(sql, vec![Arg::from(task_id)], FoundTask::read).await?;
        found.into_iter().next().ok_or_else(|| StoreError::NotFound { what: "task", id: task_id.to_owned() })
    }

    async fn open_steps(&self, task_id: &str) -> Result<Vec<FoundStep>, StoreError> {
        let sql = "SELECT step_id, task_id, step_name, state, attempts, retry_limit FROM tasker_steps \
                   WHERE task_id = $1 AND state IN ('pending', 'in_progress') ORDER BY created_at, step_id";
        self.all(sql, vec![Arg::from(task_id)], FoundStep::read).await
    }

    /// What an operator writes may hold what the filter masks.
    fn masked(&self, text: &str) -> Result<String, StoreError> {
        Ok(self.core()?.filter().message(text.to_owned(), None))
    }
}

enum Taking {
    Done,
    Changed,
    Taken(String),
}

/// A task as it was when the change was decided upon.
struct FoundTask {
    task_id: String,
    task_name: String,
    state: State,
    retries: i64,
    worker_id: Option<String>,
    carrier: Option<String>,
    created_at: i64,
    started_at: Option<i64>,
    steps: [i64; 3],
}

impl FoundTask {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            task_id: row.text("task_id")?,
            task_name: row.text("task_name")?,
            state: parse(&row.text("state")?)?,
            retries: row.int("retries")?,
            worker_id: row.maybe_text("worker_id")?,
            carrier: row.maybe_text("carrier")?,
            created_at: row.int("created_at")?,
            started_at: row.maybe_int("started_at")?,
            steps: [row.int("total")?, row.int("complete")?, row.int("error")?],
        })
    }

    /// What another process needs to go on: as it was written when the task began, with what has become of it since. Where
    /// nothing was written, the task's name and id say enough.
    fn carrier(&self) -> Result<Carrier, StoreError> {
        let text = self.carrier.clone().unwrap_or_else(|| {
            serde_json::json!({ "task_id": self.task_id, "task_name": self.task_name, "started_at_unix_nanos": 0 })
                .to_string()
        });
        let mut carrier: Carrier =
            serde_json::from_str(&text).map_err(|error| StoreError::Unreadable(format!("a carrier: {error}")))?;
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        carrier.started_at_unix_nanos = number(self.started_at.unwrap_or(self.created_at));
        let [total, completed, failed] = self.steps.map(number);
        (carrier.total_steps, carrier.completed_steps, carrier.failed_steps) = (total, completed, failed);
        Ok(carrier)
    }
}

/// A step, likewise.
#[derive(Clone)]
struct FoundStep {
    step_id: String,
    task_id: String,
    step_name: String,
    state: State,
    attempt: u32,
    retry_limit: u32,
}

impl FoundStep {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            step_id: row.text("step_id")?,
            task_id: row.text("task_id")?,
            step_name: row.text("step_name")?,
            state: parse(&row.text("state")?)?,
            attempt: u32::try_from(row.int("attempts")?).unwrap_or(1),
            retry_limit: u32::try_from(row.int("retry_limit")?).unwrap_or(1),
        })
    }

    fn cancelled(&self, reason: &str) -> step::Cancelled {
        let step = self.clone();
        step::Cancelled {
            step_id: step.step_id,
            step_name: step.step_name,
            attempt_number: step.attempt,
            retry_limit: step.retry_limit,
            ..step::Cancelled::new(reason.to_owned())
        }
    }
}

/// The rows of the events that a change is.
struct Change {
    told: Vec<(Option<(String, u32)>, Told, (State, State), Timestamp, String)>,
}

impl Change {
    fn task<E: Event>(
        &mut self,
        operated: &mut Operated,
        (from, to): (State, State),
        reason: &str,
        event: E,
    ) -> Result<(), IllegalTransition> {
        let at = Timestamp::now();
        let told = operated.change((Entity::Task, from, to), at, event)?;
        self.add(None, told, (from, to), at, reason);
        Ok(())
    }

    fn step<E: Event>(
        &mut self,
        operated: &mut Operated,
        step: &FoundStep,
        to: State,
        reason: &str,
        event: E,
    ) -> Result<(), IllegalTransition> {
        let at = Timestamp::now();
        let told = operated.change((Entity::Step, step.state, to), at, event)?;
        self.add(Some((step.step_id.clone(), step.attempt)), told, (step.state, to), at, reason);
        Ok(())
    }

    fn add(&mut self, step: Option<(String, u32)>, told: Told, states: (State, State), at: Timestamp, reason: &str) {
        self.told.push((step, told, states, at, reason.to_owned()));
    }

    async fn write(&self, conn: &mut Conn, task_id: &str, worker_id: &str) -> Result<(), WriteError> {
        for (step, told, (from, to), at, reason) in &self.told {
            let sql = "INSERT INTO tasker_transitions \
                       (event_id, task_id, step_id, attempt, event, from_state, to_state, occurred_at, worker_id, reason, number) \
                       VALUES ($1, $2, NULLIF($3, ''), NULLIF($4, 0), $5, $6, $7, $8, $9, NULLIF($10, ''), $11)";
            let (step_id, attempt) = step.as_ref().map_or(("", 0), |(step_id, attempt)| (step_id, *attempt));
            let args = vec![
                Arg::from(told.event_id.as_str()),
                Arg::from(task_id),
                Arg::from(step_id),
                Arg::from(i64::from(attempt)),
                Arg::from(told.event),
                Arg::from(from.as_str()),
                Arg::from(to.as_str()),
                Arg::from(nanos(at.as_unix_nanos())),
                Arg::from(worker_id),
                Arg::from(reason.as_str()),
                Arg::from(i64::from(told.number)),
            ];
            conn.execute(sql, args).await?;
        }
        Ok(())
    }
}

/// Cancels steps that nobody runs any more, and their open attempts.
async fn close_steps(conn: &mut Conn, steps: &[FoundStep], now: i64) -> Result<(), WriteError> {
    for step in steps {
        let args = || vec![Arg::from(now), Arg::from(step.step_id.as_str())];
        let of_step = "UPDATE tasker_steps SET state = 'cancelled', ended_at = $1, retry_at = NULL WHERE step_id = $2";
        conn.execute(of_step, args()).await?;
        let of_attempts = "UPDATE tasker_attempts SET state = 'cancelled', ended_at = $1 \
                           WHERE step_id = $2 AND state IN ('pending', 'in_progress')";
        conn.execute(of_attempts, args()).await?;
    }
    Ok(())
}

/// The process ends: what it left open may be claimed at once.
pub(super) async fn sign_off(db: &Db, worker_id: &str) {
    const LIMIT: Duration = Duration::from_secs(1);
    let worker_id = worker_id.to_owned();
    let delete = db.write(async |conn: &mut Conn| -> Result<(), WriteError> {
        conn.execute("DELETE FROM tasker_workers WHERE worker_id = $1", vec![Arg::from(worker_id)]).await?;
        Ok(())
    });
    // Where that fails, its lease will run out.
    let _ = tokio::time::timeout(LIMIT, delete).await;
}

fn now() -> i64 {
    nanos(Timestamp::now().as_unix_nanos())
}
