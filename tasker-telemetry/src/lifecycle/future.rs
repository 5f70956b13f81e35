//! The thin generic futures around a task's and a step's body.
//!
//! Only what depends on the body's type stands here; each line that names `F` is compiled once for every annotated function,
//! each that names `R` once for every type that one returns. So the body goes as `dyn Future` to where the work is done
//! (500 steps compile in half the time), except when telemetry is off.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::TaskIdArg;
use super::attempt::StepAttempt;
use super::dying::Dying;
use super::late::Late;
use super::step_run::{Body, Next, StepRun, Went, poll_short};
use super::task_run::TaskRun;
use crate::catalog::{StepSpec, TaskSpec};
use crate::classify::Classify;
use crate::telemetry;
use crate::value::Fields;

pin_project! {
    /// A step with one attempt.
    ///
    /// The order of the fields is that of their drops. If the body did not come to its end, `run` enters the step's scope, the
    /// body is dropped in it, and `tail` leaves it and says that the step was cancelled.
    #[must_use = "futures do nothing unless polled"]
    pub struct RunStep<F: Future> {
        run: Late,
        #[pin]
        body: F,
        tail: Tail<F::Output>,
    }
}

/// What stands behind the body. One field: each takes a part in the code that is compiled for every annotated function.
struct Tail<R> {
    classify: Classify<R>,
    dying: Dying,
}

/// Runs the body as that step. What `#[step]` expands to.
#[inline(always)]
#[allow(clippy::inline_always, reason = "unoptimised, too: one function less for each annotated one to compile")]
pub const fn run_step<F: Future>(spec: &'static StepSpec, classify: Classify<F::Output>, body: F) -> RunStep<F> {
    RunStep { run: Late::New(spec), body, tail: Tail { classify, dying: Dying::NO } }
}

/// The same with `fields(..)`.
#[inline]
pub fn run_step_with<F: Future>(
    spec: &'static StepSpec,
    fields: Fields,
    classify: Classify<F::Output>,
    body: F,
) -> RunStep<F> {
    let run = if fields.is_none() { Late::New(spec) } else { Late::Step(StepRun::new(spec, fields)) };
    RunStep { run, body, tail: Tail { classify, dying: Dying::NO } }
}

impl<F: Future> Future for RunStep<F> {
    type Output = F::Output;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as above")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        poll_step(this.run, this.tail, this.body, cx)
    }
}

/// Inlined, it knows the body's type again, so that off costs no indirect call.
#[inline]
fn poll_step<R>(
    step: &mut Late,
    tail: &mut Tail<R>,
    body: Pin<&mut dyn Future<Output = R>>,
    cx: &mut Context<'_>,
) -> Poll<R> {
    match *step {
        Late::New(spec) if telemetry::is_on() => poll_first(spec, step, tail, body, cx),
        Late::New(_) => {
            step.make_bare();
            body.poll(cx)
        }
        Late::Bare | Late::Step(_) => poll_rest(step, tail, body, cx),
    }
}

#[inline(never)]
fn poll_first<R>(
    spec: &'static StepSpec,
    step: &mut Late,
    tail: &mut Tail<R>,
    body: Pin<&mut dyn Future<Output = R>>,
    cx: &mut Context<'_>,
) -> Poll<R> {
    step.make_bare();
    let mut first = FirstPoll { step, tail, body, cx, polled: Poll::Pending };
    if poll_short(spec, &mut first) {
        return first.polled;
    }
    first.go_the_long_way(spec)
}

/// A step that has begun, or is to begin as one that may have anything.
#[inline(never)]
fn poll_rest<R>(
    step: &mut Late,
    tail: &mut Tail<R>,
    body: Pin<&mut dyn Future<Output = R>>,
    cx: &mut Context<'_>,
) -> Poll<R> {
    let Late::Step(run) = step else { return body.poll(cx) };
    if run.is_running() {
        return poll_further(run, tail, body, cx);
    }
    if run.is_off() {
        return body.poll(cx);
    }
    tail.dying.follows(run, false); // a panic is an end, too
    let polled = poll_run(run, tail.classify, body, cx);
    if polled.is_pending() {
        tail.dying.follows(run, run.is_running());
    }
    polled
}

/// The first poll of a body.
struct FirstPoll<'a, 'c, R> {
    step: &'a mut Late,
    tail: &'a mut Tail<R>,
    body: Pin<&'a mut dyn Future<Output = R>>,
    cx: &'a mut Context<'c>,
    polled: Poll<R>,
}

