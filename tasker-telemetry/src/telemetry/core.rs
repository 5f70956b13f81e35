//! What runs behind a telemetry: its parts, and what it counts of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::installed::{Installation, Live};
use crate::filter::{Filter, Filters};
use crate::logs::LogControl;
#[cfg(feature = "otlp")]
use crate::logs::LogLine;
use crate::metrics;
use crate::metrics::push::Asked;
#[cfg(feature = "otlp")]
use crate::publisher::Ticket;
use crate::publisher::{Health, Publisher};
#[cfg(feature = "_store")]
use crate::store::Store;
#[cfg(feature = "otlp")]
use crate::trace::Exporter;
use crate::trace::{Sampling, Tracing};

/// What runs behind a [`Telemetry`](super::Telemetry); tasks hold on to it as long as they live.
pub(crate) struct Core {
    pub(super) enabled: bool,
    pub(super) step_processing: bool,
    pub(super) service_name: String,
    pub(super) service_version: String,
    pub(super) publisher: Publisher,
    pub(super) filters: Filters,
    pub(super) metrics: metrics::Store,
    pub(super) tracing: Option<Tracing>,
    #[cfg(feature = "_store")]
    pub(super) store: Option<Store>,
    pub(super) log_spans: bool,
    pub(super) catalog_problems: Vec<String>,
    pub(super) explicit_tasks: AtomicU64,
    pub(super) implicit_tasks: AtomicU64,
    pub(super) concurrency_overruns: AtomicU64,
    pub(super) invalid_correlation_ids: AtomicU64,
    pub(super) log: Option<Arc<LogControl>>,
    #[cfg(feature = "otlp")]
    pub(super) log_exporter: Option<Exporter<LogLine>>,
    pub(super) installation: Installation,
    pub(super) _live: Option<Live>,
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
        installation: Installation::default(),
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
    pub(super) fn flush_logs(&self, deadline: Instant, last: bool) -> Asked {
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
    pub(super) fn give_up_logs(&self) {
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

    /// As what it is installed.
    pub(super) const fn installation(&self) -> &Installation {
        &self.installation
    }

    /// It has become the telemetry of the process.
    pub(super) fn installed(&self) {
        self.installation.begin(self.is_quiet());
    }

    /// It is not the telemetry of the process any more. What was counted for it is its own now.
    pub(super) fn uninstalled(&self) {
        self.implicit_tasks.fetch_add(self.installation.end(), Ordering::Relaxed);
    }

    pub(crate) fn health(&self) -> Health {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut health = self.publisher.health();
        health.spans = self.tracing.as_ref().map(Tracing::health);
        health.service_name.clone_from(&self.service_name);
        health.implicit_tasks = count(&self.implicit_tasks) + self.installation.quiet_steps();
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
