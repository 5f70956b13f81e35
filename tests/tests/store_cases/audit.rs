//! What must hold in the database whenever one looks: nothing is half. Asked with SQL of the test's own.

use integration_tests::store::Reader;

/// All events with a time that puts them in their order: the clocks of two threads differ by a little, but within a part of a task's
/// life numbers are the order, and parts follow each other.
macro_rules! events {
    () => {
        "(SELECT *, MAX(occurred_at) OVER (PARTITION BY task_id, part ORDER BY number) AS at FROM tasker_transitions) y"
    };
}

/// All changes of state, each with the state that the one before it left.
macro_rules! changes {
    () => {
        concat!(
            "(SELECT task_id, from_state, \
             LAG(to_state) OVER (PARTITION BY task_id, step_id ORDER BY at, part, number) AS before FROM ",
            events!(),
            " WHERE to_state IS NOT NULL) x"
        )
    };
}

/// The changes of state, counted from the last.
macro_rules! last {
    ($of:literal, $only:literal) => {
        concat!(
            "(SELECT task_id, step_id, attempt, to_state, ROW_NUMBER() OVER (PARTITION BY ",
            $of,
            " ORDER BY at DESC, part DESC, number DESC) AS back FROM ",
            events!(),
            " WHERE to_state IS NOT NULL AND ",
            $only,
            ") x"
        )
    };
}

/// Each counts what must not be there.
const WRONG: &[(&str, &str)] = &[
    (
        "a failed step lacks its error",
        "SELECT count(*) FROM tasker_steps s WHERE s.state = 'error' AND NOT EXISTS \
         (SELECT 1 FROM tasker_errors e WHERE e.task_id = s.task_id AND e.step_id = s.step_id AND e.attempt = s.attempts)",
    ),
    (
        "a failed attempt lacks its error",
        "SELECT count(*) FROM tasker_attempts a WHERE a.state = 'error' AND NOT EXISTS \
         (SELECT 1 FROM tasker_errors e WHERE e.task_id = a.task_id AND e.step_id = a.step_id AND e.attempt = a.attempt)",
    ),
    (
        "a failed task lacks its error",
        "SELECT count(*) FROM tasker_tasks t WHERE t.state = 'error' AND NOT EXISTS \
         (SELECT 1 FROM tasker_errors e WHERE e.task_id = t.task_id AND e.step_id IS NULL)",
    ),
    (
        "an error lacks its failed attempt",
        "SELECT count(*) FROM tasker_errors e WHERE e.step_id IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM tasker_attempts a WHERE a.step_id = e.step_id AND a.attempt = e.attempt AND a.state = 'error' \
         AND a.ended_at IS NOT NULL)",
    ),
    (
        "an error lacks its failed task",
        "SELECT count(*) FROM tasker_errors e WHERE e.step_id IS NULL AND NOT EXISTS \
         (SELECT 1 FROM tasker_tasks t WHERE t.task_id = e.task_id AND t.state = 'error' AND t.ended_at IS NOT NULL)",
    ),
    (
        "an error lacks its event",
        "SELECT count(*) FROM tasker_errors e WHERE NOT EXISTS (SELECT 1 FROM tasker_transitions x \
         WHERE x.event_id = e.event_id AND x.event IN ('step.failed', 'task.failed') AND x.to_state = 'error')",
    ),
    (
        "the counts of errors are not those of the errors",
        "WITH counted AS (SELECT span, begins_at, error_class, error_type, attempts, tasks FROM tasker_error_counts), \
         there AS (SELECT span, occurred_at / span * span AS begins_at, error_class, error_type, COUNT(step_id) AS attempts, \
         COUNT(*) - COUNT(step_id) AS tasks \
         FROM tasker_errors, (SELECT 3600000000000 AS span UNION ALL SELECT 86400000000000) s GROUP BY 1, 2, 3, 4) \
         SELECT (SELECT count(*) FROM (SELECT * FROM counted EXCEPT SELECT * FROM there) x) \
         + (SELECT count(*) FROM (SELECT * FROM there EXCEPT SELECT * FROM counted) y)",
    ),
    (
        "a failure's event lacks its error",
        "SELECT count(*) FROM tasker_transitions x WHERE x.event IN ('step.failed', 'task.failed') AND NOT EXISTS \
         (SELECT 1 FROM tasker_errors e WHERE e.event_id = x.event_id)",
    ),
    (
        "a task is not in the state of its last event",
        concat!(
            "SELECT count(*) FROM tasker_tasks t LEFT JOIN ",
            last!("task_id", "step_id IS NULL"),
            " ON x.task_id = t.task_id AND x.back = 1 WHERE t.state IS DISTINCT FROM x.to_state"
        ),
    ),
    (
        "a step is not in the state of its last event",
        concat!(
            "SELECT count(*) FROM tasker_steps s LEFT JOIN ",
            last!("step_id", "step_id IS NOT NULL"),
            " ON x.step_id = s.step_id AND x.back = 1 WHERE s.state IS DISTINCT FROM x.to_state"
        ),
    ),
    (
        "an attempt is not in the state of its last event",
        concat!(
            "SELECT count(*) FROM tasker_attempts a LEFT JOIN ",
            last!("step_id, attempt", "step_id IS NOT NULL AND event <> 'step.retry_requested'"),
            " ON x.step_id = a.step_id AND x.attempt = a.attempt AND x.back = 1 \
             WHERE a.state IS DISTINCT FROM COALESCE(x.to_state, 'pending')"
        ),
    ),
    (
        "an event begins in another state than the one before left",
        concat!("SELECT count(*) FROM ", changes!(), " WHERE from_state IS DISTINCT FROM before"),
    ),
    (
        "an event lacks its task",
        "SELECT count(*) FROM tasker_transitions x WHERE NOT EXISTS \
         (SELECT 1 FROM tasker_tasks t WHERE t.task_id = x.task_id AND t.carrier IS NOT NULL AND t.context IS NOT NULL)",
    ),
    (
        "an event lacks its step",
        "SELECT count(*) FROM tasker_transitions x WHERE x.step_id IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM tasker_steps s WHERE s.step_id = x.step_id AND s.task_id = x.task_id AND s.attempts >= x.attempt)",
    ),
    (
        "an event lacks its attempt",
        "SELECT count(*) FROM tasker_transitions x WHERE x.step_id IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM tasker_attempts a WHERE a.step_id = x.step_id AND a.attempt = x.attempt)",
    ),
    (
        "a task's state and times disagree",
        "SELECT count(*) FROM tasker_tasks WHERE (ended_at IS NULL) <> (state IN ('pending', 'in_progress')) \
         OR (started_at IS NULL) <> (state = 'pending' AND retries = 0)",
    ),
    (
        "a step's state and times disagree",
        "SELECT count(*) FROM tasker_steps WHERE (ended_at IS NULL) <> (state IN ('pending', 'in_progress')) \
         OR (state IN ('in_progress', 'complete', 'error') AND started_at IS NULL)",
    ),
    (
        "an attempt's state and times disagree",
        "SELECT count(*) FROM tasker_attempts WHERE (ended_at IS NULL) <> (state IN ('pending', 'in_progress')) \
         OR (state IN ('in_progress', 'complete', 'error') AND started_at IS NULL) \
         OR (state IN ('complete', 'error') AND duration_nanos IS NULL)",
    ),
];