impl<R> FirstPoll<'_, '_, R> {
    /// Apart, and with what is known here: what it needs would be kept in registers before, at 12 instructions for each step.
    #[inline(never)]
    fn go_the_long_way(self, spec: &'static StepSpec) -> Poll<R> {
        let Self { step, tail, body, cx, .. } = self;
        *step = Late::Step(StepRun::new(spec, None));
        poll_rest(step, tail, body, cx)
    }

    #[inline]
    fn poll(&mut self) -> &Poll<R> {
        // There is nothing in it yet: forgotten, it is not asked what it holds.
        mem::forget(mem::replace(&mut self.polled, self.body.as_mut().poll(self.cx)));
        &self.polled
    }
}

impl<R> Body for FirstPoll<'_, '_, R> {
    fn run(&mut self) -> Went {
        let Poll::Ready(_) = self.poll() else { return Went::On };
        match &self.polled {
            Poll::Ready(output) if self.tail.classify.failure(output).is_some() => Went::Badly,
            _ => Went::Well,
        }
    }

    fn run_quietly(&mut self) -> bool {
        self.poll().is_ready()
    }

    fn fail(&mut self, run: &mut StepRun) {
        if let Poll::Ready(output) = &self.polled {
            fail(run, &self.tail.classify, output);
        }
    }

    fn rest(&mut self) -> Option<(&mut Late, &mut Dying)> {
        Some((self.step, &mut self.tail.dying))
    }
}

/// The body of a short step has returned what is a failure.
pub(super) fn fail<R>(run: &mut StepRun, classify: &Classify<R>, output: &R) {
    if let Some(error) = classify.failure(output) {
        run.failed(&error, classify.advice(output), classify.kind(output));
    }
}

/// A poll of a body that is under way, and whose drop is followed: the way of all further polls.
fn poll_further<R>(
    run: &mut StepRun,
    tail: &mut Tail<R>,
    body: Pin<&mut dyn Future<Output = R>>,
    cx: &mut Context<'_>,
) -> Poll<R> {
    let polled = run.inside(true, || body.poll(cx));
    if let Ok(Poll::Pending) = polled {
        return Poll::Pending;
    }
    tail.dying.follows(run, false);
    match polled {
        Ok(Poll::Ready(output)) => {
            end_run(run, tail.classify, &output);
            Poll::Ready(output)
        }
        Ok(Poll::Pending) => Poll::Pending,
        Err(panic) => {
            run.panicked(&*panic);
            resume_unwind(panic)
        }
    }
}

/// A poll of a step that goes the long way.
fn poll_run<R>(
    run: &mut StepRun,
    classify: Classify<R>,
    body: Pin<&mut dyn Future<Output = R>>,
    cx: &mut Context<'_>,
) -> Poll<R> {
    if run.is_new() && !run.begin() {
        return body.poll(cx);
    }
    if !run.is_running() {
        if run.is_over() {
            return body.poll(cx); // polled after its end: what follows is the body's own business
        }
        ready!(run.poll_start(cx));
    }
    let output = ready!(poll_in_step(run, body, cx));
    end_run(run, classify, &output);
    Poll::Ready(output)
}

/// The body has returned.
pub(super) fn end_run<R>(run: &mut StepRun, classify: Classify<R>, output: &R) {
    if !run.has_to_tell() {
        run.finish_silently();
    } else if let Some(error) = classify.failure(output) {
        run.failed(&error, classify.advice(output), classify.kind(output));
    } else {
        run.completed();
    }
}

/// Polls the body inside its step. A panic is told and goes on.
fn poll_in_step<R>(run: &mut StepRun, body: Pin<&mut dyn Future<Output = R>>, cx: &mut Context<'_>) -> Poll<R> {
    run.inside(true, || body.poll(cx)).unwrap_or_else(|panic| {
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
    pub fn new(spec: &'static StepSpec, fields: Fields) -> Self {
        Self { run: StepRun::new(spec, fields) }
    }

    /// One attempt of a step, which an engine asked for.
    pub(crate) fn given(spec: &'static StepSpec, fields: Fields, attempt: StepAttempt) -> Self {
        Self { run: StepRun::given(spec, fields, attempt) }
    }

    /// The number of the attempt that is next or under way, from 1.
    pub(crate) const fn attempt_number(&self) -> u32 {
        self.run.attempt_number()
    }

    /// Whether no attempt follows the next one: it may have the arguments themselves.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.run.is_last()
    }

    /// One attempt, and the wait after it when another follows: `None` then, else what the body returned.
    pub const fn attempt<F: Future>(&mut self, body: F, classify: Classify<F::Output>) -> Attempt<'_, F> {
        Attempt { run: &mut self.run, classify, body: Some(body) }
    }

    /// One attempt, without the wait after it: what the body returned, and if another attempt is to follow, after which wait
    /// and as what.
    pub(crate) const fn only_attempt<F: Future>(
        &mut self,
        body: F,
        classify: Classify<F::Output>,
    ) -> OnlyAttempt<'_, F> {
        OnlyAttempt { attempt: self.attempt(body, classify) }
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
                let dropped = this.run.inside(true, || this.body.set(None));
                dropped.unwrap_or_else(|panic| resume_unwind(panic));
            }
        }
    }
}

