//! A handler under the life cycle: the scopes that `process` is given, and the attempts.

use super::{Attempted, DeclaredStep, ResultOf, StepAttempt, StepHandler};
use crate::catalog::StepSpec;
use crate::lifecycle::StepRetry;
use crate::scope::StepScope;

pub(super) async fn handle<H: StepHandler>(handler: &H) -> ResultOf<H> {
    let DeclaredStep { spec, classify } = H::declared_by_step();
    let mut run = StepRetry::new(spec, handler.fields_of_step());
    let mut detached = None;
    loop {
        let attempt_number = run.attempt_number();
        let body = attempt(handler, spec, attempt_number, &mut detached);
        if let Some(result) = run.attempt(body, classify).await {
            return result;
        }
    }
}

pub(super) async fn handle_attempt<H: StepHandler>(handler: &H, given: StepAttempt) -> Attempted<H::Output, H::Error> {
    let DeclaredStep { spec, classify } = H::declared_by_step();
    let mut run = StepRetry::given(spec, handler.fields_of_step(), given);
    let mut detached = None;
    let body = attempt(handler, spec, given.attempt_number(), &mut detached);
    match run.only_attempt(body, classify).await {
        (Ok(output), _) => Attempted::Completed(output),
        (Err(error), Some((wait, next))) => Attempted::Retry { error, wait, next },
        (Err(error), None) => Attempted::Failed(error),
    }
}

/// The body of one attempt: polled inside the step, so that the step's scope is the current one.
async fn attempt<H: StepHandler>(
    handler: &H,
    spec: &'static StepSpec,
    attempt_number: u32,
    detached: &mut Option<StepScope>,
) -> ResultOf<H> {
    let step = StepScope::current().unwrap_or_else(|| StepScope::detached(spec, attempt_number, detached));
    let output = handler.process(&step.task(), &step).await?;
    handler.process_results(&step, output)
}
