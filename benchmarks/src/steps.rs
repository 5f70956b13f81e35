//! The work as a step of each candidate: one more level of `async fn` around it.
//!
//! A step of ours records eight values of its own: task id, task name, step id, step name, attempt number, retry limit,
//! duration and queue time. The peers are given eight values, too.

use tasker_telemetry::prelude::*;

use crate::work::{Refused, work};

/// Without anything: what the others are compared with.
///
/// # Errors
/// As [`work`].
pub async fn plain(id: u64, name: &str) -> Result<u64, Refused> {
    work(id, name).await
}

/// `#[step]`.
///
/// # Errors
/// As [`work`].
#[step]
pub async fn step(id: u64, name: &str) -> Result<u64, Refused> {
    work(id, name).await
}

/// `#[step]` with eight values of the user's own.
///
/// # Errors
/// As [`work`].
#[step(fields(id, name, attempt = 1_u64, limit = 3_u64, amount = 12.5, currency = "EUR", retry = false, queue = 0.25))]
pub async fn step_with_fields(id: u64, name: &str) -> Result<u64, Refused> {
    work(id, name).await
}

/// `#[tracing::instrument]`.
///
/// # Errors
/// As [`work`].
#[tracing::instrument(
    skip_all,
    fields(id, name, attempt = 1_u64, limit = 3_u64, amount = 12.5, currency = "EUR", retry = false, queue = 0.25)
)]
pub async fn instrument(id: u64, name: &str) -> Result<u64, Refused> {
    work(id, name).await
}

/// `#[fastrace::trace]`.
///
/// # Errors
/// As [`work`].
#[fastrace::trace(properties = {
    "id": "{id}", "name": "{name}", "attempt": "1", "limit": "3", "amount": "12.5", "currency": "EUR", "retry": "false",
    "queue": "0.25"
})]
pub async fn trace(id: u64, name: &str) -> Result<u64, Refused> {
    work(id, name).await
}

/// `count` calls one after the other, as one expression for all candidates.
///
/// Each future is polled through a pointer that the compiler cannot see through, as an executor polls it: otherwise it
/// dissolves the smallest candidates into this loop, and what is left of them (1 ns) says nothing of a real program.
macro_rules! calls {
    ($step:path, $count:expr) => {{
        let mut sum = 0_u64;
        for id in 0..$count {
            let step = std::pin::pin!($step(std::hint::black_box(id), "charge"));
            let step: std::pin::Pin<&mut dyn Future<Output = Result<u64, $crate::work::Refused>>> = step;
            sum = sum.wrapping_add(std::hint::black_box(step).await.unwrap_or(0));
        }
        sum
    }};
}
pub(crate) use calls;

/// A task of `count` steps: its own cost is spread over them.
#[task]
pub async fn task(count: u64) -> u64 {
    calls!(step, count)
}

/// The same with [`step_with_fields`].
#[task]
pub async fn task_with_fields(count: u64) -> u64 {
    calls!(step_with_fields, count)
}
