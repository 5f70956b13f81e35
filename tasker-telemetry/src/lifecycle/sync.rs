//! Tasks and steps that are plain functions.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::TaskIdArg;
use super::future::{end_run, end_short};
use super::step_run::{Next, Short, StepRun};
use super::task_run::TaskRun;
use crate::catalog::{StepSpec, TaskSpec};
use crate::classify::Classify;
use crate::scope::{Begun, Lent};
use crate::telemetry;
use crate::value::Fields;

/// Runs the body as a step. What `#[step]` expands to on a plain function.
pub fn run_step_sync<R>(spec: &'static StepSpec, fields: Fields, body: impl FnOnce() -> R, classify: Classify<R>) -> R {
    if !telemetry::is_on() {
        return body();
    }
    if fields.is_none() {
        let (mut lent, mut short) = (Lent::NOTHING, None);
        match Short::begin(spec, false, &mut lent, &mut short) {
            Begun::Quiet => {
                let output = body(); // if it unwinds, what was lent goes back by a drop
                lent.end();
                return output;
            }
            Begun::Told => return call_short(spec, &mut lent, &mut short, body, classify),
            Begun::No => {}
        }
    }
    let mut run = StepRun::new(spec, fields);
    if !run.begin() {
        return body();
    }
    let output = call_in_step(&mut run, body);
    end_run(&mut run, classify, &output);
    output
}

/// Calls the body of a step that has begun in the scope around it, and was told of.
fn call_short<R>(
    spec: &'static StepSpec,
    lent: &mut Lent,
    short: &mut Option<Short>,
    body: impl FnOnce() -> R,
    classify: Classify<R>,
) -> R {
    let called = catch_unwind(AssertUnwindSafe(body));
    Short::leave(short);
    match called {
        Ok(output) => {
            end_short(spec, lent, short, &classify, &output);
            output
        }
        Err(panic) => {
            StepRun::told(spec, lent, short).panicked(&*panic);
            resume_unwind(panic)
        }
    }
}

/// One attempt of a step with several, and the wait after it: `None` when another follows.
pub(super) fn attempt<R>(run: &mut StepRun, body: impl FnOnce() -> R, classify: Classify<R>) -> Option<R> {
    let is_off = run.is_off() || (run.is_new() && !run.begin());
    let output = if is_off { body() } else { call_in_step(run, body) };
    let next = if let Some(error) = classify.failure(&output) {
        run.failed(&error, classify.advice(&output), classify.kind(&output))
    } else {
        run.completed();
        Next::End
    };
    match next {
        Next::End => Some(output),
        Next::Again(delay) => {
            // What the attempt held is given back before the wait, not after it.
            drop(output);
            if !delay.is_zero() {
                std::thread::sleep(delay);
            }
            None
        }
    }
}

/// Calls the body inside its step. A panic is told and goes on.
fn call_in_step<R>(run: &mut StepRun, body: impl FnOnce() -> R) -> R {
    if !run.is_running() {
        run.start_blocking();
    }
    let called = run.inside(crate::scope::is_polling(), body);
    called.unwrap_or_else(|panic| {
        run.panicked(&*panic);
        resume_unwind(panic)
    })
}

/// Runs the body as a task. What `#[task]` expands to on a plain function.
pub fn run_task_sync<R>(
    spec: &'static TaskSpec,
    id: TaskIdArg,
    fields: Fields,
    body: impl FnOnce() -> R,
    classify: Classify<R>,
) -> R {
    let mut run = TaskRun::new(spec, id, fields);
    if run.is_off() {
        return body();
    }
    let called = run.inside(crate::scope::is_polling(), body);
    let output = called.unwrap_or_else(|panic| {
        run.panicked(&*panic);
        resume_unwind(panic)
    });
    if !run.is_watched() {
        run.finish_silently();
    } else if let Some(error) = classify.failure(&output) {
        run.failed(&error, classify.kind(&output));
    } else {
        run.completed();
    }
    output
}
