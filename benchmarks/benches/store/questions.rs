//! What is asked of a store of 1,000,000 steps (100,000 in a short run): tasks of 5 steps each, one attempt in 20 failed. The rows are made by the
//! database itself, which is much faster than running the steps; the events' rows, of which no question reads any, are left out.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Connection as _, Executor as _};
use tasker_telemetry::prelude::*;
use tasker_telemetry::state::State;
use tasker_telemetry::store::{Store, TaskFilter};

use crate::database::{Databases, Kind};

const STEPS: u32 = 5;
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// All tasks began within that time, evenly.
const SPAN: Duration = Duration::from_hours(30 * 24);

pub(crate) fn measure(quick: bool, databases: &Databases) -> Result<String, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let (tasks, rounds) = (if quick { 20_000 } else { 200_000 }, 101);
    let (steps, failures) = (tasks * STEPS, tasks / 4);
    let mut text = format!(
        "\n{steps} steps of the last 30 days, {failures} failures of steps and as many of tasks, of 20 classes; each asked {rounds} times\n\n\
         | milliseconds | database | median | 95 of 100 | the slowest | rows |\n| --- | --- | ---: | ---: | ---: | ---: |\n"
    );
    for kind in Kind::ALL {
        let url = databases.new_one(kind);
        let asked = runtime.block_on(ask_all(kind, &url, tasks, rounds));
        Databases::delete(&url);
        text += &asked.map_err(|error| format!("{}: {error}", kind.title()))?;
    }
    Ok(text)
}

async fn ask_all(kind: Kind, url: &str, tasks: u32, rounds: usize) -> Result<String, Box<dyn std::error::Error>> {
    let telemetry = Telemetry::builder().auto_subscribers(false).store(url).build()?;
    fill(kind, url, tasks).await?;
    let store = telemetry.store().ok_or("there is a store")?;
    let mut text = String::new();
    let mut report = |what: &str, times: &mut Vec<Duration>, rows: usize| {
        times.sort_unstable();
        let ms = |place: usize| times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
        let (middle, late, last) = (ms(rounds / 2), ms(rounds * 95 / 100), ms(rounds - 1));
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "| {what} | {} | {middle:.2} | {late:.2} | {last:.2} | {rows} |", kind.title());
    };
    macro_rules! asked {
        ($what:literal, $round:ident => $question:expr, $found:ident => $rows:expr) => {{
            let (mut times, mut rows) = (Vec::new(), 0);
            for $round in 0..rounds {
                let begun = Instant::now();
                let $found = $question.await?;
                times.push(begun.elapsed());
                rows = $rows;
            }
            if rows == 0 {
                return Err(concat!($what, " found nothing").into());
            }
            report($what, &mut times, rows);
        }};
    }
    asked!("`task_stats`", round => store.task_stats(&task(round, tasks)), found => usize::from(found.is_some()));
    asked!("`task_history`", round => store.task_history(&task(round, tasks)), found => usize::from(found.is_some()));
    asked!("`errors_by_class`, an hour", _round => store.errors_by_class(HOUR), found => found.len());
    asked!("`errors_by_class`, a day", _round => store.errors_by_class(DAY), found => found.len());
    asked!("`errors_by_class`, 30 days", _round => store.errors_by_class(SPAN), found => found.len());
    asked!("the last 50 `errors`", _round => store.errors(DAY, 50), found => found.len());
    asked!("100 failed `tasks`, older than an hour", _round => failed(&store), found => found.len());
    asked!("the 20 `slowest_steps` of 30 days", _round => store.slowest_steps(SPAN, 20), found => found.len());
    asked!("the 20 `slowest_steps` of an hour", _round => store.slowest_steps(HOUR, 20), found => found.len());
    Ok(text)
}

/// Another task each time.
fn task(round: usize, tasks: u32) -> String {
    format!("task-{}", (round * 7_919) % tasks as usize)
}

async fn failed(
    store: &Store,
) -> Result<Vec<tasker_telemetry::store::StoredTask>, tasker_telemetry::store::StoreError> {
    store.tasks(&TaskFilter::new().state(State::Error).older_than(HOUR)).await
}

