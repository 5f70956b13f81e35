//! What is told of the engine's doings: the events that no life cycle of a step or task knows of.

use tasker_telemetry::driver::ResumedTask;
use tasker_telemetry::event::{observability, workflow};
use tasker_telemetry::{TaskScope, Timestamp, publish, publish_with};

use crate::graph::Orchestration;

/// A task was enqueued.
pub(crate) fn enqueued(task: &ResumedTask, queue: &str) {
    task.in_scope(|| publish(observability::TaskEnqueue::new(queue.to_owned(), Timestamp::now())));
}

/// A worker is the first to run something of the task.
pub(crate) fn picked_up(task: &ResumedTask, worker: &str, graph: &Orchestration) {
    task.in_scope(|| {
        publish(observability::TaskStart::new(worker.to_owned()));
        publish(workflow::TaskStarted::new(graph.node_count()));
    });
}

/// A node has ended well, or none has and the graph's first nodes come next.
pub(crate) fn went_on(task: &ResumedTask, graph: &Orchestration, node: Option<usize>) {
    task.in_scope(|| {
        let next = node.map_or_else(|| graph.first(), |node| graph.next(node));
        if let Some(node) = node {
            publish_with(|| workflow::StepCompleted::new(task.step_id(graph.unit(node)), graph.after(node)));
        }
        if !next.is_empty() {
            publish_with(|| {
                let mode = if next.len() > 1 { "concurrent" } else { "sequential" };
                let ids = next.iter().map(|node| task.step_id(graph.unit(*node))).collect();
                workflow::ViableStepsDiscovered::new(ids, next.len() as u64, mode.to_owned())
            });
        }
    });
}

/// A node was called that has to wait for others.
pub(crate) fn has_to_wait(task: &ResumedTask, others: usize) {
    task.in_scope(|| publish_with(|| workflow::NoViableSteps::new(format!("waits for {others} nodes"))));
}

/// The graph is at its end, or will not come to it.
#[allow(clippy::cast_precision_loss, reason = "a share of some steps")]
pub(crate) fn is_over(task: &ResumedTask) {
    task.in_scope(|| {
        let Some(scope) = TaskScope::current() else { return };
        let took = Timestamp::now().saturating_duration_since(task.carrier().started_at()).as_secs_f64();
        let all = scope.total_steps();
        let rate = if all == 0 { 1.0 } else { scope.completed_steps() as f64 / all as f64 };
        publish(workflow::TaskCompleted::new(took, rate));
    });
}
