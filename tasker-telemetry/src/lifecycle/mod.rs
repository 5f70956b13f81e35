//! The life cycle: the only place that decides "this happened".
//!
//! `#[step]` and `#[task]` call [`run_step`], [`run_task`] and their kin; an engine's driver calls [`begin`] and [`resume`]. Each goes
//! through the state machine ([`crate::state`]) and hands exactly one event per transition to the publisher. Recorders that
//! must not depend on events (metrics) dock here, beside the calls of `TaskCore::emit`.
//!
//! - `task_core.rs`: what a running task is, shared by its steps
//! - `task_run.rs`, `step_run.rs`: the life of one task, of one step; not generic, so compiled once
//! - `resumed.rs`: a task of another process; `operated.rs`: what is done to a task from outside
//! - `driven.rs`: an attempt that an engine counts; `engine.rs`: a task that one runs
//! - `attempt.rs`: an attempt that an engine asks a handler for
//! - `future.rs`: the thin generic futures around them; `sync.rs`: the same for plain functions
//! - `late.rs`: a step before its first poll; `dying.rs`: dropping a body that has not ended
//! - `inside.rs`: a body runs in its scope, and is seen there by other libraries
//! - `wait.rs`: waiting for the next attempt without assuming a runtime

mod attempt;
mod driven;
mod dying;
mod engine;
mod future;
mod inside;
mod late;
#[cfg(feature = "_store")]
mod operated;
mod resumed;
mod step_run;
mod sync;
mod task_core;
mod task_run;
mod wait;

pub use self::attempt::StepAttempt;
pub use self::driven::{EngineAttempt, Verdict};
pub use self::engine::{NewTask, begin, resume};
pub use self::future::{StepRetry, run_step, run_step_with, run_task};
#[cfg(feature = "_store")]
pub(crate) use self::operated::{Operated, Told};
pub use self::resumed::ResumedTask;
pub use self::sync::{run_step_sync, run_task_sync};
pub(crate) use self::task_core::{Counts, Pace, TaskCore};

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::telemetry;
use crate::value::{Fields, Value};

/// The ids of a task as `#[task(id = .., correlation_id = ..)]` gives them; `None` for fresh ones.
#[doc(hidden)]
pub type TaskIdArg = Option<GivenIds>;

/// The ids that a task was given.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct GivenIds {
    pub(crate) id: Option<String>,
    pub(crate) correlation_id: Option<Box<str>>,
}

/// Evaluates the `fields(..)` of a step, if anybody listens to the task around it. They are read for us alone: a panic in one
/// (or in the `Display` of a value) costs the fields, not the host.
#[doc(hidden)]
pub fn step_fields<const N: usize>(values: impl FnOnce() -> [Value; N]) -> Fields {
    if telemetry::is_listened_to() { read_fields(values) } else { None }
}

/// Evaluates those of a task, if anybody listens at all: a task may be traced where the one around it is not.
#[doc(hidden)]
pub fn task_fields<const N: usize>(values: impl FnOnce() -> [Value; N]) -> Fields {
    let listened_to = telemetry::current().is_some_and(|core| !core.publisher().is_silent());
    if listened_to { read_fields(values) } else { None }
}

fn read_fields<const N: usize>(values: impl FnOnce() -> [Value; N]) -> Fields {
    let values = catch_unwind(AssertUnwindSafe(values)).ok()?;
    Some(Box::new(values))
}

/// Evaluates the `id = ..`, if telemetry is on. After a panic in it the task gets an id of ours.
#[doc(hidden)]
pub fn task_id(id: impl FnOnce() -> String) -> TaskIdArg {
    if !telemetry::is_on() {
        return None;
    }
    let id = catch_unwind(AssertUnwindSafe(id)).ok()?;
    Some(GivenIds { id: Some(id), correlation_id: None })
}

/// Evaluates the `correlation_id = ..`, likewise.
#[doc(hidden)]
pub fn correlated(ids: TaskIdArg, text: impl FnOnce() -> String) -> TaskIdArg {
    if !telemetry::is_on() {
        return ids;
    }
    match catch_unwind(AssertUnwindSafe(text)) {
        Ok(text) => Some(GivenIds { correlation_id: Some(text.into()), ..ids.unwrap_or_default() }),
        Err(_) => ids,
    }
}

/// The text of an `id = ..` expression.
#[doc(hidden)]
pub fn display(id: &(impl std::fmt::Display + ?Sized)) -> String {
    id.to_string()
}
