//! The statements that write rows: what is inserted, and what happens where a row is there already.

use super::db::Dialect;

const INT: &str = "bigint";
const TEXT: &str = "text";

/// A column and its type.
type Column = (&'static str, &'static str);

const TASKS: &[Column] = &[
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
];

const STEPS: &[Column] = &[
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
];

const ATTEMPTS: &[Column] = &[
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
];

const ERRORS: &[Column] = &[
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
];

const TRANSITIONS: &[Column] = &[
    ("event_id", TEXT),
    ("task_id", TEXT),
    ("step_id", TEXT),
    ("attempt", INT),
    ("event", TEXT),
    ("from_state", TEXT),
    ("to_state", TEXT),
    ("occurred_at", INT),
    ("number", INT),
    ("part", TEXT),
    ("worker_id", TEXT),
    ("reason", TEXT),
];

const ONCE: &str = "ON CONFLICT (event_id) DO NOTHING";

pub(super) fn tasks(dialect: Dialect) -> String {
    // A task of that id was begun again: what stands there is of the run before.
    let fresh = "excluded.run_key <> t.run_key";
    // What an operator decided stands, whatever a run that goes on says.
    let decided = "t.state IN ('cancelled', 'resolved_manually')";
    let newest = |column| {
        format!("{column} = CASE WHEN {fresh} THEN excluded.{column} ELSE COALESCE(excluded.{column}, t.{column}) END")
    };
    let first = |column| {
        format!("{column} = CASE WHEN {fresh} THEN excluded.{column} ELSE COALESCE(t.{column}, excluded.{column}) END")
    };
    let end = |column| {
        format!(
            "{column} = CASE WHEN {fresh} THEN excluded.{column} WHEN {decided} THEN t.{column} \
             ELSE COALESCE(excluded.{column}, t.{column}) END"
        )
    };
    let updates = [
        // No event that is late takes an end back.
        format!(
            "state = CASE WHEN {fresh} THEN excluded.state WHEN {decided} THEN t.state \
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
        first("started_at"),
        end("ended_at"),
        end("reason"),
    ];
    insert(dialect, "tasker_tasks", TASKS, &update("task_id", &updates))
}

pub(super) fn steps(dialect: Dialect) -> String {
    let closed = "t.state IN ('complete', 'cancelled', 'resolved_manually')";
    let kept = |column| format!("{column} = CASE WHEN {closed} THEN t.{column} ELSE excluded.{column} END");
    let updates = [
        kept("state"),
        kept("ended_at"),
        kept("retry_at"),
        kept("reason"),
        "attempts = CASE WHEN excluded.attempts > t.attempts THEN excluded.attempts ELSE t.attempts END".to_owned(),
        "created_at = CASE WHEN excluded.created_at < t.created_at THEN excluded.created_at ELSE t.created_at END"
            .to_owned(),
        "inputs = COALESCE(t.inputs, excluded.inputs)".to_owned(),
        "started_at = COALESCE(t.started_at, excluded.started_at)".to_owned(),
    ];
    insert(dialect, "tasker_steps", STEPS, &update("step_id", &updates))
}

pub(super) fn attempts(dialect: Dialect) -> String {
    let over = "(t.ended_at IS NOT NULL AND excluded.ended_at IS NULL) OR t.state = 'cancelled'";
    let updates = [
        format!("state = CASE WHEN {over} THEN t.state ELSE excluded.state END"),
        "started_at = COALESCE(excluded.started_at, t.started_at)".to_owned(),
        "ended_at = COALESCE(t.ended_at, excluded.ended_at)".to_owned(),
        "queue_nanos = COALESCE(excluded.queue_nanos, t.queue_nanos)".to_owned(),
        "duration_nanos = COALESCE(excluded.duration_nanos, t.duration_nanos)".to_owned(),
    ];
    insert(dialect, "tasker_attempts", ATTEMPTS, &update("step_id, attempt", &updates))
}

pub(super) fn errors(dialect: Dialect) -> String {
    insert(dialect, "tasker_errors", ERRORS, ONCE)
}

pub(super) fn transitions(dialect: Dialect) -> String {
    insert(dialect, "tasker_transitions", TRANSITIONS, ONCE)
}

fn update(key: &str, columns: &[String]) -> String {
    format!("ON CONFLICT ({key}) DO UPDATE SET {}", columns.join(", "))
}

/// Inserts the rows that one JSON text holds; `conflict` says what happens to those that are there.
fn insert(dialect: Dialect, table: &str, columns: &[Column], conflict: &str) -> String {
    let list = |show: fn(&Column) -> String| columns.iter().map(show).collect::<Vec<_>>().join(", ");
    let names = list(|(name, _)| (*name).to_owned());
    let from = match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            let values = list(|(name, _)| format!("value ->> '$.{name}'"));
            // The condition tells the parser that what follows belongs to the insertion.
            format!("SELECT {values} FROM json_each($1) WHERE true")
        }
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            let typed = list(|(name, ty)| format!("{name} {ty}"));
            format!("SELECT {names} FROM json_to_recordset($1::json) AS r({typed})")
        }
    };
    format!("INSERT INTO {table} AS t ({names}) {from} {conflict}")
}
