//! A change on its way into the store: the events that it is, and the rows that tell of them.

use super::found::FoundStep;
use crate::event::Event;
use crate::lifecycle::{Operated, Told};
use crate::state::{Entity, IllegalTransition, State};
use crate::store::db::{Arg, Conn};
use crate::store::rows::{nanos, part};
use crate::store::write::WriteError;
use crate::time::Timestamp;

/// The rows of the events that a change is.
#[derive(Default)]
pub(super) struct Change {
    rows: Vec<TransitionRow>,
}

struct TransitionRow {
    /// The step and its attempt; absent for an event of the task.
    step: Option<(String, u32)>,
    told: Told,
    from: State,
    to: State,
    at: Timestamp,
    reason: String,
}

impl Change {
    pub(super) fn task<E: Event>(
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

    pub(super) fn step<E: Event>(
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

    pub(super) fn add(
        &mut self,
        step: Option<(String, u32)>,
        told: Told,
        (from, to): (State, State),
        at: Timestamp,
        reason: &str,
    ) {
        self.rows.push(TransitionRow { step, told, from, to, at, reason: reason.to_owned() });
    }

    pub(super) async fn write(&self, conn: &mut Conn, task_id: &str, worker_id: &str) -> Result<(), WriteError> {
        for TransitionRow { step, told, from, to, at, reason } in &self.rows {
            let sql = "INSERT INTO tasker_transitions \
                       (event_id, task_id, step_id, attempt, event, from_state, to_state, occurred_at, worker_id, reason, number, part) \
                       VALUES ($1, $2, NULLIF($3, ''), NULLIF($4, 0), $5, $6, $7, $8, $9, NULLIF($10, ''), $11, $12)";
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
                Arg::from(part(told.part)),
            ];
            conn.execute(sql, args).await?;
        }
        Ok(())
    }
}

/// Cancels steps that nobody runs any more, and their open attempts; none of them if one is in another state by now.
pub(super) async fn close_steps(conn: &mut Conn, steps: &[FoundStep], now: i64) -> Result<(), WriteError> {
    for step in steps {
        let args = || vec![Arg::from(now), Arg::from(step.step_id.as_str())];
        let of_step = "UPDATE tasker_steps SET state = 'cancelled', ended_at = $1, retry_at = NULL \
                       WHERE step_id = $2 AND state = $3";
        if conn.execute(of_step, [args(), vec![Arg::from(step.state.as_str())]].concat()).await? == 0 {
            return Err(WriteError::Changed);
        }
        let of_attempts = "UPDATE tasker_attempts SET state = 'cancelled', ended_at = $1 \
                           WHERE step_id = $2 AND state IN ('pending', 'in_progress')";
        conn.execute(of_attempts, args()).await?;
    }
    Ok(())
}
