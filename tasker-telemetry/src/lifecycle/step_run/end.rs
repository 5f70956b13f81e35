//! How an attempt ends, and whether another follows.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Next, Phase, StepRun, Times};
use crate::classify::{ErrorView, RetryAdvice};
use crate::event::EventKind;
use crate::failure::Failure;
use crate::lifecycle::driven::Verdict;
use crate::lifecycle::task_run::end_task;
use crate::lifecycle::{TaskCore, dying};
use crate::metrics::error_type;
use crate::publisher::{End, Fact, Reason, Ticket};
use crate::retry::LONGEST_WAIT;
use crate::scope::{Permit, Scope};
use crate::state::{Entity, State, transition};
use crate::time::Moment;

/// What is told of a failed attempt.
struct Told {
    /// Written out for listeners only.
    failure: Option<Arc<Failure>>,
    retryable: bool,
    /// For the metrics only.
    error_type: &'static str,
}

/// When an attempt ended, and how long its body ran.
#[derive(Clone, Copy)]
struct Ended {
    end: Moment,
    nanos: u64,
    queue_nanos: u64,
}

impl StepRun {
    /// Nobody has to be told how it ended.
    #[inline]
    pub(in crate::lifecycle) fn finish_silently(&mut self) {
        self.phase = Phase::Over;
        self.release();
    }

    #[inline(never)]
    pub(in crate::lifecycle) fn completed(&mut self) {
        self.phase = Phase::Over;
        if self.short_completed() {
            return;
        }
        self.release();
        let Some(Ended { end, nanos, queue_nanos }) = self.ended() else { return };
        if let Some(event) = self.advance(State::Complete) {
            if let Some((task, _)) = self.task() {
                task.step_completed();
            }
            self.emit(event, end, || Fact::Completed { nanos, queue_nanos, inputs: self.inputs() });
            self.meter_completed(end, nanos);
            self.tell_processing(end, nanos);
        }
        self.end_own_task(State::Complete, end, None);
        if let Some(engine) = self.engine() {
            engine.tell(Verdict::Completed);
        }
    }

    /// An attempt ended with an error. Says whether another follows.
    #[inline(never)]
    pub(in crate::lifecycle) fn failed(
        &mut self,
        error: &ErrorView<'_>,
        advice: Option<RetryAdvice>,
        kind: Option<&'static str>,
    ) -> Next {
        let ended = self.ended(); // before anything is done about the error: that is not the body's time
        let (retryable, delay) = self.judge(advice.or_else(|| error.known_advice()));
        let next = if retryable && self.attempt < self.limit() {
            Next::Again(delay.unwrap_or_else(|| self.spec.backoff.draw_after(self.attempt)))
        } else {
            Next::End
        };
        let write = |task| Failure::of_error(error, kind, retryable, task).with_inputs(self.inputs());
        let failure = self.watched.then(|| Arc::new(self.durable(write(self.task().map(|(task, _)| &**task)))));
        let error_type = || failure.as_ref().map_or_else(|| error_type(error, kind), |failure| failure.error_type());
        let error_type = if self.metering.is_on() { error_type() } else { "" };
        let told = Told { failure, retryable, error_type };
        let next = self.attempt_failed(&told, ended, next, delay.is_some());
        self.leave_to_engine(next, told.failure)
    }

    /// A store may be asked to have written the failure before anything follows from it.
    fn durable(&self, mut failure: Failure) -> Failure {
        let limit = self.task().and_then(|(task, _)| task.core().strict_limit());
        if let Some(deadline) = limit.and_then(|limit| Instant::now().checked_add(limit)) {
            failure.written = Some(Arc::new(Ticket::new(deadline)));
        }
        failure
    }

    /// Where an engine counts the attempts, it sees to the next one, unless the program asked for it to be here.
    fn leave_to_engine(&mut self, next: Next, failure: Option<Arc<Failure>>) -> Next {
        let Some(engine) = self.engine() else { return next };
        match next {
            Next::Again(_) if engine.retries_in_process() => next,
            Next::Again(wait) => {
                engine.tell(Verdict::Retry(wait));
                self.phase = Phase::Over;
                Next::End
            }
            Next::End => {
                engine.tell_failed(failure);
                Next::End
            }
        }
    }

