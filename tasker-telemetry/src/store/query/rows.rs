//! What the store answers. Everything serialises to JSON; times are RFC 3339, durations seconds.

use serde::Serialize;
use serde_json::Value as Json;

use crate::state::State;
use crate::store::db::Row;
use crate::store::error::StoreError;
use crate::time::Timestamp;

/// How far a task is: its steps, by state.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskStats {
    /// The task's identity.
    pub task_id: String,
    /// The task's name.
    pub task_name: String,
    /// Its state.
    pub state: State,
    /// How often a task of that id was begun.
    pub run: u64,
    /// How often an operator, or another process, had it run again.
    pub retries: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its body began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// All steps that began, those of earlier runs included.
    pub total_steps: u64,
    /// All attempts of these.
    pub attempts: u64,
    /// Steps that wait.
    pub pending_steps: u64,
    /// Steps that run.
    pub in_progress_steps: u64,
    /// Steps that ended well.
    pub completed_steps: u64,
    /// Steps that failed for good.
    pub failed_steps: u64,
    /// Steps that were cancelled.
    pub cancelled_steps: u64,
    /// Steps that an operator closed.
    pub resolved_steps: u64,
    /// When the next attempt of a step is due that waits for it.
    pub next_retry_at: Option<Timestamp>,
}

impl TaskStats {
    /// The share of steps that ended well or were closed by an operator, from 0 to 1; 0 where there are none.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "nobody has 2^52 steps")]
    pub fn completion(&self) -> f64 {
        match self.total_steps {
            0 => 0.0,
            total => (self.completed_steps + self.resolved_steps) as f64 / total as f64,
        }
    }

    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            task_id: row.text("task_id")?,
            task_name: row.text("task_name")?,
            state: state(row, "state")?,
            run: count(row, "run")?,
            retries: count(row, "retries")?,
            created_at: time(row.int("created_at")?),
            started_at: row.maybe_int("started_at")?.map(time),
            ended_at: row.maybe_int("ended_at")?.map(time),
            total_steps: count(row, "total")?,
            attempts: count(row, "attempts")?,
            pending_steps: count(row, "pending")?,
            in_progress_steps: count(row, "in_progress")?,
            completed_steps: count(row, "complete")?,
            failed_steps: count(row, "error")?,
            cancelled_steps: count(row, "cancelled")?,
            resolved_steps: count(row, "resolved_manually")?,
            next_retry_at: row.maybe_int("retry_at")?.map(time),
        })
    }
}

/// A task as it stands in the store.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StoredTask {
    /// The task's identity.
    pub task_id: String,
    /// The task's name.
    pub task_name: String,
    /// Its state.
    pub state: State,
    /// How often a task of that id was begun.
    pub run: u64,
    /// How often an operator, or another process, had it run again.
    pub retries: u64,
    /// What ties together everything that one request caused.
    pub correlation_id: Option<String>,
    /// Its `fields(..)`, masked.
    pub context: Option<Json>,
    /// The process that runs it, or ran it last.
    pub worker_id: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its body began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it was cancelled or closed.
    pub reason: Option<String>,
    /// The operator who closed it.
    pub resolved_by: Option<String>,
}

pub(super) const TASK_COLUMNS: &str = "task_id, task_name, state, run, retries, correlation_id, context, worker_id, created_at, \
     started_at, ended_at, reason, resolved_by";

impl StoredTask {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            task_id: row.text("task_id")?,
            task_name: row.text("task_name")?,
            state: state(row, "state")?,
            run: count(row, "run")?,
            retries: count(row, "retries")?,
            correlation_id: row.maybe_text("correlation_id")?,
            context: row.maybe_text("context")?.map(|text| json(&text)).transpose()?,
            worker_id: row.maybe_text("worker_id")?,
            created_at: time(row.int("created_at")?),
            started_at: row.maybe_int("started_at")?.map(time),
            ended_at: row.maybe_int("ended_at")?.map(time),
            reason: row.maybe_text("reason")?,
            resolved_by: row.maybe_text("resolved_by")?,
        })
    }
}

/// A step as it stands in the store.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StoredStep {
    /// The step's identity.
    pub step_id: String,
    /// The task's identity.
    pub task_id: String,
    /// The step's name.
    pub step_name: String,
    /// Its state.
    pub state: State,
    /// The number of its last attempt, from 1.
    pub attempt_number: u64,
    /// How many attempts it gets in all.
    pub retry_limit: u64,
    /// Its `fields(..)`, masked.
    pub inputs: Option<Json>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the body of its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When its last attempt ended.
    pub ended_at: Option<Timestamp>,
    /// When its next attempt is due.
    pub retry_at: Option<Timestamp>,
    /// Why it was cancelled or closed, or is tried again.
    pub reason: Option<String>,
    /// Its attempts; only in [`TaskHistory`].
    pub attempts: Vec<StoredAttempt>,
}

impl StoredStep {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            step_id: row.text("step_id")?,
            task_id: row.text("task_id")?,
            step_name: row.text("step_name")?,
            state: state(row, "state")?,
            attempt_number: count(row, "attempts")?,
            retry_limit: count(row, "retry_limit")?,
            inputs: row.maybe_text("inputs")?.map(|text| json(&text)).transpose()?,
            created_at: time(row.int("created_at")?),
            started_at: row.maybe_int("started_at")?.map(time),
            ended_at: row.maybe_int("ended_at")?.map(time),
            retry_at: row.maybe_int("retry_at")?.map(time),
            reason: row.maybe_text("reason")?,
            attempts: Vec::new(),
        })
    }
}

