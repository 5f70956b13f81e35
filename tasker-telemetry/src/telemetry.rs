//! The telemetry itself: a value that a program builds, installs or uses in a scope, and shuts down.
//!
//! Everything that is set stands in the [`Builder`]; what runs is [`Core`], which nothing but this crate sees; which one applies where
//! code runs is `installed.rs`'s word.

mod builder;
mod core;
mod flush_error;
mod installed;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[cfg(feature = "serve")]
use crate::metrics;
use crate::metrics::MetricsBackend;
use crate::metrics::push::{self, Pusher};
use crate::otel::Spot;
use crate::publisher::{End, Ended, Health, SubscriberHealth, Ticket};
use crate::scope::{self, Entered, InScope, Scope};
use crate::settings::InForce;
#[cfg(feature = "_store")]
use crate::store::Store;

pub use self::builder::{BuildError, Builder};
pub use self::flush_error::FlushError;

pub(crate) use self::core::{Core, silent};
pub(crate) use self::installed::{begin_quiet_step, current, installed_as, is_listened_to, is_on, with_installed};

use self::installed::INSTALLED;

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