impl<F: Future> Future for Attempt<'_, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let mut this = self.project();
        if let Some(body) = this.body.as_mut().as_pin_mut() {
            let (output, next) = ready!(poll_attempt(this.run, *this.classify, body, cx));
            match next {
                Next::End => return Poll::Ready(Some(output)),
                Next::Again(delay) => this.run.begin_wait(delay),
            }
            drop(output);
            // What the attempt held is given back before the wait, not after it.
            this.body.set(None);
        }
        ready!(this.run.poll_wait(cx));
        Poll::Ready(None)
    }
}

/// The end of an attempt: its output, and whether another follows.
fn poll_attempt<R>(
    run: &mut StepRun,
    classify: Classify<R>,
    body: Pin<&mut dyn Future<Output = R>>,
    cx: &mut Context<'_>,
) -> Poll<(R, Next)> {
    let output = if run.is_off() || (run.is_new() && !run.begin()) {
        ready!(body.poll(cx))
    } else {
        if !run.is_running() {
            ready!(run.poll_start(cx));
        }
        ready!(poll_in_step(run, body, cx))
    };
    let next = if let Some(error) = classify.failure(&output) {
        run.failed(&error, classify.advice(&output), classify.kind(&output))
    } else {
        run.completed();
        Next::End
    };
    Poll::Ready((output, next))
}

pin_project! {
    /// One attempt of a step whose attempts an engine runs.
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct OnlyAttempt<'a, F: Future> {
        #[pin]
        attempt: Attempt<'a, F>,
    }
}

impl<F: Future> Future for OnlyAttempt<'_, F> {
    type Output = (F::Output, Option<(Duration, StepAttempt)>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project().attempt.project();
        // Taken out when it is ready; polled after that, it stays pending, as no future should be.
        let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Pending };
        let (output, next) = ready!(poll_attempt(this.run, *this.classify, body, cx));
        this.body.set(None);
        let again = match next {
            Next::End => None,
            Next::Again(delay) => Some((delay, this.run.leave())),
        };
        Poll::Ready((output, again))
    }
}

pin_project! {
    /// A task. The fields are dropped in the same order as those of [`RunStep`], for the same reason: first the steps inside
    /// say that they were cancelled, then the task does.
    #[must_use = "futures do nothing unless polled"]
    pub struct RunTask<F: Future> {
        classify: Classify<F::Output>,
        #[pin]
        body: F,
        run: TaskRun,
    }

    impl<F: Future> PinnedDrop for RunTask<F> {
        fn drop(this: Pin<&mut Self>) {
            this.project().run.before_drop_of_body();
        }
    }
}

/// Runs the body as a task. What `#[task]` expands to.
#[inline]
pub const fn run_task<F: Future>(
    spec: &'static TaskSpec,
    id: TaskIdArg,
    fields: Fields,
    classify: Classify<F::Output>,
    body: F,
) -> RunTask<F> {
    RunTask { classify, body, run: TaskRun::new(spec, id, fields) }
}

impl<F: Future> Future for RunTask<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        poll_task(this.run, *this.classify, this.body, cx)
    }
}

fn poll_task<R>(
    run: &mut TaskRun,
    classify: Classify<R>,
    body: Pin<&mut dyn Future<Output = R>>,
    cx: &mut Context<'_>,
) -> Poll<R> {
    if run.is_off() {
        return body.poll(cx);
    }
    if !run.is_running() {
        return body.poll(cx); // polled after its end: what follows is the body's own business
    }
    let output = match run.inside(true, || body.poll(cx)) {
        Ok(polled) => ready!(polled),
        Err(panic) => {
            run.panicked(&*panic);
            resume_unwind(panic)
        }
    };
    if !run.is_watched() {
        run.finish_silently();
    } else if let Some(error) = classify.failure(&output) {
        run.failed(&error, classify.kind(&output));
    } else {
        run.completed();
    }
    Poll::Ready(output)
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
