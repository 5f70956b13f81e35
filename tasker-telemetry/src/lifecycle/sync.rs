//! Tasks and steps that are plain functions.

use std::panic::resume_unwind;

use super::TaskIdArg;
use super::dying::Dying;
use super::future::{end_run, fail};
use super::late::Late;
use super::step_run::{Body, Next, StepRun, Went, call_short};
use super::task_run::TaskRun;
use crate::catalog::{StepSpec, TaskSpec};
use crate::classify::Classify;
use crate::telemetry;
use crate::value::Fields;

/// Runs the body as a step. What `#[step]` expands to on a plain function.
pub fn run_step_sync<R>(spec: &'static StepSpec, fields: Fields, body: impl FnOnce() -> R, classify: Classify<R>) -> R {
    if !telemetry::is_on() {
        return body();
    }
    let mut call = OneCall { body: Some(body), classify: &classify, output: None };
    if fields.is_none() {
        call_short(spec, &mut call);
    }
    let body = match call {
        OneCall { output: Some(output), .. } => return output,
        OneCall { body: Some(body), .. } => body,
        OneCall { .. } => unreachable!("a body that was called has returned, or this is not reached"),
    };
    let mut run = StepRun::new(spec, fields);
    if !run.begin() {
        return body();
    }
    let output = call_in_step(&mut run, body);
    end_run(&mut run, classify, &output);
    output
}

/// The call of a body.
struct OneCall<'a, R, F> {
    body: Option<F>,
    classify: &'a Classify<R>,
    output: Option<R>,
}

impl<R, F: FnOnce() -> R> Body for OneCall<'_, R, F> {
    fn run(&mut self) -> Went {
        let Some(body) = self.body.take() else { return Went::Well };
        let output = self.output.insert(body());
        if self.classify.failure(output).is_some() { Went::Badly } else { Went::Well }
    }

    fn run_quietly(&mut self) -> bool {
        self.output = self.body.take().map(|body| body());
        true
    }

    fn fail(&mut self, run: &mut StepRun) {
        if let Some(output) = &self.output {
            fail(run, self.classify, output);
        }
    }

    fn rest(&mut self) -> Option<(&mut Late, &mut Dying)> {
        None
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
