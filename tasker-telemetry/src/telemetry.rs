//! The telemetry itself: a value that a program builds, installs or uses in a scope, and shuts down.
//!
//! Everything that is set stands in the [`Builder`]; what runs is [`Core`], which nothing but this crate sees.

mod builder;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::filter::{Filter, Filters};
use crate::logs::LogControl;
#[cfg(feature = "otlp")]
use crate::logs::LogLine;
use crate::metrics::push::{self, Asked, Pusher};
use crate::metrics::{self, MetricsBackend};
use crate::otel::Spot;
use crate::publisher::{End, Ended, Health, Publisher, SubscriberHealth, Ticket};
use crate::scope::{self, Entered, InScope, Scope};
use crate::settings::InForce;
#[cfg(feature = "_store")]
use crate::store::Store;
#[cfg(feature = "otlp")]
use crate::trace::Exporter;
use crate::trace::{Sampling, Tracing};

pub use self::builder::{BuildError, Builder};

/// What runs behind a [`Telemetry`]; tasks hold on to it as long as they live.
pub(crate) struct Core {
    enabled: bool,
    step_processing: bool,
    service_name: String,
    service_version: String,
    publisher: Publisher,
    filters: Filters,
    metrics: metrics::Store,
    tracing: Option<Tracing>,
    #[cfg(feature = "_store")]
    store: Option<Store>,
    log_spans: bool,
    catalog_problems: Vec<String>,
    explicit_tasks: AtomicU64,
    implicit_tasks: AtomicU64,
    concurrency_overruns: AtomicU64,
    invalid_correlation_ids: AtomicU64,
    log: Option<Arc<LogControl>>,
    #[cfg(feature = "otlp")]
    log_exporter: Option<Exporter<LogLine>>,
    /// Which installation it is; 0 until it is installed.
    installation: AtomicU32,
    _live: Option<Live>,
}

/// How many cores there are. While there is none, a step costs one load.
static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Live;

