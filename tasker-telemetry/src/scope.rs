//! The scope: the running task or step that code finds itself in.
//!
//! It lies in a thread-local cell while a body runs, and in the body's future while it does not: the two change places when
//! the future is polled, and again when the poll ends. So it follows the future from thread to thread, costs no reference
//! count, and needs no `unsafe`. What happens *in* a scope is `lifecycle`'s business.

mod here;
mod lent;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pub(crate) use self::here::{Here, exchange, is_polling, with_here, with_lanes, with_place};
pub(crate) use self::lent::{Lent, LentTask};
use crate::catalog::StepSpec;
use crate::id;
use crate::lifecycle::TaskCore;
use crate::otel::Spot;
use crate::publisher::StepPlace;
use crate::telemetry::{self, Core};
use crate::trace::{Remote, SpanId, TaskTrace, TraceId};

/// Where code finds itself.
#[derive(Clone, Default)]
pub(crate) enum Scope {
    /// Nowhere: the process default telemetry, if any, applies.
    #[default]
    Empty,
    /// Inside `telemetry.scope(..)`.
    Telemetry(Arc<Core>),
    /// Inside a task, and inside a step of it if there is one.
    Task(Arc<TaskCore>, Option<StepPlace>, Permit),
    /// Inside a step outside any task, of which nobody has wanted to know yet: no task is made for it until somebody does.
    Light(Arc<Core>, &'static StepSpec, u32),
    /// The same under the installed telemetry, which is looked up when somebody wants to know: which installation it was.
    Installed(&'static StepSpec, u32),
}

/// Whether a step, or one around it, holds one of its task's permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    Held,
    NotHeld,
}

/// Looks at the current scope, with the same condition.
pub(crate) fn with_current<R>(mut look: impl FnMut(&mut Scope) -> R) -> R {
    with_here(|here| look(&mut here.scope))
}

/// A copy of the current scope.
pub(crate) fn current() -> Scope {
    with_current(|scope| scope.clone())
}

/// The span of the step that the calling code runs in, if that is one of this task.
pub(crate) fn step_span_in(task: &Arc<TaskCore>) -> Option<SpanId> {
    with_current(|scope| match scope {
        Scope::Task(around, Some(place), _) if Arc::ptr_eq(around, task) => {
            Some(SpanId::of_step(task.nonce(), place.number, place.attempt))
        }
        _ => None,
    })
}

/// The span that the calling code runs in: that of a step, else that of a task.
pub(crate) fn span() -> Option<Remote> {
    with_current(|scope| match scope {
        Scope::Task(task, None, _) => task.trace().map(TaskTrace::as_remote),
        Scope::Task(task, Some(place), _) => task.trace().map(|trace| {
            let span = SpanId::of_step(task.nonce(), place.number, place.attempt);
            Remote::new(trace.id(), span, trace.is_sampled())
        }),
        Scope::Empty | Scope::Telemetry(_) | Scope::Light(..) | Scope::Installed(..) => None,
    })
}

/// While it lives, `inner` is the current scope, and holds the one around it; then they change places again.
pub(crate) struct Entered<'a> {
    inner: &'a mut Scope,
    was_polling: bool,
}

impl<'a> Entered<'a> {
    #[inline]
    pub(crate) fn new(inner: &'a mut Scope, polling: bool) -> Self {
        let was_polling = exchange(inner, polling);
        Self { inner, was_polling }
    }
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        exchange(self.inner, self.was_polling);
    }
}

impl Scope {
    /// That of a task's body.
    pub(crate) const fn of_task(task: Arc<TaskCore>) -> Self {
        Self::Task(task, None, Permit::NotHeld)
    }

    /// The task of this scope; made now if so far nobody wanted to know.
    pub(crate) fn task(&mut self) -> Option<&Arc<TaskCore>> {
        if let Self::Light(..) | Self::Installed(..) = self {
            self.make_task();
        }
        match self {
            Self::Task(task, ..) => Some(task),
            Self::Empty | Self::Telemetry(_) | Self::Light(..) | Self::Installed(..) => None,
        }
    }