/// An attempt of a step as it stands in the store.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StoredAttempt {
    /// The step's identity.
    pub step_id: String,
    /// Which attempt it is, from 1.
    pub attempt_number: u64,
    /// The task's identity.
    pub task_id: String,
    /// The step's name.
    pub step_name: String,
    /// Its state.
    pub state: State,
    /// When it asked to run.
    pub requested_at: Timestamp,
    /// When its body began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How long it waited for a permit, in seconds.
    pub queue_time: Option<f64>,
    /// How long its body ran, in seconds.
    pub execution_duration: Option<f64>,
}

impl StoredAttempt {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            step_id: row.text("step_id")?,
            attempt_number: count(row, "attempt")?,
            task_id: row.text("task_id")?,
            step_name: row.text("step_name")?,
            state: state(row, "state")?,
            requested_at: time(row.int("requested_at")?),
            started_at: row.maybe_int("started_at")?.map(time),
            ended_at: row.maybe_int("ended_at")?.map(time),
            queue_time: row.maybe_int("queue_nanos")?.map(seconds),
            execution_duration: row.maybe_int("duration_nanos")?.map(seconds),
        })
    }
}

/// A failure as it stands in the store.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StoredError {
    /// The identity of the event that told it.
    pub event_id: String,
    /// The task's identity.
    pub task_id: String,
    /// The step's identity; absent for the failure of the task itself.
    pub step_id: Option<String>,
    /// The step's name.
    pub step_name: Option<String>,
    /// Which attempt failed, from 1.
    pub attempt_number: Option<u64>,
    /// When.
    pub occurred_at: Timestamp,
    /// The error's type path, for enums with the variant; `panic` for a panic.
    pub error_class: String,
    /// The error's category.
    pub error_type: String,
    /// What it says, masked.
    pub error_message: String,
    /// What its causes say, the nearest first, masked.
    pub error_chain: Json,
    /// The innermost frames, ten at most.
    pub backtrace: Json,
    /// Whether another attempt made sense.
    pub retryable: bool,
}

impl StoredError {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            event_id: row.text("event_id")?,
            task_id: row.text("task_id")?,
            step_id: row.maybe_text("step_id")?,
            step_name: row.maybe_text("step_name")?,
            attempt_number: row.maybe_int("attempt")?.and_then(|number| u64::try_from(number).ok()),
            occurred_at: time(row.int("occurred_at")?),
            error_class: row.text("error_class")?,
            error_type: row.text("error_type")?,
            error_message: row.text("error_message")?,
            error_chain: json(&row.text("error_chain")?)?,
            backtrace: json(&row.text("backtrace")?)?,
            retryable: row.bool("retryable")?,
        })
    }
}

/// An event as it stands in the store.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StoredTransition {
    /// The event's identity.
    pub event_id: String,
    /// The step's identity; absent for an event of the task.
    pub step_id: Option<String>,
    /// Which attempt, from 1.
    pub attempt_number: Option<u64>,
    /// The event's name.
    pub event: String,
    /// The state before; absent for the first, and for an event that changes none.
    pub from: Option<State>,
    /// The state after.
    pub to: Option<State>,
    /// When.
    pub occurred_at: Timestamp,
    /// In which process.
    pub worker_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl StoredTransition {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            event_id: row.text("event_id")?,
            step_id: row.maybe_text("step_id")?,
            attempt_number: row.maybe_int("attempt")?.and_then(|number| u64::try_from(number).ok()),
            event: row.text("event")?,
            from: row.maybe_text("from_state")?.map(|text| parse(&text)).transpose()?,
            to: row.maybe_text("to_state")?.map(|text| parse(&text)).transpose()?,
            occurred_at: time(row.int("occurred_at")?),
            worker_id: row.maybe_text("worker_id")?,
            reason: row.maybe_text("reason")?,
        })
    }
}

/// Everything that is known of a task.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskHistory {
    /// The task.
    pub task: StoredTask,
    /// Its steps with their attempts, in the order in which they were asked for.
    pub steps: Vec<StoredStep>,
    /// Its failures, the oldest first.
    pub errors: Vec<StoredError>,
    /// Its events, the oldest first.
    pub transitions: Vec<StoredTransition>,
}

/// How often an error occurred.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ErrorClass {
    /// The error's type path, for enums with the variant; `panic` for a panic.
    pub error_class: String,
    /// The error's category.
    pub error_type: String,
    /// Attempts that ended with it.
    pub attempts: u64,
    /// Tasks that ended with it.
    pub tasks: u64,
    /// When it occurred first, within the time that was asked for.
    pub first_at: Timestamp,
    /// When it occurred last.
    pub last_at: Timestamp,
}

impl ErrorClass {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            error_class: row.text("error_class")?,
            error_type: row.text("error_type")?,
            attempts: count(row, "attempts")?,
            tasks: count(row, "tasks")?,
            first_at: time(row.int("first_at")?),
            last_at: time(row.int("last_at")?),
        })
    }
}

fn count(row: &Row, column: &str) -> Result<u64, StoreError> {
    Ok(u64::try_from(row.int(column)?).unwrap_or(0))
}

fn time(nanos: i64) -> Timestamp {
    Timestamp::from_unix_nanos(u64::try_from(nanos).unwrap_or(0))
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 104 days, and nobody reads nanoseconds beyond")]
fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

fn state(row: &Row, column: &str) -> Result<State, StoreError> {
    parse(&row.text(column)?)
}

pub(in crate::store) fn parse(text: &str) -> Result<State, StoreError> {
    State::ALL
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| StoreError::Unreadable(format!("a state `{text}`")))
}

fn json(text: &str) -> Result<Json, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable(error.to_string()))
}
