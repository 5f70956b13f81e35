//! The thin generic futures around a task's and a step's body.
//!
//! Only what depends on the body's type stands here; each line is compiled once for every annotated function.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::step_run::{Next, StepRun};
use super::task_run::TaskRun;
use super::{TaskIdArg, advice, kind};
use crate::catalog::{StepSpec, TaskSpec};
use crate::classify::Classify;
use crate::value::Fields;

pin_project! {
    /// A step with one attempt.
    #[must_use = "futures do nothing unless polled"]
    pub struct RunStep<F: Future> {
        run: StepRun,
        classify: Classify<F::Output>,
        #[pin]
        body: Option<F>,
    }

    impl<F: Future> PinnedDrop for RunStep<F> {
        fn drop(this: Pin<&mut Self>) {
            // The body's own values are dropped inside the step; `run`, dropped after this, then says that it was cancelled.
            let mut this = this.project();
            if this.run.is_running() {
                let _entered = this.run.enter(true);
                this.body.set(None);
            }
        }
    }
}

/// Runs the body as a step. What `#[step]` expands to.
pub const fn run_step<F: Future>(spec: &'static StepSpec, fields: Fields, body: F, classify: Classify<F::Output>) -> RunStep<F> {
    RunStep { run: StepRun::new(spec, fields), classify, body: Some(body) }
}

impl<F: Future> Future for RunStep<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else { return Poll::Pending };
        if !this.run.is_running() {
            if this.run.is_off() {
                return body.poll(cx);
            }
            ready!(this.run.poll_start(cx));
        }
        let output = ready!(poll_in_step(this.run, body, cx));
        if !this.run.is_watched() {
            this.run.finish_silently();
        } else if let Some(error) = (this.classify.failure)(&output) {
            this.run.failed(&error, advice(*this.classify, &output), kind(*this.classify, &output));
        } else {
            this.run.completed();
        }
        Poll::Ready(output)
    }
}

/// Polls the body inside its step. A panic is told and goes on.
fn poll_in_step<F: Future>(run: &mut StepRun, body: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    let polled = {
        let _entered = run.enter(true);
        catch_unwind(AssertUnwindSafe(|| body.poll(cx)))
    };
    polled.unwrap_or_else(|panic| {
        run.panicked(&*panic);
        resume_unwind(panic)
    })
}

/// A step with several attempts: what stays from one to the next.
pub struct StepRetry {
    run: StepRun,
}

impl StepRetry {
    /// A step that has not begun.
    #[must_use]
    pub const fn new(spec: &'static StepSpec, fields: Fields) -> Self {
        Self { run: StepRun::new(spec, fields) }
    }

    /// Whether no attempt follows the next one: it may have the arguments themselves.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.run.is_last()
    }

    /// One attempt, and the wait after it when another follows: `None` then, else what the body returned.
    pub const fn attempt<F: Future>(&mut self, body: F, classify: Classify<F::Output>) -> Attempt<'_, F> {
        Attempt { run: &mut self.run, classify, body: Some(body) }
    }

    /// The same for a plain function.
    pub fn attempt_sync<R>(&mut self, body: impl FnOnce() -> R, classify: Classify<R>) -> Option<R> {
        super::sync::attempt(&mut self.run, body, classify)
    }
}

impl fmt::Debug for StepRetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepRetry").finish_non_exhaustive()
    }
}

pin_project! {
    /// One attempt of a step with several.
    #[must_use = "futures do nothing unless polled"]
    pub struct Attempt<'a, F: Future> {
        run: &'a mut StepRun,
        classify: Classify<F::Output>,
        #[pin]
        body: Option<F>,
    }

    impl<F: Future> PinnedDrop for Attempt<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.run.is_running() {
                let _entered = this.run.enter(true);
                this.body.set(None);
            }
        }
    }
}

impl<F: Future> Future for Attempt<'_, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let mut this = self.project();
        if let Some(body) = this.body.as_mut().as_pin_mut() {
            let output = if this.run.is_running() {
                ready!(poll_in_step(this.run, body, cx))
            } else if this.run.is_off() {
                ready!(body.poll(cx))
            } else {
                ready!(this.run.poll_start(cx));
                ready!(poll_in_step(this.run, body, cx))
            };
            let Some(error) = (this.classify.failure)(&output) else {
                this.run.completed();
                return Poll::Ready(Some(output));
            };
            match this.run.failed(&error, advice(*this.classify, &output), kind(*this.classify, &output)) {
                Next::End => {
                    drop(error);
                    return Poll::Ready(Some(output));
                }
                Next::Again(delay) => this.run.begin_wait(delay),
            }
            drop(error);
            // What the attempt held is given back before the wait, not after it.
            drop(output);
            this.body.set(None);
        }
        ready!(this.run.poll_wait(cx));
        Poll::Ready(None)
    }
}

pin_project! {
    /// A task.
    #[must_use = "futures do nothing unless polled"]
    pub struct RunTask<F: Future> {
        run: TaskRun,
        classify: Classify<F::Output>,
        #[pin]
        body: Option<F>,
    }

    impl<F: Future> PinnedDrop for RunTask<F> {
        fn drop(this: Pin<&mut Self>) {
            // First the steps inside, which say that they were cancelled; then the task.
            let mut this = this.project();
            if this.run.is_running() {
                let _entered = this.run.enter(true);
                this.body.set(None);
            }
        }
    }
}

/// Runs the body as a task. What `#[task]` expands to.
pub const fn run_task<F: Future>(
    spec: &'static TaskSpec,
    id: TaskIdArg,
    fields: Fields,
    body: F,
    classify: Classify<F::Output>,
) -> RunTask<F> {
    RunTask { run: TaskRun::new(spec, id, fields), classify, body: Some(body) }
}

impl<F: Future> Future for RunTask<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else { return Poll::Pending };
        if this.run.is_off() {
            return body.poll(cx);
        }
        let polled = {
            let _entered = this.run.enter(true);
            catch_unwind(AssertUnwindSafe(|| body.poll(cx)))
        };
        let output = match polled {
            Ok(polled) => ready!(polled),
            Err(panic) => {
                this.run.panicked(&*panic);
                resume_unwind(panic)
            }
        };
        if !this.run.is_watched() {
            this.run.finish_silently();
        } else if let Some(error) = (this.classify.failure)(&output) {
            this.run.failed(&error, kind(*this.classify, &output));
        } else {
            this.run.completed();
        }
        Poll::Ready(output)
    }
}

impl<F: Future> fmt::Debug for RunStep<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunStep").finish_non_exhaustive()
    }
}

impl<F: Future> fmt::Debug for RunTask<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunTask").finish_non_exhaustive()
    }
}

impl<F: Future> fmt::Debug for Attempt<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").finish_non_exhaustive()
    }
}
