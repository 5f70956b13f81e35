//! The engine's retries, as the steps themselves ask for them.

use std::time::Duration;

use apalis_core::task::Task;
use apalis_core::timer::sleep;
use apalis_core::worker::context::WorkerContext;
use futures_util::future::BoxFuture;
use tower::retry::Policy;

use crate::error::{AttemptError, Then};

/// How often an engine that failed is asked again, and how long it waits before, each time twice as long.
const ENGINE_TRIES: u32 = 4;
const ENGINE_WAIT: Duration = Duration::from_millis(500);

/// Runs a node again as its step says: `retry_limit`, `backoff`, `retry_if` and what an error says of itself hold as they do
/// without an engine, and it is apalis that waits and calls again.
///
/// When the worker shuts down nobody waits: the job goes back to the backend, and another worker makes the next attempt.
#[derive(Debug, Clone, Default)]
pub struct RetryByVerdict {
    engine_failures: u32,
}

impl<Args: Clone, Response> Policy<Task<Args>, Response, AttemptError> for RetryByVerdict {
    type Future = BoxFuture<'static, ()>;

    fn retry(
        &mut self,
        job: &mut Task<Args>,
        result: &mut Result<Response, AttemptError>,
    ) -> Option<BoxFuture<'static, ()>> {
        let Err(AttemptError { then, .. }) = result else { return None };
        if job.data().get::<WorkerContext>().is_some_and(WorkerContext::is_shutting_down) {
            return None;
        }
        let wait = match *then {
            Then::Again(wait) => wait,
            Then::Engine if self.engine_failures < ENGINE_TRIES => {
                let wait = ENGINE_WAIT * 2_u32.pow(self.engine_failures);
                self.engine_failures += 1;
                wait
            }
            Then::Engine | Then::End => return None,
        };
        Some(Box::pin(sleep(wait)))
    }

    fn clone_request(&mut self, job: &Task<Args>) -> Option<Task<Args>> {
        Some(job.clone())
    }
}

#[cfg(test)]
mod tests {
    use apalis_core::task::builder::TaskBuilder;

    use super::*;

    fn failed(then: Then) -> Result<(), AttemptError> {
        Err(AttemptError { source: "busy".into(), then })
    }

    #[test]
    fn nobody_waits_in_a_worker_that_stops() {
        let mut worker = WorkerContext::new("worker");
        worker.start().unwrap();
        let mut job = TaskBuilder::new(()).data(worker.clone()).build();
        let mut retries = RetryByVerdict::default();
        let again = || failed(Then::Again(Duration::from_mins(1)));
        assert!(retries.retry(&mut job, &mut again()).is_some());
        worker.stop().unwrap();
        assert!(retries.retry(&mut job, &mut again()).is_none());
    }

    #[test]
    fn an_engine_that_fails_is_asked_again_some_times_a_task_that_ended_never() {
        let mut job = TaskBuilder::new(()).build();
        let mut retries = RetryByVerdict::default();
        for _ in 0..ENGINE_TRIES {
            assert!(retries.retry(&mut job, &mut failed(Then::Engine)).is_some());
        }
        assert!(retries.retry(&mut job, &mut failed(Then::Engine)).is_none());
        assert!(RetryByVerdict::default().retry(&mut job, &mut failed(Then::End)).is_none());
        assert!(RetryByVerdict::default().retry(&mut job, &mut Ok(())).is_none());
    }
}
