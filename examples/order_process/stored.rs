//! The store: which orders still have to be processed, and which failures earlier runs left.

use std::time::Duration;

use tasker_telemetry::state::State;
use tasker_telemetry::store::{Store, StoreError, StoreOptions, StoredError};
use tasker_telemetry::{BuildError, ResumedTask, Telemetry};

use crate::domain::Order;
use crate::paint::{Paint, cell};
use crate::summary::short;

/// A process that has given no sign for so long is dead, and its orders go on elsewhere. Short: whoever killed the program and
/// starts it again does not want to wait.
const LEASE: Duration = Duration::from_secs(2);

/// All that the shop remembers.
const EVER: Duration = Duration::from_hours(24 * 365 * 10);

pub(crate) fn options() -> StoreOptions {
    StoreOptions::new().lease(LEASE)
}

/// What the store says of an order.
pub(crate) enum Standing {
    /// It was never begun; or there is no store.
    New,
    /// An earlier run left it unfinished, and it is ours now.
    Unfinished(Box<ResumedTask>),
    /// It has ended, in that state.
    Ended(State),
    /// Another process that lives has it.
    Elsewhere,
}

/// Finds out, and takes the order if an earlier run left it.
pub(crate) async fn standing(store: &Store, order: &Order) -> Result<Standing, StoreError> {
    for patience in (0..=20).rev() {
        match store.resume(&order.id).await {
            Ok(task) => return Ok(Standing::Unfinished(Box::new(task))),
            Err(StoreError::NotFound { .. }) => return Ok(Standing::New),
            Err(StoreError::Illegal(illegal)) => return Ok(Standing::Ended(illegal.from)),
            // Dead or alive: after its lease it is known.
            Err(StoreError::Taken { .. }) if patience > 0 => tokio::time::sleep(LEASE / 10).await,
            Err(StoreError::Taken { .. }) => return Ok(Standing::Elsewhere),
            Err(error) => return Err(error),
        }
    }
    Ok(Standing::Elsewhere)
}

/// How the orders of the file stood when this run began.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) completed: usize,
    pub(crate) failed: usize,
    pub(crate) resumed: usize,
    pub(crate) elsewhere: usize,
}

impl Counts {
    pub(crate) fn line(&self, url: &str) -> String {
        let Self { completed, failed, resumed, elsewhere } = self;
        let mut parts = vec![format!("{completed} orders were completed before, {failed} had failed: not run again")];
        if *resumed > 0 {
            parts.push(format!("{resumed} that an earlier run left unfinished were resumed"));
        }
        if *elsewhere > 0 {
            parts.push(format!("{elsewhere} belong to a process that still runs"));
        }
        format!("Store {}: {}. See --errors.", without_password(url), parts.join("; "))
    }
}

/// An address as it may be shown.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        _ => url.to_owned(),
    }
}

/// The stored failures, as a table or as JSON.
pub(crate) async fn errors(url: &str, json: bool, paint: Paint) -> Result<String, String> {
    let telemetry = Telemetry::builder().auto_subscribers(false).store_with(url, options()).build();
    let telemetry = telemetry.map_err(|error: BuildError| error.to_string())?;
    let store = telemetry.store().ok_or("no store")?;
    let found = store.errors(EVER, 10_000).await.map_err(|error| error.to_string())?;
    if json {
        let text = serde_json::to_string_pretty(&found).map_err(|error| error.to_string())?;
        return Ok(text + "\n");
    }
    Ok(table(&found, &without_password(url), paint))
}

fn table(errors: &[StoredError], url: &str, paint: Paint) -> String {
    if errors.is_empty() {
        return format!("{url} holds no failures.\n");
    }
    let head = format!(
        "{}{}{}{}{}message",
        cell("when", 22),
        cell("order", 12),
        cell("in step", 19),
        cell("attempt", 9),
        cell("error", 34)
    );
    let mut lines = vec![paint.bold(head)];
    for error in errors {
        let when = error.occurred_at.to_string();
        let attempt = error.attempt_number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        lines.push(format!(
            "{}{}{}{}{}{}",
            cell(&when[..when.len().min(19)], 22),
            cell(&error.task_id, 12),
            cell(error.step_name.as_deref().unwrap_or("-"), 19),
            cell(&attempt, 9),
            paint.red(cell(short(&error.error_class), 34)),
            error.error_message,
        ));
    }
    let of_tasks = errors.iter().filter(|error| error.step_id.is_none()).count();
    lines.push(format!("{} failed attempts, {of_tasks} failed orders in {url}.", errors.len() - of_tasks));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        assert_eq!(without_password("postgres://shop:secret@db:5432/shop"), "postgres://db:5432/shop");
        assert_eq!(without_password("sqlite://orders.db"), "sqlite://orders.db");
    }
}