    #[cold]
    fn make_task(&mut self) {
        let (core, spec, attempt) = match self {
            Self::Light(core, spec, attempt) => (Arc::clone(core), *spec, *attempt),
            Self::Installed(spec, installed) => match telemetry::installed_as(*installed) {
                Some(core) => (core, *spec, 1),
                None => return, // it was shut down meanwhile
            },
            Self::Empty | Self::Telemetry(_) | Self::Task(..) => return,
        };
        let task = TaskCore::implicit(core, spec, None);
        let number = task.next_step();
        *self = Self::Task(task, Some(StepPlace { spec, number, attempt, parent: 0 }), Permit::NotHeld);
    }
}

/// The task that the calling code runs in.
///
/// ```
/// use tasker_telemetry::prelude::*;
///
/// #[task(id = order)]
/// async fn order_process(order: u64) -> Option<String> {
///     TaskScope::current().map(|task| format!("{} {}", task.task_name(), task.task_id()))
/// }
///
/// let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
/// let seen = tasker_telemetry::testing::block_on(telemetry.scope(order_process(7)));
/// assert_eq!(seen.as_deref(), Some("order_process 7"));
/// assert!(TaskScope::current().is_none());
/// ```
#[derive(Clone)]
pub struct TaskScope {
    task: Arc<TaskCore>,
}

impl TaskScope {
    /// The task that the calling code runs in; `None` outside any task and when telemetry is off. A step that runs outside
    /// any task is a task of its own.
    #[must_use]
    pub fn current() -> Option<Self> {
        with_current(|scope| scope.task().map(|task| Self { task: Arc::clone(task) }))
    }

    pub(crate) const fn core_of_task(&self) -> &Arc<TaskCore> {
        &self.task
    }

    /// The task's identity.
    #[must_use]
    pub fn task_id(&self) -> &str {
        self.task.id().as_str()
    }

    /// The task's name.
    #[must_use]
    pub fn task_name(&self) -> &'static str {
        self.task.name()
    }

    /// What ties together everything that one request caused: what the caller gave ([`CorrelationId`](crate::CorrelationId),
    /// `#[task(correlation_id = ..)]`), else the trace id.
    #[must_use]
    pub fn correlation_id(&self) -> String {
        (**self.task.correlation_id()).to_owned()
    }

    /// The W3C trace id that the task is seen under, when it is traced.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        self.task.trace().map(TaskTrace::id)
    }

    /// How many steps have begun so far.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        self.task.counts().total
    }

    /// How many steps have ended well so far.
    #[must_use]
    pub fn completed_steps(&self) -> u64 {
        self.task.counts().completed
    }

    /// How many steps have failed for good so far.
    #[must_use]
    pub fn failed_steps(&self) -> u64 {
        self.task.counts().failed
    }
}

impl fmt::Debug for TaskScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScope").field("task_id", &self.task_id()).field("task_name", &self.task_name()).finish()
    }
}

/// The step, and the attempt of it, that the calling code runs in.
///
/// ```
/// use tasker_telemetry::prelude::*;
///
/// #[step(retry_limit = 3)]
/// fn charge(amount: u64) -> Result<u32, String> {
///     let step = StepScope::current().expect("inside a step");
///     assert_eq!((step.step_name(), step.retry_limit()), ("charge", 3));
///     if step.attempt_number() < 2 { Err(format!("{amount}: try again")) } else { Ok(step.attempt_number()) }
/// }
///
/// let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
/// assert_eq!(telemetry.in_scope(|| charge(5)), Ok(2));
/// ```
#[derive(Clone)]
pub struct StepScope {
    task: Arc<TaskCore>,
    place: StepPlace,
}

impl StepScope {
    /// The step that the calling code runs in; `None` outside any step and when telemetry is off.
    #[must_use]
    pub fn current() -> Option<Self> {
        with_current(|scope| {
            scope.task();
            match scope {
                Scope::Task(task, Some(place), _) => Some(Self { task: Arc::clone(task), place: *place }),
                _ => None,
            }
        })
    }

    /// That of a step that runs where telemetry is off, for code that is given scopes as arguments: nobody is told of it. `task`
    /// is the one of its earlier attempts.
    pub(crate) fn detached(spec: &'static StepSpec, attempt: u32, task: &mut Option<Self>) -> Self {
        let before = task.take();
        let place = StepPlace { spec, number: 0, attempt, parent: 0 };
        let core = before.map_or_else(|| TaskCore::implicit(telemetry::silent(), spec, None), |before| before.task);
        let scope = Self { task: core, place };
        *task = Some(scope.clone());
        scope
    }

