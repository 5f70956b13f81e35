//! Beginning a task.

use std::error::Error;
use std::time::Duration;

use apalis_core::backend::codec::Codec;
use apalis_core::backend::{Backend, BackendConfig, WireFormatBackend};
use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::GenerateId;
use futures_sink::Sink;
use futures_util::SinkExt as _;
use tasker_telemetry::driver::{self, NewTask};
use tasker_telemetry::trace::Carrier;

use crate::backend::TracedBackend;
use crate::error::StartError;
use crate::metadata::Carried;
use crate::told;

/// A task that was begun and enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The id of the job that begins it, by which the engine knows it.
    pub job_id: String,
    /// What travels with it: its id, its trace.
    pub carrier: Carrier,
}

/// Begins a task and enqueues the first node of its graph; a graph that begins with several nodes takes the arguments of all,
/// as a tuple or list whose parts are encoded one by one (`GraphCodec::encode`).
///
/// Tells `task.initialize_requested` and, once the backend has it, `observability.task.enqueue`.
///
/// # Errors
/// [`StartError`] when the arguments cannot be encoded or the backend does not take them: then nothing was begun, and nothing
/// but `task.initialize_requested` and `task.cancelled` told.
pub async fn start_task<B, Args, E>(
    backend: &mut TracedBackend<B>,
    task: NewTask,
    args: Args,
) -> Result<Started, StartError>
where
    B: Backend<Error = E> + BackendConfig + WireFormatBackend + Sink<Task<B::Compact>, Error = E> + Unpin,
    B::Id: GenerateId,
    B::Codec: Codec<Args, Compact = B::Compact>,
    <B::Codec as Codec<Args>>::Error: Into<BoxDynError>,
    B::Compact: Clone + Unpin,
    E: Error + Send + Sync + 'static,
{
    start_task_after(backend, task, args, Duration::ZERO).await
}

/// The same, but nothing runs before that time has passed. The engine counts in whole seconds, upwards. The waiting is no part
/// of the task's time, nor of its first step's `queue_time`.
///
/// # Errors
/// As [`start_task`].
pub async fn start_task_after<B, Args, E>(
    backend: &mut TracedBackend<B>,
    task: NewTask,
    args: Args,
    delay: Duration,
) -> Result<Started, StartError>
where
    B: Backend<Error = E> + BackendConfig + WireFormatBackend + Sink<Task<B::Compact>, Error = E> + Unpin,
    B::Id: GenerateId,
    B::Codec: Codec<Args, Compact = B::Compact>,
    <B::Codec as Codec<Args>>::Error: Into<BoxDynError>,
    B::Compact: Clone + Unpin,
    E: Error + Send + Sync + 'static,
{
    let args = backend.codec().encode(&args).map_err(|error| StartError::Arguments(error.into()))?;
    let task = driver::begin(task);
    let carrier = task.carrier();
    let id = B::Id::generate();
    let job_id = id.to_string();
    let mut job = TaskBuilder::new(args).task_id(id).metadata(&Carried::now(carrier.clone()));
    if !delay.is_zero() {
        job = job.run_after(delay + Duration::from_nanos(999_999_999));
    }
    if let Err(error) = backend.send(job.build()).await {
        task.cancel();
        return Err(StartError::Backend(error.into()));
    }
    let queue = backend.told_queue_name().unwrap_or(carrier.task_name());
    told::enqueued(&task, queue);
    let _ = task.hand_over();
    Ok(Started { job_id, carrier })
}
