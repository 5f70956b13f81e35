//! A backend that lets the task travel with the nodes of its graph, and takes each of them once.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use apalis_core::backend::{Backend, BackendConfig, TaskResult, WaitForCompletion, WireFormatBackend};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_core::timer::Delay;
use apalis_core::worker::context::WorkerContext;
use futures_sink::Sink;
use futures_util::{FutureExt as _, SinkExt as _};
use tasker_telemetry::TaskScope;

use crate::metadata::{Carried, way};

/// How often a node is sent again that the backend did not take, and how long it waits before, each time twice as long.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Any backend, for graphs whose tasks are to be followed.
///
/// When a node's end enqueues the next ones, their jobs get what must travel ([`Carrier`](tasker_telemetry::trace::Carrier)), and
/// a key: a node that ran twice, because its process died before it could acknowledge the first run, enqueues what follows once.
/// A database that is gone for a moment is asked again, so that a node whose steps are done is not run again for that.
///
/// It changes nothing else, and nothing at all of jobs that belong to no graph.
pub struct TracedBackend<B: WireFormatBackend> {
    inner: B,
    queue: String,
    /// Nodes on their way to the backend, the first of which may be `in_flight`.
    unsent: VecDeque<Task<B::Compact>>,
    in_flight: bool,
    tries: u32,
    wait: Option<Delay>,
}

impl<B: WireFormatBackend> TracedBackend<B> {
    /// That backend.
    pub const fn new(inner: B) -> Self {
        Self { inner, queue: String::new(), unsent: VecDeque::new(), in_flight: false, tries: 0, wait: None }
    }

    /// What `observability.task.enqueue` calls the queue; the task's name unless told.
    #[must_use]
    pub fn queue_name(mut self, name: impl Into<String>) -> Self {
        self.queue = name.into();
        self
    }

    /// The backend itself.
    pub const fn inner(&self) -> &B {
        &self.inner
    }

    pub(crate) fn told_queue_name(&self) -> Option<&str> {
        Some(self.queue.as_str()).filter(|name| !name.is_empty())
    }
}

impl<B: WireFormatBackend + Clone> Clone for TracedBackend<B> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone()).queue_name(self.queue.clone())
    }
}

impl<B: WireFormatBackend> fmt::Debug for TracedBackend<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedBackend")
            .field("queue", &self.queue)
            .field("unsent", &self.unsent.len())
            .finish_non_exhaustive()
    }
}

impl<B: Backend + WireFormatBackend> Backend for TracedBackend<B> {
    type Task = B::Task;
    type Error = B::Error;

    fn poll_ready(&mut self, cx: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), B::Error>> {
        self.inner.poll_ready(cx, worker)
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, B::Error>>> {
        self.inner.poll_next(cx, worker)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), B::Error>> {
        self.inner.poll_close(cx, worker)
    }
}

impl<B: BackendConfig + WireFormatBackend> BackendConfig for TracedBackend<B> {
    type Args = B::Args;
    type Id = B::Id;
    type Kind = B::Kind;
    type Config = B::Config;
    type Layer = B::Layer;

    fn config(&self) -> &B::Config {
        self.inner.config()
    }

    fn middleware(&mut self, worker: &mut WorkerContext) -> B::Layer {
        self.inner.middleware(worker)
    }
}

impl<B: WireFormatBackend> WireFormatBackend for TracedBackend<B> {
    type Codec = B::Codec;
    type Compact = B::Compact;

    fn codec(&self) -> &B::Codec {
        self.inner.codec()
    }
}

impl<B, Output> WaitForCompletion<Output> for TracedBackend<B>
where
    B: WaitForCompletion<Output> + WireFormatBackend,
{
    type ResultStream = B::ResultStream;

    fn wait_for(&mut self, task_ids: impl IntoIterator<Item = TaskId>) -> B::ResultStream {
        self.inner.wait_for(task_ids)
    }

    fn check_status(
        &mut self,
        task_ids: impl IntoIterator<Item = TaskId> + Send,
    ) -> impl Future<Output = Result<Vec<TaskResult<Output>>, B::Error>> + Send {
        self.inner.check_status(task_ids)
    }
}

impl<B, Compact, E> Sink<Task<Compact>> for TracedBackend<B>
where
    B: Sink<Task<Compact>, Error = E> + WireFormatBackend<Compact = Compact> + Unpin,
    Compact: Clone + Unpin,
    E: Error + 'static,
{
    type Error = E;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.get_mut().inner.poll_ready_unpin(cx)
    }

