//! The layer that lets each attempt of a node run in the scope of its task, and tells what the engine did.
//!
//! It must stand below the retries, where it sees each attempt: [`WorkerBuilderExt::telemetry`](crate::WorkerBuilderExt::telemetry)
//! puts both where they belong.

use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};

use apalis_core::error::{AbortError, BoxDynError};
use apalis_core::layers::{Layer, Service};
use apalis_core::task::status::Status;
use apalis_core::task::{ExecutionContext, Task};
use apalis_core::worker::context::WorkerContext;
use apalis_workflow::graph::error::GraphFlowError;
use apalis_workflow::graph::response::GraphNodeResponse;
use futures_util::future::BoxFuture;
use tasker_telemetry::driver::{self, EngineAttempt, NewTask, ResumedTask, Verdict};
use tasker_telemetry::state::State;

use crate::error::{AttemptError, Then};
use crate::graph::Orchestration;
use crate::metadata::{Carried, Place};
use crate::told;

/// See the module.
#[derive(Debug, Clone)]
pub struct AttemptLayer {
    orchestration: Orchestration,
}

impl AttemptLayer {
    /// For the worker that runs that graph.
    #[must_use]
    pub fn new(orchestration: &Orchestration) -> Self {
        Self { orchestration: orchestration.clone() }
    }
}

impl<S> Layer<S> for AttemptLayer {
    type Service = AttemptService<S>;

    fn layer(&self, inner: S) -> AttemptService<S> {
        AttemptService { inner, orchestration: self.orchestration.clone() }
    }
}

/// What [`AttemptLayer`] makes of a service.
#[derive(Debug, Clone)]
pub struct AttemptService<S> {
    inner: S,
    orchestration: Orchestration,
}

impl<S, Args> Service<Task<Args>> for AttemptService<S>
where
    S: Service<Task<Args>, Response = GraphNodeResponse>,
    S::Error: Into<BoxDynError>,
    S::Future: Send + 'static,
{
    type Response = GraphNodeResponse;
    type Error = AttemptError;
    type Future = BoxFuture<'static, Result<GraphNodeResponse, AttemptError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AttemptError>> {
        self.inner.poll_ready(cx).map_err(|error| AttemptError { source: error.into(), then: Then::Engine })
    }

    fn call(&mut self, job: Task<Args>) -> Self::Future {
        let run = Run::begin(&self.orchestration, job.ctx());
        let future = run.task.scope(run.task.in_scope(|| self.inner.call(job)));
        Box::pin(async move {
            if run.orchestration.ends.has_ended(&run.task).await {
                return Err(run.not_run());
            }
            run.begins();
            let ended: Result<_, BoxDynError> = future.await.map_err(Into::into);
            match ended {
                Ok(response) => {
                    run.ended_well(&response).await;
                    Ok(response)
                }
                Err(error) => Err(run.failed(error).await),
            }
        })
    }
}

/// One attempt of one node.
struct Run {
    task: ResumedTask,
    orchestration: Orchestration,
    place: Place,
    /// It is the first that is run of the task.
    is_first: bool,
    job: Arc<ExecutionContext>,
}

