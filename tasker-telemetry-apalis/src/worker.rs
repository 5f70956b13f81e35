//! The worker of a graph, with everything at its place.

use apalis_core::layers::Stack;
use apalis_core::worker::builder::WorkerBuilder;
use tower::retry::RetryLayer;

use crate::graph::Orchestration;
use crate::layer::AttemptLayer;
use crate::retry::RetryByVerdict;

/// The middleware that [`WorkerBuilderExt::telemetry`] adds: retries, and below them the scope of each attempt.
pub type Instrumented<M> = Stack<AttemptLayer, Stack<RetryLayer<RetryByVerdict>, M>>;

/// For the builder of a worker.
pub trait WorkerBuilderExt<Args, B, M> {
    /// Lets every node of the graph run in its task's scope, and again as its steps say. Other retries beside these would
    /// try twice; layers of your own stand above if added before, and below (once an attempt) if added after.
    fn telemetry(self, orchestration: &Orchestration) -> WorkerBuilder<Args, B, Instrumented<M>>;
}

impl<Args, B, M> WorkerBuilderExt<Args, B, M> for WorkerBuilder<Args, B, M>
where
    B: apalis_core::backend::Backend,
{
    fn telemetry(self, orchestration: &Orchestration) -> WorkerBuilder<Args, B, Instrumented<M>> {
        self.layer(RetryLayer::new(RetryByVerdict::default())).layer(AttemptLayer::new(orchestration))
    }
}