    /// Whether the error is worth another attempt, and after which delay of its own.
    fn judge(&self, advice: Option<RetryAdvice>) -> (bool, Option<Duration>) {
        match advice {
            Some(RetryAdvice::Permanent) => (false, None),
            Some(RetryAdvice::RetryAfter(delay)) => (true, Some(delay.min(LONGEST_WAIT))),
            Some(_) => (true, None),
            // The error says nothing of itself: a step that was given retries is meant to use them.
            None => (self.limit() > 1, None),
        }
    }

    #[cold]
    pub(in crate::lifecycle) fn panicked(&mut self, panic: &(dyn Any + Send)) {
        if self.phase == Phase::Off {
            return;
        }
        let ended = self.ended();
        let write = |task| Failure::of_panic_in(panic, task).with_inputs(self.inputs());
        let failure = self.watched.then(|| Arc::new(self.durable(write(self.task().map(|(task, _)| &**task)))));
        let error_type = crate::event::error_type(Some("panic"));
        let told = Told { failure, retryable: false, error_type };
        self.attempt_failed(&told, ended, Next::End, false);
        self.leave_to_engine(Next::End, told.failure);
    }

    /// Says what follows: what was meant to, unless the failure has to be written first and was not.
    fn attempt_failed(&mut self, told: &Told, ended: Option<Ended>, next: Next, server_requested: bool) -> Next {
        self.release();
        let next = match ended {
            Some(ended) => self.tell_failure(told, next, server_requested, ended),
            None => next,
        };
        if self.phase != Phase::Off {
            self.phase = match next {
                Next::Again(_) => Phase::Ready,
                Next::End => Phase::Over,
            };
        }
        if let Next::Again(_) = next {
            self.attempt = self.attempt.saturating_add(1);
            if let (Some(times), Some(ended)) = (&mut self.times, ended) {
                *times = Times { asked: ended.end, started: ended.end }; // from now on it waits
            }
            let number = self.attempt;
            match self.scope_mut() {
                Some(Scope::Task(_, Some(place), _)) => place.attempt = number,
                Some(Scope::Light(_, _, attempt)) => *attempt = number,
                _ => {}
            }
        }
        next
    }

    fn tell_failure(&mut self, told: &Told, next: Next, server_requested: bool, ended: Ended) -> Next {
        let Ended { end, nanos, queue_nanos } = ended;
        let Some(event) = self.advance(State::Error) else { return next };
        // Facts are built for listeners only, and for them the failure was written out.
        let failure = || told.failure.clone().unwrap_or_default();
        let retried = matches!(next, Next::Again(_));
        self.emit(event, end, || Fact::Failed { nanos, queue_nanos, retried, failure: failure() });
        self.meter_failed(end, nanos, told.error_type, next);
        self.tell_processing(end, nanos);
        let written = self.is_written(told);
        match next {
            Next::Again(wait) if written => {
                let wait_nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
                let fact = || Fact::Wait { wait_nanos, server_requested, failure: failure() };
                if let Some(event) = self.advance(State::Pending) {
                    self.emit(event, end, fact);
                }
                if !wait.is_zero() {
                    self.emit(EventKind::ObservabilityStepBackoff, end, fact);
                }
                if matches!(self.counted, super::Counted::Given) {
                    // Outside any task an attempt is a task of its own: the next one is another.
                    self.end_own_task(State::Error, end, told.failure.clone());
                }
            }
            Next::End | Next::Again(_) => {
                if let Some((task, _)) = self.task() {
                    task.step_failed();
                }
                if told.retryable {
                    let why = || if written { failure() } else { not_written(&failure()) };
                    self.emit(EventKind::StepMaxRetriesReached, end, || Fact::Exhausted(why()));
                }
                self.end_own_task(State::Error, end, told.failure.clone());
                return Next::End;
            }
        }
        next
    }

    /// Whether what follows may follow: where the store has to have written the failure first, this blocks until it has, or has
    /// said that it cannot. That is what `Durability::Strict` asks for, and nobody else comes here with a ticket.
    fn is_written(&self, told: &Told) -> bool {
        let Some(ticket) = told.failure.as_ref().and_then(|failure| failure.written.as_ref()) else { return true };
        if ticket.wait() == End::Done {
            return true;
        }
        if let Some((task, place)) = self.task() {
            task.core().failure_not_written();
            tracing::error!(
                target: "tasker_telemetry",
                task_id = task.id().as_str(), step = place.spec.name, attempt = place.attempt,
                "a failed attempt could not be written to the store: its step is not tried again"
            );
        }
        false
    }

