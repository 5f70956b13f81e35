//! Tasks and steps as they were when a change was decided upon.

use crate::event::step;
use crate::state::State;
use crate::store::Store;
use crate::store::db::{Arg, Row};
use crate::store::error::StoreError;
use crate::store::query::parse;
use crate::trace::Carrier;

impl Store {
    pub(super) async fn found_task(&self, task_id: &str) -> Result<FoundTask, StoreError> {
        let sql = "SELECT t.task_id, t.task_name, t.state, t.retries, t.worker_id, t.carrier, t.created_at, t.started_at, \
                   COUNT(s.step_id) AS total, COUNT(CASE WHEN s.state = 'complete' THEN 1 END) AS complete, \
                   COUNT(CASE WHEN s.state = 'error' THEN 1 END) AS error \
                   FROM tasker_tasks t LEFT JOIN tasker_steps s ON s.task_id = t.task_id WHERE t.task_id = $1 \
                   GROUP BY t.task_id, t.task_name, t.state, t.retries, t.worker_id, t.carrier, t.created_at, t.started_at";
        let found = self.all(sql, vec![Arg::from(task_id)], FoundTask::read).await?;
        found.into_iter().next().ok_or_else(|| StoreError::NotFound { what: "task", id: task_id.to_owned() })
    }

    pub(super) async fn open_steps(&self, task_id: &str) -> Result<Vec<FoundStep>, StoreError> {
        let sql = "SELECT step_id, task_id, step_name, state, attempts, retry_limit FROM tasker_steps \
                   WHERE task_id = $1 AND state IN ('pending', 'in_progress') ORDER BY created_at, step_id";
        self.all(sql, vec![Arg::from(task_id)], FoundStep::read).await
    }

    pub(super) async fn found_step(&self, step_id: &str) -> Result<FoundStep, StoreError> {
        let sql =
            "SELECT step_id, task_id, step_name, state, attempts, retry_limit FROM tasker_steps WHERE step_id = $1";
        let found = self.all(sql, vec![Arg::from(step_id)], FoundStep::read).await?;
        found.into_iter().next().ok_or_else(|| StoreError::NotFound { what: "step", id: step_id.to_owned() })
    }
}

/// A task as it was when the change was decided upon.
pub(super) struct FoundTask {
    pub(super) task_id: String,
    pub(super) task_name: String,
    pub(super) state: State,
    pub(super) retries: i64,
    pub(super) worker_id: Option<String>,
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
    pub(super) fn carrier(&self) -> Result<Carrier, StoreError> {
        let text = self.carrier.clone().unwrap_or_else(|| {
            serde_json::json!({ "task_id": self.task_id, "task_name": self.task_name, "started_at_unix_nanos": 0 })
                .to_string()
        });
        let mut carrier: Carrier =
            serde_json::from_str(&text).map_err(|error| StoreError::Unreadable(format!("a carrier: {error}")))?;
        carrier.started_at_unix_nanos = whole(self.started_at.unwrap_or(self.created_at));
        [carrier.total_steps, carrier.completed_steps, carrier.failed_steps] = self.steps.map(whole);
        Ok(carrier)
    }
}

/// A step, likewise.
#[derive(Clone)]
pub(super) struct FoundStep {
    pub(super) step_id: String,
    pub(super) task_id: String,
    pub(super) step_name: String,
    pub(super) state: State,
    pub(super) attempt: u32,
    pub(super) retry_limit: u32,
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

    pub(super) fn cancelled(&self, reason: &str) -> step::Cancelled {
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

fn whole(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
