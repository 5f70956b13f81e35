//! Testing what a piece of code emits, and what a subscriber does with it.
//!
//! Nothing here is global: every [`Recording`] is a telemetry of its own, so tests run side by side.
//!
//! ```
//! use tasker_telemetry::prelude::*;
//! use tasker_telemetry::testing::{self, expect};
//!
//! #[step(retry_limit = 2)]
//! async fn charge(fail: bool) -> Result<(), std::fmt::Error> {
//!     if fail && StepScope::current().unwrap().attempt_number() == 1 { Err(std::fmt::Error) } else { Ok(()) }
//! }
//!
//! #[task]
//! async fn order_process() -> Result<(), std::fmt::Error> { charge(true).await }
//!
//! # testing::block_on(async {
//! let run = testing::record(order_process()).await;
//! assert!(run.output.is_ok());
//! run.select("step.*").assert_sequence([
//!     expect("step.execution_requested").with("attempt_number", 1),
//!     expect("step.started"),
//!     expect("step.failed").with("error_class", "core::fmt::Error").with("retryable", true),
//!     expect("step.retry_requested"),
//!     expect("step.execution_requested").with("attempt_number", 2),
//!     expect("step.started"),
//!     expect("step.completed").with("step_name", "charge"),
//! ]);
//! assert_eq!(run.count("task.completed"), 1);
//! # });
//! ```

mod deliver;
mod events;

use std::future::Future;
use std::ops::Deref;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

pub use self::deliver::{Delivery, deliver};
pub use self::events::{Events, Expected, expect};
use crate::catalog::{Source, SubscriberSpec};
use crate::event::EventRecord;
use crate::subscriber::{Dispatch, DynSubscriber, Registration};
use crate::telemetry::{BuildError, Builder, Telemetry};

/// Runs a future and records every event it emits.
///
/// The subscribers that register themselves take no part; [`Recording::with`] lets you choose others.
///
/// # Panics
/// As the future does.
pub async fn record<F: Future>(future: F) -> Recorded<F::Output> {
    let recording = Recording::new();
    let output = recording.scope(future).await;
    Recorded { output, events: recording.events() }
}

/// Calls a function and records every event it emits.
///
/// # Panics
/// As the function does.
pub fn record_sync<R>(f: impl FnOnce() -> R) -> Recorded<R> {
    let recording = Recording::new();
    let output = recording.in_scope(f);
    Recorded { output, events: recording.events() }
}

/// What some code returned, and the events it emitted: a `Recorded` is an [`Events`].
#[derive(Debug)]
#[must_use]
pub struct Recorded<T> {
    /// What the code returned.
    pub output: T,
    events: Events,
}

impl<T> Deref for Recorded<T> {
    type Target = Events;

    fn deref(&self) -> &Events {
        &self.events
    }
}

/// A telemetry that keeps every event, for code that does not simply return: that panics, is dropped, or spawns.
///
/// ```
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::testing::{Recording, expect};
///
/// #[step]
/// async fn slow() { std::future::pending::<()>().await }
///
/// let recording = Recording::new();
/// let mut step = Box::pin(recording.scope(slow()));
/// let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// assert!(step.as_mut().poll(&mut cx).is_pending());
/// drop(step);
/// recording.events().select("step.*").assert_sequence([
///     expect("step.execution_requested"), expect("step.started"), expect("step.cancelled"),
/// ]);
/// ```
#[derive(Debug)]
#[must_use]
pub struct Recording {
    telemetry: Telemetry,
    recorder: Recorder,
}

impl Recording {
    /// A recording without other subscribers.
    ///
    /// # Panics
    /// Never: such a telemetry starts no thread and has no setting that could be wrong.
    pub fn new() -> Self {
        match Self::with(Telemetry::builder().auto_subscribers(false)) {
            Ok(recording) => recording,
            Err(error) => unreachable!("a recording needs nothing that could fail: {error}"),
        }
    }

    /// A recording beside the subscribers and settings of that builder.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn with(builder: Builder) -> Result<Self, BuildError> {
        let recorder = Recorder::default();
        let telemetry = builder.registration(Registration::Inline(Arc::new(recorder.clone()))).build()?;
        Ok(Self { telemetry, recorder })
    }

    /// The telemetry behind it.
    pub const fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Runs a future whose events are recorded.
    pub fn scope<F: Future>(&self, future: F) -> crate::InScope<F> {
        self.telemetry.scope(future)
    }

    /// Calls a function whose events are recorded.
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        self.telemetry.in_scope(f)
    }

    /// The events recorded so far, in the order in which they happened.
    pub fn events(&self) -> Events {
        Events::new(self.recorder.lock().clone())
    }
}

impl Default for Recording {
    fn default() -> Self {
        Self::new()
    }
}

/// Keeps every event. Inline, so that an event is recorded when it happens.
#[derive(Debug, Clone, Default)]
struct Recorder {
    events: Arc<Mutex<Vec<EventRecord>>>,
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Vec<EventRecord>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DynSubscriber for Recorder {
    fn spec(&self) -> &'static SubscriberSpec {
        static SPEC: SubscriberSpec = SubscriberSpec {
            name: "tasker_telemetry::testing::Recording",
            patterns: &["*"],
            inline: true,
            source: Source { module: module_path!(), file: file!(), line: line!() },
        };
        &SPEC
    }

    fn dispatch<'a>(&'a self, record: &'a EventRecord) -> Option<Dispatch<'a>> {
        self.lock().push(record.clone());
        Some(Dispatch::Done(Ok(())))
    }
}

/// Polls a future on this thread until it is ready. For tests that need no runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