    /// What the attempt used, for those who asked for it.
    fn tell_processing(&self, end: Moment, nanos: u64) {
        if let (Some((task, _)), Some(Times { asked, started })) = (self.task(), self.times)
            && task.core().tells_step_processing()
        {
            let queue_nanos = asked.nanos_until(started);
            self.emit(EventKind::ObservabilityStepProcessing, end, || Fact::Processing { nanos, queue_nanos });
        }
    }

    /// When the attempt ended and how long its body ran; `None` when nobody is told.
    fn ended(&self) -> Option<Ended> {
        let Times { asked, started } = self.times?;
        let end = started.later();
        Some(Ended { end, nanos: started.nanos_until(end), queue_nanos: asked.nanos_until(started) })
    }

    #[inline]
    fn release(&mut self) {
        if self.rare().is_some() {
            self.release_permit();
        }
    }

    #[cold]
    fn release_permit(&mut self) {
        if self.has_permit() {
            self.set_hold(None);
            if let Some(Scope::Task(_, _, permit)) = self.scope_mut() {
                *permit = Permit::NotHeld;
            }
        }
    }

    /// The step's own task and when it began, if the step is a task of its own.
    fn own_task(&self) -> Option<(&Arc<TaskCore>, Moment)> {
        match self.task() {
            Some((task, _)) if self.owns_task => Some((task, task.begun()?)),
            _ => None,
        }
    }

    fn end_own_task(&mut self, state: State, end: Moment, failure: Option<Arc<Failure>>) {
        if let Some((task, begun)) = self.own_task()
            && let Ok(event) = transition(Entity::Task, State::InProgress, state)
        {
            end_task(task, event, begun, end, failure);
        }
    }
}

/// What is told of a step that would have been tried again.
fn not_written(failure: &Failure) -> Arc<Failure> {
    let message = format!("{}; not tried again: this failure could not be written to the store", failure.message);
    Arc::new(Failure::saying(message))
}

impl Drop for StepRun {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.phase, Phase::New | Phase::Off | Phase::Over) {
            self.unfinished();
        }
    }
}

impl StepRun {
    #[cold]
    fn unfinished(&mut self) {
        if self.followed && self.phase == Phase::Running {
            self.drop_body();
        } else if self.phase == Phase::Dropping || self.has_to_tell() {
            self.dropped();
        }
    }

    fn dropped(&mut self) {
        if self.phase == Phase::Dropping
            && let Some(was_polling) = self.entered.take()
            && let Some(scope) = self.scope_mut()
        {
            dying::leave(scope, was_polling);
        }
        // `Ready` after a failed attempt: dropped in the wait for the next one.
        let under_way = matches!(self.phase, Phase::Running | Phase::Dropping | Phase::Asked)
            || (self.phase == Phase::Ready && self.attempt > 1);
        if !under_way || !self.has_to_tell() {
            return;
        }
        let was_running = self.state == State::InProgress;
        if let Some(event) = self.advance(State::Cancelled) {
            if self.watched {
                self.tell_cancelled(event, was_running);
            }
            self.meter_cancelled(was_running);
        }
        self.end_own_task(State::Cancelled, Moment::now(), None);
    }

    fn tell_cancelled(&self, event: EventKind, ran: bool) {
        // A moment of its own only where nobody kept the times, which somebody who listens always does.
        let since = if ran { self.times.map(|times| times.started) } else { self.times.map(|times| times.asked) };
        let since = since.unwrap_or_else(Moment::now);
        let end = since.later();
        let took = since.nanos_until(end);
        let queue_nanos = match self.times {
            Some(Times { asked, started }) if ran => asked.nanos_until(started),
            _ => took,
        };
        let nanos = if ran { took } else { 0 };
        let inputs = self.inputs();
        self.emit(event, end, || Fact::Cancelled { nanos, queue_nanos, ran, reason: Reason::Dropped, inputs });
    }
}