impl Live {
    fn new() -> Self {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The telemetry of the process, where no scope names another.
static INSTALLED: ArcSwapOption<Core> = ArcSwapOption::const_empty();

/// What a step outside any task has to know of it: the number of its installation if nobody is to be told of such a step,
/// else 0. Looking at `INSTALLED` costs 90 instructions more.
static QUIET: AtomicU32 = AtomicU32::new(0);

/// The steps that began with that knowledge, to be added to the core's own count.
static QUIET_STEPS: AtomicU64 = AtomicU64::new(0);

static INSTALLATIONS: AtomicU32 = AtomicU32::new(0);

/// Whether there is any telemetry in this process.
#[inline]
pub(crate) fn is_on() -> bool {
    LIVE.load(Ordering::Relaxed) > 0
}

/// The telemetry of the process.
pub(crate) fn installed() -> Option<Arc<Core>> {
    INSTALLED.load_full()
}

/// Looks at the telemetry of the process, if there is one.
pub(crate) fn with_installed(look: impl FnOnce(&Arc<Core>)) {
    if let Some(core) = &*INSTALLED.load() {
        look(core);
    }
}

/// The number of the installed telemetry for a step outside any task, which is counted; `None` if there is none, or somebody
/// is to be told of the step.
#[inline]
pub(crate) fn begin_quiet_step() -> Option<u32> {
    let installation = QUIET.load(Ordering::Acquire);
    if installation == 0 {
        return None;
    }
    QUIET_STEPS.fetch_add(1, Ordering::Relaxed);
    Some(installation)
}

/// The telemetry of the process, if it is still that one.
pub(crate) fn installed_as(installation: u32) -> Option<Arc<Core>> {
    installed().filter(|core| core.installation.load(Ordering::Relaxed) == installation)
}

/// The telemetry that applies where the calling code runs; `None` when there is none, or it is off.
pub(crate) fn current() -> Option<Arc<Core>> {
    if !is_on() {
        return None;
    }
    let core = scope::with_current(|scope| match scope {
        Scope::Empty | Scope::Installed(..) => None,
        Scope::Telemetry(core) | Scope::Light(core, ..) => Some(Arc::clone(core)),
        Scope::Task(task, ..) => Some(Arc::clone(task.core())),
    });
    core.or_else(installed).filter(|core| core.enabled)
}

/// Whether somebody listens to the telemetry that applies here. Asked before every step with `fields(..)`, so it looks
/// without copying an `Arc` (two atomic operations, 10 ns).
#[inline]
pub(crate) fn is_listened_to() -> bool {
    is_on() && is_listened_to_here()
}

fn is_listened_to_here() -> bool {
    let listens = |core: &Core| core.enabled && !core.publisher.is_silent();
    let found = scope::with_current(|scope| match scope {
        Scope::Empty | Scope::Installed(..) => None,
        Scope::Telemetry(core) | Scope::Light(core, ..) => Some(listens(core)),
        Scope::Task(task, ..) => Some(task.is_watched()),
    });
    found.unwrap_or_else(|| INSTALLED.load().as_deref().is_some_and(listens))
}

/// A telemetry to which nobody listens, for what must work without one.
pub(crate) fn silent() -> Arc<Core> {
    Arc::new(Core {
        enabled: true,
        step_processing: false,
        service_name: String::new(),
        service_version: String::new(),
        publisher: Publisher::silent(),
        filters: Filters::new(Filter::none(), Vec::new(), Vec::new()),
        metrics: metrics::Store::new(false, metrics::DEFAULT_SERIES_LIMIT, metrics::Format::default()),
        tracing: None,
        #[cfg(feature = "_store")]
        store: None,
        log_spans: false,
        catalog_problems: Vec::new(),
        explicit_tasks: AtomicU64::new(0),
        implicit_tasks: AtomicU64::new(0),
        concurrency_overruns: AtomicU64::new(0),
        invalid_correlation_ids: AtomicU64::new(0),
        log: None,
        #[cfg(feature = "otlp")]
        log_exporter: None,
        installation: AtomicU32::new(0),
        _live: Some(Live::new()),
    })
}

impl Core {
    pub(crate) const fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// What is masked, now.
    #[inline]
    pub(crate) fn filter(&self) -> &Filter {
        self.filters.get()
    }

    pub(crate) const fn filters(&self) -> &Filters {
        &self.filters
    }

    /// From now on more or less is logged.
    pub(crate) fn change_log(&self, change: impl FnOnce(&LogControl)) -> Result<(), String> {
        let Some(log) = &self.log else {
            return Err("cannot change now, since nothing was set up for logs: give a `log_level`, a \
                        `slow_step_threshold`, or read settings from a file or the environment"
                .to_owned());
        };
        change(log);
        self.publisher.log_wants(log.wanted());
        if !self.is_quiet() {
            self.uninstalled(); // steps look again whether anybody is to be told of them
        }
        Ok(())
    }

    /// From now on tasks that begin are sampled otherwise; without spans it makes no difference.
    #[allow(clippy::unnecessary_wraps, reason = "one of several that may refuse")]
    pub(crate) fn change_sampling(&self, change: impl Fn(Sampling) -> Sampling) -> Result<(), String> {
        if let Some(tracing) = &self.tracing {
            tracing.change_sampling(change);
        }
        Ok(())
    }

    pub(crate) const fn metrics(&self) -> &metrics::Store {
        &self.metrics
    }

    /// What makes spans; `None` when there is no exporter.
    pub(crate) const fn tracing(&self) -> Option<&Tracing> {
        self.tracing.as_ref()
    }

    /// Whether bodies run inside a `tracing` span.
    pub(crate) const fn makes_log_spans(&self) -> bool {
        self.log_spans
    }

    /// How long a failed attempt may wait until it is written, if it has to be.
    #[cfg(feature = "_store")]
    pub(crate) fn strict_limit(&self) -> Option<Duration> {
        self.store.as_ref().and_then(Store::strict_limit)
    }

    #[cfg(not(feature = "_store"))]
    #[allow(clippy::unused_self, reason = "the same shape as with a store")]
    pub(crate) const fn strict_limit(&self) -> Option<Duration> {
        None
    }

    /// A failed attempt that had to be written was not.
    #[cfg_attr(not(feature = "_store"), allow(clippy::unused_self, reason = "the same shape as with a store"))]
    pub(crate) fn failure_not_written(&self) {
        #[cfg(feature = "_store")]
        if let Some(store) = &self.store {
            store.failure_not_written();
        }
    }

    pub(crate) const fn tells_step_processing(&self) -> bool {
        self.step_processing
    }

    pub(crate) const fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(crate) fn task_began(&self) {
        self.explicit_tasks.fetch_add(1, Ordering::Relaxed);
    }

    /// Counted here only, and added to the tasks when somebody asks: each counter is an atomic operation per step (5 ns).
    pub(crate) fn implicit_task_began(&self) {
        self.implicit_tasks.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn concurrency_overrun(&self) {
        self.concurrency_overruns.fetch_add(1, Ordering::Relaxed);
    }

    /// Where lines of logs are sent from.
    #[cfg(all(feature = "otlp", feature = "logs"))]
    pub(crate) const fn log_exporter(&self) -> Option<&Exporter<LogLine>> {
        self.log_exporter.as_ref()
    }

    /// Has lines sent that wait; `None` when none are sent. `last`: none follow.
    #[cfg_attr(not(feature = "otlp"), allow(clippy::unused_self, reason = "no lines are sent"))]
    fn flush_logs(&self, deadline: Instant, last: bool) -> Asked {
        #[cfg(feature = "otlp")]
        if let Some(exporter) = &self.log_exporter {
            let ticket = Arc::new(Ticket::new(deadline));
            ticket.wait_for_more(1);
            exporter.flush(Arc::clone(&ticket), last);
            return vec![(exporter.name(), ticket)];
        }
        let _ = (deadline, last);
        Vec::new()
    }

    /// Time was up for them.
    #[cfg_attr(not(feature = "otlp"), allow(clippy::unused_self, reason = "no lines are sent"))]
    fn give_up_logs(&self) {
        #[cfg(feature = "otlp")]
        if let Some(exporter) = &self.log_exporter {
            exporter.give_up();
        }
    }

    #[cold]
    pub(crate) fn invalid_correlation_id(&self) {
        self.invalid_correlation_ids.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether nobody is to be told of a step in it: no event, no metric.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.enabled && self.publisher.is_silent() && self.metrics.life_cycle().is_none()
    }

    /// It has become the telemetry of the process.
    fn installed(&self) {
        let installation = INSTALLATIONS.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        self.installation.store(installation, Ordering::Relaxed);
        if self.is_quiet() {
            QUIET_STEPS.store(0, Ordering::Relaxed);
            QUIET.store(installation, Ordering::Release);
        }
    }

    /// It is not the telemetry of the process any more. What was counted for it is its own now.
    fn uninstalled(&self) {
        let installation = self.installation.load(Ordering::Relaxed);
        if installation != 0 && QUIET.compare_exchange(installation, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.implicit_tasks.fetch_add(QUIET_STEPS.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    fn quiet_steps(&self) -> u64 {
        let installation = self.installation.load(Ordering::Relaxed);
        let is_counted_apart = installation != 0 && QUIET.load(Ordering::Relaxed) == installation;
        if is_counted_apart { QUIET_STEPS.load(Ordering::Relaxed) } else { 0 }
    }

    pub(crate) fn health(&self) -> Health {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut health = self.publisher.health();
        health.spans = self.tracing.as_ref().map(Tracing::health);
        health.service_name.clone_from(&self.service_name);
        health.implicit_tasks = count(&self.implicit_tasks) + self.quiet_steps();
        health.tasks_started = count(&self.explicit_tasks) + health.implicit_tasks;
        health.concurrency_overruns = count(&self.concurrency_overruns);
        #[cfg(feature = "otlp")]
        {
            health.logs = self.log_exporter.as_ref().map(|exporter| exporter.books().health());
        }
        health.invalid_correlation_ids = count(&self.invalid_correlation_ids);
        health.catalog_problems.clone_from(&self.catalog_problems);
        health.metric_pushes = self.metrics.push_health();
        #[cfg(feature = "_store")]
        {
            health.store = self.store.as_ref().map(Store::health);
        }
        health
    }
}

/// The telemetry of a program: hand it subscribers, install it, shut it down.
///
/// ```
/// use tasker_telemetry::prelude::*;
///
/// #[task(id = order)]
/// async fn order_process(order: u64) -> u64 { order * 2 }
///
/// # tasker_telemetry::testing::block_on(async {
/// let telemetry = Telemetry::builder().service_name("shop").build()?;
/// assert_eq!(telemetry.scope(order_process(21)).await, 42);
/// telemetry.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// Dropping it shuts it down, too, and waits for it at most as long as [`Builder::shutdown_timeout`] says.
#[must_use = "dropping the telemetry shuts it down"]
pub struct Telemetry {
    core: Arc<Core>,
    pushers: Vec<Pusher>,
    installed: bool,
    shut_down: AtomicBool,
    shutdown_timeout: Duration,
    in_force: InForce,
    #[cfg(feature = "serve")]
    server: Option<metrics::serve::Server>,
}

impl Telemetry {
    /// A telemetry with the default settings, to be changed.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) const fn in_force(&self) -> &InForce {
        &self.in_force
    }

    /// Where `/metrics` and `/health` are served, if the settings say so (`serve.address`).
    #[cfg(feature = "serve")]
    #[must_use]
    pub fn serves_at(&self) -> Option<std::net::SocketAddr> {
        self.server.as_ref().map(metrics::serve::Server::local_addr)
    }

    /// The name of the service.
    #[must_use]
    pub fn service_name(&self) -> &str {
        &self.core.service_name
    }

    /// The version of the service; empty when not given.
    #[must_use]
    pub fn service_version(&self) -> &str {
        &self.core.service_version
    }

    /// Runs a future with this telemetry, whatever is installed: tests run several at once.
    pub fn scope<F: Future>(&self, future: F) -> InScope<F> {
        InScope::new(Scope::Telemetry(Arc::clone(&self.core)), Spot::none(), future)
    }

    /// Calls a function with this telemetry, whatever is installed.
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let mut scope = Scope::Telemetry(Arc::clone(&self.core));
        let _entered = Entered::new(&mut scope, scope::is_polling());
        f()
    }

    /// How the telemetry itself is doing: what was published, delivered and dropped, by subscriber and reason.
    #[must_use]
    pub fn health(&self) -> Health {
        self.core.health()
    }

    /// The metrics: what the life cycle counted and timed, and yours. They go on after [`shutdown`](Self::shutdown).
    #[must_use]
    pub fn metrics(&self) -> MetricsBackend {
        MetricsBackend::new(Arc::clone(&self.core))
    }

    /// The store, if there is one: what can be asked of it, and what operators can do.
    #[cfg(feature = "_store")]
    #[must_use]
    pub fn store(&self) -> Option<Store> {
        self.core.store.clone()
    }

    /// Waits until everything published so far has been handled, then pushes metrics where they are pushed; at most for the
    /// shutdown timeout, and half a second for the push.
    ///
    /// # Errors
    /// [`FlushError`] when that took too long: what waits stays in its queue and is handled later. Also when a push failed.
    pub async fn flush(&self) -> Result<(), FlushError> {
        let deadline = self.deadline();
        let ticket = self.core.publisher.flush(deadline);
        let end = Ended(ticket).await;
        let end = end.and(push::wait(self.core.flush_logs(deadline, false)).await.is_empty());
        self.answer(end, push::wait(push::ask_all(&self.pushers, deadline, false)).await)
    }

    /// [`flush`](Self::flush) for code that is not async. Blocks the thread.
    ///
    /// # Errors
    /// As `flush`.
    pub fn flush_blocking(&self) -> Result<(), FlushError> {
        let deadline = self.deadline();
        let end = self.core.publisher.flush(deadline).wait();
        let end = end.and(push::wait_blocking(&self.core.flush_logs(deadline, false)).is_empty());
        self.answer(end, push::wait_blocking(&push::ask_all(&self.pushers, deadline, false)))
    }

    /// Takes no more events, waits until those published before have been handled, pushes metrics for the last time, and ends
    /// the threads; all that within [`Builder::shutdown_timeout`] and half a second for the push. Never blocks the thread, so it is right on a current-thread runtime, too.
    ///
    /// # Errors
    /// [`FlushError`] when time was up: what was left then is dropped, and counted in [`health`](Self::health). Also when
    /// a push failed.
    pub async fn shutdown(&self) -> Result<(), FlushError> {
        let deadline = self.deadline();
        let ticket = self.begin_shutdown(deadline);
        let end = Ended(ticket).await;
        let sent = push::wait(self.core.flush_logs(deadline, true)).await.is_empty();
        self.core.give_up_logs(); // whatever is left is counted
        let end = end.and(sent);
        self.answer(end, push::wait(push::ask_all(&self.pushers, deadline, true)).await)
    }

    /// [`shutdown`](Self::shutdown) for code that is not async. Blocks the thread.
    ///
    /// # Errors
    /// As `shutdown`.
    pub fn shutdown_blocking(&self) -> Result<(), FlushError> {
        let deadline = self.deadline();
        let end = self.begin_shutdown(deadline).wait();
        let sent = push::wait_blocking(&self.core.flush_logs(deadline, true)).is_empty();
        self.core.give_up_logs();
        let end = end.and(sent);
        self.answer(end, push::wait_blocking(&push::ask_all(&self.pushers, deadline, true)))
    }

    fn begin_shutdown(&self, deadline: Instant) -> Arc<Ticket> {
        self.shut_down.store(true, Ordering::Relaxed);
        if self.installed {
            let installed = INSTALLED.load();
            if installed.as_ref().is_some_and(|core| Arc::ptr_eq(core, &self.core)) {
                self.core.uninstalled();
                INSTALLED.compare_and_swap(&*installed, None);
            }
        }
        self.core.publisher.shutdown(deadline)
    }

    fn deadline(&self) -> Instant {
        let now = Instant::now();
        // A limit beyond what the clock can count is no limit: a year will do.
        now.checked_add(self.shutdown_timeout).unwrap_or_else(|| now + A_YEAR)
    }

    fn answer(&self, end: End, failed_pushes: Vec<&'static str>) -> Result<(), FlushError> {
        let is_late = end == End::Late;
        if !is_late && failed_pushes.is_empty() {
            return Ok(());
        }
        let is_behind = |s: &SubscriberHealth| is_late && (s.backlog > 0 || s.dropped.contains_key("shutdown"));
        let subscribers = self.health().subscribers.into_iter().filter(is_behind).map(|s| s.name).collect();
        Err(FlushError { limit: self.shutdown_timeout, is_late, subscribers, failed_pushes })
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if !self.shut_down.load(Ordering::Relaxed)
            && let Err(error) = self.shutdown_blocking()
        {
            tracing::warn!(target: "tasker_telemetry", "{error}");
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("service_name", &self.core.service_name)
            .field("installed", &self.installed)
            .finish_non_exhaustive()
    }
}

const A_YEAR: Duration = Duration::from_hours(365 * 24);

/// Not everything was handled within the time limit, or metrics could not be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushError {
    limit: Duration,
    is_late: bool,
    subscribers: Vec<&'static str>,
    failed_pushes: Vec<&'static str>,
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, subscribers, failed_pushes, .. } = self;
        if self.is_late {
            let behind = if subscribers.is_empty() { "the router".to_owned() } else { subscribers.join(", ") };
            write!(f, "not every event was handled within {limit:?}; still behind: {behind}")?;
        }
        if !failed_pushes.is_empty() {
            let between = if self.is_late { "; " } else { "" };
            write!(
                f,
                "{between}metrics could not be pushed: {} (see `health().metric_pushes`)",
                failed_pushes.join(", ")
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for FlushError {}

impl FlushError {
    /// The subscribers that were behind.
    #[must_use]
    pub fn subscribers(&self) -> &[&'static str] {
        &self.subscribers
    }

    /// The pushes of metrics that failed, by [`Push::name`](crate::metrics::push::Push::name).
    #[must_use]
    pub fn failed_pushes(&self) -> &[&'static str] {
        &self.failed_pushes
    }
}