    /// The step's identity, a UUID: the same for all its attempts.
    #[must_use]
    pub fn step_id(&self) -> String {
        id::step_id(self.task.nonce(), self.place.number).to_string()
    }

    /// The step's name.
    #[must_use]
    pub const fn step_name(&self) -> &'static str {
        self.place.spec.name
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub const fn attempt_number(&self) -> u32 {
        self.place.attempt
    }

    /// How many attempts the step gets in all.
    #[must_use]
    pub fn retry_limit(&self) -> u32 {
        self.place.retry_limit(&self.task)
    }

    /// The attempt's own span, when the task is traced.
    #[cfg(feature = "logs")]
    pub(crate) fn span_id(&self) -> Option<SpanId> {
        let span = SpanId::of_step(self.task.nonce(), self.place.number, self.place.attempt);
        self.task.trace().map(|_| span)
    }

    /// The attempt's own span as a W3C `traceparent`, when the task is traced: what an outgoing request carries so that what
    /// it causes is seen below this step. With the feature `otel`, OpenTelemetry's propagators send it by themselves.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        self.task.trace().map(|trace| {
            let span = SpanId::of_step(self.task.nonce(), self.place.number, self.place.attempt);
            Remote::new(trace.id(), span, trace.is_sampled()).to_string()
        })
    }

    /// The task that the step belongs to.
    #[must_use]
    pub fn task(&self) -> TaskScope {
        TaskScope { task: Arc::clone(&self.task) }
    }
}

impl fmt::Debug for StepScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepScope")
            .field("step_id", &self.step_id())
            .field("step_name", &self.step_name())
            .field("attempt_number", &self.attempt_number())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// A future that runs in a scope of its own: see [`InCurrentScope`] and [`Telemetry::scope`](crate::Telemetry::scope).
    #[must_use = "futures do nothing unless polled"]
    pub struct InScope<F> {
        scope: Scope,
        spot: Spot,
        #[pin]
        inner: Option<F>,
    }

    impl<F> PinnedDrop for InScope<F> {
        fn drop(this: Pin<&mut Self>) {
            // What the future holds is dropped in its scope, too.
            let mut this = this.project();
            let _attached = this.spot.attach();
            let _entered = Entered::new(this.scope, true);
            this.inner.set(None);
        }
    }
}

impl<F> InScope<F> {
    pub(crate) const fn new(scope: Scope, spot: Spot, inner: F) -> Self {
        Self { scope, spot, inner: Some(inner) }
    }
}

impl<F: Future> Future for InScope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _attached = this.spot.attach();
        let _entered = Entered::new(this.scope, true);
        match this.inner.as_pin_mut() {
            Some(inner) => inner.poll(cx),
            None => Poll::Pending, // only after its own drop: unreachable
        }
    }
}

impl<F> fmt::Debug for InScope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InScope").finish_non_exhaustive()
    }
}

/// Lets a future keep the scope in which it was made, for `spawn`.
///
/// ```no_run
/// use tasker_telemetry::prelude::*;
/// # async fn child() {}
/// # async fn parent() {
/// tokio::spawn(child().in_current_scope());
/// # }
/// ```
pub trait InCurrentScope: Future + Sized {
    /// This future, run in the scope that is current now.
    fn in_current_scope(self) -> InScope<Self> {
        InScope::new(current(), Spot::current(), self)
    }
}

impl<F: Future> InCurrentScope for F {}

/// Lets a closure keep the scope in which it was made, for threads and `spawn_blocking`.
///
/// ```
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::with_current_scope;
///
/// #[step]
/// fn hash() -> Option<String> {
///     let seen = std::thread::spawn(with_current_scope(|| StepScope::current().map(|step| step.step_name().to_owned())));
///     seen.join().ok().flatten()
/// }
/// let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
/// assert_eq!(telemetry.in_scope(hash).as_deref(), Some("hash"));
/// ```
pub fn with_current_scope<R>(f: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let (mut scope, spot) = (current(), Spot::current());
    move || {
        let _attached = spot.attach();
        let _entered = Entered::new(&mut scope, false);
        f()
    }
}