/// What is wrong; empty if nothing is.
pub(super) async fn audit(reader: &Reader) -> Vec<String> {
    let mut found = Vec::new();
    for (what, sql) in WRONG {
        match reader.number(sql, &[]).await {
            Ok(0) => {}
            Ok(count) => found.push(format!("{what}: {count}")),
            Err(error) => found.push(format!("{what}: {error}")),
        }
    }
    if !found.is_empty() {
        // Whoever has to find out why wants to see the first of them.
        found.extend(reader.texts(OUT_OF_LINE).await.unwrap_or_default());
    }
    found
}

/// The events of the first task that has one that begins in another state than the one before left.
const OUT_OF_LINE: &str = concat!(
    "SELECT task_id || ' ' || COALESCE(step_id, '-') || ' ' || event || ' ' || COALESCE(from_state, '-') \
     || '>' || COALESCE(to_state, '-') || ' ' || occurred_at || ' ' || part || ' ' || number FROM tasker_transitions \
     WHERE task_id = (SELECT MIN(task_id) FROM ",
    changes!(),
    " WHERE from_state IS DISTINCT FROM before) ORDER BY part, number"
);

/// How each task ended, with the steps of its last run: the same whether it was disturbed or not.
pub(super) async fn outcomes(reader: &Reader) -> Vec<String> {
    let tasks = "SELECT t.task_id || ' ' || t.state || ' ' || COALESCE((SELECT e.error_class || ' ' || e.error_message \
                 FROM tasker_errors e WHERE e.task_id = t.task_id AND e.step_id IS NULL), '-') FROM tasker_tasks t";
    let steps = "SELECT s.task_id || ' ' || s.step_name || ' ' || s.state || ' ' || s.attempts || ' ' || \
                 (SELECT count(*) FROM tasker_errors e WHERE e.task_id = s.task_id AND e.step_id = s.step_id) \
                 FROM tasker_steps s WHERE s.created_at >= (SELECT MAX(x.occurred_at) - 1000000 FROM tasker_transitions x \
                 WHERE x.task_id = s.task_id AND x.event = 'task.start_requested')";
    let mut found = reader.texts(tasks).await.expect("the database answers");
    found.extend(reader.texts(steps).await.expect("the database answers"));
    found.sort_unstable();
    found
}
