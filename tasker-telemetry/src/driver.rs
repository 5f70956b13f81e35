//! The seam for engines: how a driver tells what an engine does, through the same life cycle as `#[task]` and `#[step]`.
//!
//! A driver is the code between an engine (a queue, a scheduler, a workflow server) and the steps of a program. It says four
//! things and nothing else: a task [begins](begin); an [attempt](resume) of it runs here; the task [ends](ResumedTask::complete);
//! and, by [`publish`](crate::publish), what the engine itself did (`event::workflow::*`, `event::observability::*`). Everything
//! else follows: one event a transition, one span an attempt, the metrics, the store.
//!
//! **Who retries.** The engine does. A `#[step]` that runs in an attempt of an engine takes its number and limit from there,
//! runs once, and tells `step.retry_requested` or `step.failed` as it would without an engine. What follows is the [`Verdict`],
//! and the engine has to keep to it: run the attempt again after that wait, or give up.
//!
//! **Identity.** The ids of steps and of their spans are made of the task and of the engine's name for the unit of work
//! ([`EngineAttempt::new`]), so that all attempts of a step agree, in whichever process they run, and what was told twice because a
//! process died can be told apart by task, step and attempt.
//!
//! ```
//! use std::time::Duration;
//! use tasker_telemetry::driver::{self, EngineAttempt, NewTask, Verdict};
//! use tasker_telemetry::prelude::*;
//! use tasker_telemetry::trace::Carrier;
//!
//! #[step(retry_limit = 3)]
//! async fn charge(order: u64) -> Result<u64, String> {
//!     let step = StepScope::current().expect("inside a step");
//!     if step.attempt_number() < 2 { Err("no answer".to_owned()) } else { Ok(order) }
//! }
//!
//! // A queue is the smallest engine.
//! struct Job { carrier: Carrier, attempts: u32, order: u64 }
//!
//! # let run = tasker_telemetry::testing::block_on(tasker_telemetry::testing::record(async {
//! // Where the work comes from:
//! let task = driver::begin(NewTask::new("order_process").id("7"));
//! let mut queue = vec![Job { carrier: task.hand_over(), attempts: 0, order: 7 }];
//!
//! // In a worker:
//! while let Some(mut job) = queue.pop() {
//!     job.attempts += 1;
//!     let task = driver::resume(job.carrier.clone(), EngineAttempt::new("charge", job.attempts));
//!     if job.attempts == 1 {
//!         task.start();
//!     }
//!     match (task.scope(charge(job.order)).await, task.verdict()) {
//!         (Ok(_), _) => task.complete(),
//!         (Err(_), Verdict::Retry(wait)) => {
//!             assert_eq!(wait, Duration::ZERO); // an engine that waits would do so now
//!             queue.push(job);
//!         }
//!         (Err(error), _) => task.fail(&*Box::<dyn std::error::Error>::from(error)),
//!     }
//! }
//! # }));
//! # assert_eq!(run.select("step.*").names(), [
//! #     "step.execution_requested", "step.started", "step.failed", "step.retry_requested",
//! #     "step.execution_requested", "step.started", "step.completed",
//! # ]);
//! # assert_eq!(run.select("task.*").names(), ["task.initialize_requested", "task.start_requested", "task.completed"]);
//! ```
//!
//! [`docs/drivers.md`](https://github.com/tasker-systems/tasker-telemetry/blob/main/docs/drivers.md) goes through a whole driver.

pub use crate::lifecycle::{EngineAttempt, NewTask, ResumedTask, Verdict, begin, resume};