/// Makes the rows. Identities of steps are spread as the real ones are, which are random.
async fn fill(kind: Kind, url: &str, tasks: u32) -> Result<(), sqlx::Error> {
    sqlx::any::install_default_drivers();
    let mut conn = AnyConnection::connect(url).await?;
    let spread = |number: &str| match kind {
        Kind::Sqlite => format!("printf('%08x', ({number}) * 2654435761 % 4294967296) || '-' || ({number})"),
        Kind::Postgres => format!("md5(({number})::text)"),
    };
    let numbers = |count: u32| match kind {
        Kind::Sqlite => format!(
            "(WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r LIMIT {count}) SELECT n FROM r) AS g"
        ),
        Kind::Postgres => format!("(SELECT generate_series(0, {count}::bigint - 1) AS n) AS g"),
    };
    let steps = tasks * STEPS;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    let (span, begun) = (SPAN.as_nanos(), now - SPAN.as_nanos());
    let tasks_at = format!("({begun} + n * {})", span / u128::from(tasks));
    let steps_at = format!("({begun} + n * {})", span / u128::from(steps));
    // In 1 of 4 tasks the first step failed.
    let (step_failed, task_failed) = ("n % 20 = 0", "n % 4 = 0");
    let step = spread("n");
    conn.execute(sqlx::AssertSqlSafe(format!(
        "INSERT INTO tasker_tasks (task_id, task_name, state, created_at, started_at, ended_at, updated_at) \
         SELECT 'task-' || n, 'order_process', CASE WHEN {task_failed} THEN 'error' ELSE 'complete' END, \
         {tasks_at}, {tasks_at}, {tasks_at} + 5000000, {tasks_at} + 5000000 FROM {}",
        numbers(tasks)
    )))
    .await?;
    conn.execute(sqlx::AssertSqlSafe(format!(
        "INSERT INTO tasker_steps (step_id, task_id, step_name, state, attempts, retry_limit, created_at, started_at, ended_at) \
         SELECT {step}, 'task-' || (n / {STEPS}), 'step-' || (n % {STEPS}), \
         CASE WHEN {step_failed} THEN 'error' ELSE 'complete' END, 1, 1, {steps_at}, {steps_at}, {steps_at} + 1000000 FROM {}",
        numbers(steps)
    )))
    .await?;
    conn.execute(sqlx::AssertSqlSafe(format!(
        "INSERT INTO tasker_attempts (step_id, attempt, task_id, step_name, state, requested_at, started_at, ended_at, \
         queue_nanos, duration_nanos) \
         SELECT {step}, 1, 'task-' || (n / {STEPS}), 'step-' || (n % {STEPS}), \
         CASE WHEN {step_failed} THEN 'error' ELSE 'complete' END, {steps_at}, {steps_at}, {steps_at} + 1000000, 0, \
         1000000 + n * 7919 % 1000003 FROM {}",
        numbers(steps)
    )))
    .await?;
    // A failure of a step, and one of its task.
    for (end, of_step, only, at, count, task) in [
        ("s", true, step_failed, &steps_at, steps, format!("'task-' || (n / {STEPS})")),
        ("t", false, task_failed, &tasks_at, tasks, "'task-' || n".to_owned()),
    ] {
        let place =
            if of_step { format!("{step}, 'step-' || (n % {STEPS}), 1") } else { "NULL, NULL, NULL".to_owned() };
        let no = if kind == Kind::Sqlite { "0" } else { "false" };
        let sql = format!(
            "INSERT INTO tasker_errors (event_id, task_id, step_id, step_name, attempt, occurred_at, error_class, error_type, \
             error_message, error_chain, backtrace, retryable) \
             SELECT {step} || '{end}', {task}, {place}, {at} + 1000000, 'shop::Error::Number' || (n / 20 % 20), 'other', \
             'what the bank said to this order, in a line of usual length', '[]', '[]', {no} FROM {} WHERE {only}",
            numbers(count)
        );
        conn.execute(sqlx::AssertSqlSafe(sql)).await?;
    }
    // As the server does by itself after a while.
    conn.execute(match kind {
        Kind::Sqlite => "ANALYZE",
        Kind::Postgres => "VACUUM ANALYZE",
    })
    .await?;
    conn.close().await
}