impl Run {
    fn begin(orchestration: &Orchestration, job: &Arc<ExecutionContext>) -> Self {
        let place = Place::of(job);
        // Where a graph begins with several nodes, the job that begins it only enqueues them.
        let node = match (place, orchestration.first()) {
            (Place::Node(node), _) => Some(node),
            (Place::Entry, [only]) => Some(*only),
            (Place::Entry, _) => None,
        };
        let unit = node.map_or("the graph", |node| orchestration.unit(node));
        // The engine counts from 0, and its own count goes up later, when the work below is polled.
        let before = job.attempt();
        let mut attempt = EngineAttempt::new(unit, u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1));
        let carrier = match Carried::of(job) {
            Some(Carried { carrier, enqueued_at }) => {
                if before == 0 {
                    attempt = attempt.queued_at(enqueued_at);
                }
                carrier
            }
            None => begun_by_others(orchestration, job),
        };
        Self {
            task: driver::resume(carrier, attempt),
            orchestration: orchestration.clone(),
            place: node.map_or(Place::Entry, Place::Node),
            is_first: place == Place::Entry && before == 0,
            job: Arc::clone(job),
        }
    }

    fn begins(&self) {
        if self.is_first {
            self.task.start();
            let worker = self.job.data().get::<WorkerContext>().map_or("", WorkerContext::name);
            told::picked_up(&self.task, worker, &self.orchestration);
        }
    }

    /// The task has ended meanwhile: what was still on its way for it is given up, and nothing told.
    fn not_run(self) -> AttemptError {
        self.job.raw_status().store(Status::Killed);
        AttemptError { source: "the task has ended".into(), then: Then::End }
    }

    async fn ended_well(self, response: &GraphNodeResponse) {
        let node = match self.place {
            Place::Node(node) => Some(node),
            Place::Entry => None,
        };
        match response {
            GraphNodeResponse::WaitingForDependencies { pending_dependencies } => {
                told::has_to_wait(&self.task, pending_dependencies.len());
            }
            GraphNodeResponse::Complete { .. } => {
                told::went_on(&self.task, &self.orchestration, node);
                if self.orchestration.ends.claim(&self.task, State::Complete).await {
                    told::is_over(&self.task);
                    self.task.complete();
                }
            }
            _ => told::went_on(&self.task, &self.orchestration, node),
        }
    }

    async fn failed(self, error: BoxDynError) -> AttemptError {
        let then = judge(&error, self.task.verdict());
        let source = without_wrapping(error);
        if then == Then::End {
            // Else the backend would fetch the job again, as often as its own limit says.
            self.job.raw_status().store(Status::Killed);
            if self.orchestration.ends.claim(&self.task, State::Error).await {
                told::is_over(&self.task);
                self.task.fail(&*source);
            }
        }
        AttemptError { source, then }
    }
}

/// The task of a job that did not come from [`start_task`](crate::start_task): it bears the graph's name and the job's id.
fn begun_by_others(orchestration: &Orchestration, job: &ExecutionContext) -> tasker_telemetry::trace::Carrier {
    let mut task = NewTask::new(orchestration.name());
    if let Some(id) = job.task_id() {
        task = task.id(id.to_string());
    }
    driver::begin(task).hand_over()
}

/// What follows an attempt that failed.
fn judge(error: &BoxDynError, verdict: Verdict) -> Then {
    if is_aborted(&**error) {
        return Then::End;
    }
    match (verdict, error.downcast_ref::<GraphFlowError>()) {
        (Verdict::Retry(wait), _) => Then::Again(wait),
        // No step failed: the next node could not be enqueued, or a result not be read.
        (Verdict::Open | Verdict::Completed, Some(GraphFlowError::Backend(_))) => Then::Engine,
        _ => Then::End,
    }
}

fn is_aborted(error: &(dyn Error + 'static)) -> bool {
    error.is::<AbortError>() || error.source().is_some_and(is_aborted)
}

/// The error that a node returned, without what the engine wrapped around it.
fn without_wrapping(error: BoxDynError) -> BoxDynError {
    match error.downcast::<GraphFlowError>() {
        Ok(error) => match *error {
            GraphFlowError::NodeExecutionError(error) => error,
            error => error.into(),
        },
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_follows_is_what_the_steps_say_unless_the_engine_failed() {
        let wait = Duration::from_secs(7);
        let of_node = || BoxDynError::from(GraphFlowError::NodeExecutionError("busy".into()));
        let of_backend = || BoxDynError::from(GraphFlowError::Backend("no connection".into()));
        let aborted = || {
            let abort = AbortError::new(std::io::Error::other("no use"));
            BoxDynError::from(GraphFlowError::NodeExecutionError(abort.into()))
        };
        for (error, verdict, then) in [
            (of_node(), Verdict::Retry(wait), Then::Again(wait)),
            (of_node(), Verdict::Failed, Then::End),
            (of_node(), Verdict::Open, Then::End),
            (of_node(), Verdict::Completed, Then::End),
            (of_backend(), Verdict::Open, Then::Engine),
            (of_backend(), Verdict::Completed, Then::Engine),
            (of_backend(), Verdict::Failed, Then::End),
            (of_backend(), Verdict::Retry(wait), Then::Again(wait)),
            (aborted(), Verdict::Retry(wait), Then::End),
        ] {
            assert_eq!(judge(&error, verdict), then, "{error} and {verdict:?}");
        }
    }
}