    fn start_send(self: Pin<&mut Self>, job: Task<Compact>) -> Result<(), E> {
        let this = self.get_mut();
        match (way(job.ctx()), TaskScope::current()) {
            (Some(way), Some(task)) => {
                this.unsent.push_back(with_carrier(job, &way, &task));
                Ok(())
            }
            _ => this.inner.start_send_unpin(job),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        this.inner.poll_flush_unpin(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        this.inner.poll_close_unpin(cx)
    }
}

impl<B, Compact, E> TracedBackend<B>
where
    B: Sink<Task<Compact>, Error = E> + WireFormatBackend<Compact = Compact> + Unpin,
    Compact: Clone + Unpin,
    E: Error + 'static,
{
    /// Sends the nodes one by one: of several sent together none arrives if one is there already.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        while let Some(job) = self.unsent.front() {
            if let Some(wait) = &mut self.wait {
                ready!(wait.poll_unpin(cx));
                self.wait = None;
            }
            if !self.in_flight {
                self.inner.start_send_unpin(job.clone())?;
                self.in_flight = true;
            }
            let sent = ready!(self.inner.poll_flush_unpin(cx));
            self.in_flight = false;
            match sent {
                Err(error) if !is_there_already(&error) => {
                    if self.tries == TRIES {
                        self.unsent.clear();
                        self.tries = 0;
                        return Poll::Ready(Err(error));
                    }
                    tracing::warn!(target: "tasker_telemetry", %error, "a node could not be enqueued, and is sent again");
                    self.wait = Some(Delay::new(FIRST_WAIT * 2_u32.pow(self.tries)));
                    self.tries += 1;
                }
                _ => {
                    self.unsent.pop_front();
                    self.tries = 0;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether the backend has the node already: `PostgreSQL` says so with an error, `SQLite` says nothing.
fn is_there_already(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("idempotency_key") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The same job, with what must travel, and with a key of its own.
fn with_carrier<Args>(job: Task<Args>, way: &str, task: &TaskScope) -> Task<Args> {
    let (args, job) = job.take();
    let mut next = TaskBuilder::new(args)
        .with_metadata(job.metadata().clone())
        .metadata(&Carried::now(task.carrier()))
        .idempotency_key(job.idempotency_key().unwrap_or(way));
    if let Some(id) = job.task_id() {
        next = next.task_id(id.clone());
    }
    if let Some(seconds) = job.run_at() {
        next = next.run_at_timestamp(seconds);
    }
    if let Some(attempts) = job.max_attempts() {
        next = next.max_attempts(attempts);
    }
    if let Some(priority) = job.priority() {
        next = next.priority(priority);
    }
    if let Some(queue) = job.queue() {
        next = next.queue(queue.clone());
    }
    next.with_data(job.data().clone()).build()
}

#[cfg(test)]
mod tests {
    use apalis_core::task::metadata::MetadataStore;
    use tasker_telemetry::driver::{self, NewTask};
    use tasker_telemetry::testing::{block_on, record};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("error returned from database")]
    struct Outer(#[source] std::io::Error);

    const THERE: &str = "duplicate key value violates unique constraint \"idx_jobs_idempotency_key\"";

    /// Takes what it is sent, but for the first times, when it says why not.
    #[derive(Default)]
    struct Moody {
        says: VecDeque<&'static str>,
        sent: Option<Task<u32>>,
        taken: Vec<u32>,
    }

    impl WireFormatBackend for Moody {
        type Codec = ();
        type Compact = u32;

        fn codec(&self) -> &() {
            &()
        }
    }

    impl Sink<Task<u32>> for Moody {
        type Error = Outer;

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Outer>> {
            Poll::Ready(Ok(()))
        }

        fn start_send(mut self: Pin<&mut Self>, job: Task<u32>) -> Result<(), Outer> {
            self.sent = Some(job);
            Ok(())
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Outer>> {
            if let Some(job) = self.sent.take() {
                if let Some(problem) = self.says.pop_front() {
                    return Poll::Ready(Err(Outer(std::io::Error::other(problem))));
                }
                self.taken.push(job.args);
            }
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Outer>> {
            self.poll_flush(cx)
        }
    }

    #[test]
    fn a_node_is_sent_until_the_backend_has_it() {
        for (says, taken) in [(vec![], [7, 8].as_slice()), (vec!["no connection"], &[7, 8]), (vec![THERE], &[8])] {
            let mut backend = TracedBackend::new(Moody { says: says.clone().into(), ..Moody::default() });
            let sending = async {
                let task = driver::begin(NewTask::new("graph"));
                let send = async {
                    for number in [7, 8] {
                        let mut metadata = MetadataStore::new();
                        let node = number.to_string();
                        metadata.extend([("apalis_workflow.graph.root_task_id", "R")]);
                        metadata.extend([("apalis_workflow.graph.current_node", node.as_str())]);
                        backend.send(TaskBuilder::new(number).with_metadata(metadata).build()).await?;
                    }
                    Ok::<_, Outer>(())
                };
                task.scope(send).await
            };
            let mut sent = None;
            let _ = block_on(record(async { sent = Some(sending.await) }));
            assert!(sent.is_some_and(|sent| sent.is_ok()), "{says:?}");
            assert_eq!(backend.inner().taken, taken, "{says:?}");
        }
    }

    #[test]
    fn postgres_says_that_a_node_is_there_already() {
        assert!(is_there_already(&Outer(std::io::Error::other(THERE))));
        assert!(!is_there_already(&Outer(std::io::Error::other("connection refused"))));
    }
}
