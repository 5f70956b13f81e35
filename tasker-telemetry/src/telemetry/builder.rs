//! The settings of a telemetry, and how it is built of them. Those of traces and of pushed metrics stand with their subjects:
//! `trace/builder.rs`, `metrics/push`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use super::installed::{INSTALLED, Installation, Live};
use super::{Core, Telemetry};
use crate::catalog::Catalog;
use crate::filter::{BadRule, DEFAULT_FILTER_MASK, DEFAULT_FILTER_PARAMETERS, Filter, FilterRule, Filters};
use crate::logs::{self, LogOptions};
use crate::metrics::push::{PlannedPush, Push, Pusher};
use crate::metrics::span_metrics::Slot;
use crate::metrics::ways::Ways;
use crate::metrics::{self, MetricsBackend};
use crate::publisher::{Limits, Publisher};
use crate::settings::{InForce, Layers, SettingsError, Sources};
#[cfg(feature = "_store")]
use crate::store::{StoreError, StoreOptions};
use crate::subscriber::{Registration, Subscriber};
#[cfg(feature = "otlp")]
use crate::trace::Exporter;
use crate::trace::{self, SinkPlan, TraceOptions, Tracing};
use crate::variables::{InvalidVariable, Variables};

/// Why a telemetry could not be built or installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting has an impossible value.
    #[error("`{setting}` {problem}")]
    Setting {
        /// The builder's method.
        setting: &'static str,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
    /// The catalog has mistakes, and [`Builder::strict_catalog`] is set.
    #[error("the catalog has mistakes:\n{}", .0.join("\n"))]
    Catalog(Vec<String>),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// One of OpenTelemetry's standard variables has an impossible value.
    #[error("{0}")]
    Variable(#[from] InvalidVariable),
    /// The file or the environment have mistakes.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// An exporter cannot work as it was set up.
    #[error("the exporter `{exporter}`: {problem}")]
    Exporter {
        /// Its name.
        exporter: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A rule of the filter cannot be used.
    #[error("the filter's rule `{rule}` {problem}")]
    Filter {
        /// The rule, as it was written.
        rule: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store cannot be used: its address makes no sense, or its tables are of another version; with
    /// [`Durability::Strict`](crate::store::Durability::Strict) also where it cannot be reached.
    #[cfg(feature = "_store")]
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Another telemetry is the process default already.
    #[error("another telemetry is installed already: shut it down first, or use `build()` and `telemetry.scope(..)`")]
    AlreadyInstalled,
}

impl From<BadRule> for BuildError {
    fn from(BadRule { rule, problem }: BadRule) -> Self {
        Self::Filter { rule, problem }
    }
}

/// The settings of a [`Telemetry`].
/// What nobody has said is `None`, until files and variables are read and then the defaults hold.
#[derive(Default)]
#[must_use = "nothing happens before `build` or `install`"]
pub struct Builder {
    pub(crate) enabled: Option<bool>,
    pub(crate) step_processing: Option<bool>,
    pub(crate) service_name: Option<String>,
    pub(crate) service_version: Option<String>,
    subscribers: Vec<Registration>,
    pub(crate) auto_subscribers: Option<bool>,
    pub(crate) strict_catalog: Option<bool>,
    pub(crate) queue_capacity: Option<usize>,
    pub(crate) subscriber_capacity: Option<usize>,
    pub(crate) handler_timeout: Option<Duration>,
    pub(crate) shutdown_timeout: Option<Duration>,
    pub(crate) filter_parameters: Option<Vec<FilterRule>>,
    pub(crate) filter_values: Option<Vec<FilterRule>>,
    pub(crate) filter_mask: Option<String>,
    pub(crate) metrics_enabled: Option<bool>,
    pub(crate) metrics_series_limit: Option<usize>,
    pub(crate) pushes: Vec<PlannedPush>,
    #[cfg(feature = "_store")]
    pub(crate) store: StoreOptions,
    pub(crate) metrics_format: Option<metrics::Format>,
    pub(crate) traces: TraceOptions,
    pub(crate) ways: Ways,
    pub(crate) log: LogOptions,
    pub(crate) span_sinks: Vec<SinkPlan>,
    pub(crate) span_metrics: Option<Slot>,
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) variables: Variables,
    /// Whether the standard variables are obeyed, exporters or not.
    pub(crate) obeys_variables: bool,
    pub(crate) sources: Sources,
    /// What code says by key.
    pub(crate) options: Vec<(String, String)>,
    /// What the sources say, if they have been read already.
    pub(crate) layers: Option<Layers>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("enabled", &self.enabled)
            .field("service_name", &self.service_name)
            .field("traces", &self.traces)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Off, everything costs next to nothing and does nothing. Default: on.
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = Some(enabled);
        self
    }

    /// The name of the service. Default: `tasker`.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// The version of the service. Default: none.
    pub fn service_version(mut self, version: impl Into<String>) -> Self {
        self.service_version = Some(version.into());
        self
    }

    /// Adds a subscriber that does not register itself (`#[subscriber(manual)]`), or a further one of a type that does.
    pub fn subscriber<S>(mut self, subscriber: S) -> Self
    where
        S: Subscriber,
        S::Place: crate::subscriber::Accept<S>,
    {
        self.subscribers.push(crate::subscriber::registration(subscriber));
        self
    }

    /// Adds a subscriber of this crate's own.
    pub(crate) fn registration(mut self, registration: Registration) -> Self {
        self.subscribers.push(registration);
        self
    }

    /// Whether the subscribers that register themselves take part. Default: yes.
    pub const fn auto_subscribers(mut self, take_part: bool) -> Self {
        self.auto_subscribers = Some(take_part);
        self
    }

    /// Whether mistakes in the catalog (two events of one name, subscriptions nobody can fire) are an error. Default: no,
    /// they are logged and stand in [`Telemetry::health`].
    pub const fn strict_catalog(mut self, strict: bool) -> Self {
        self.strict_catalog = Some(strict);
        self
    }

    /// Whether each attempt also tells its resources, as `observability.step.processing`. Default: no.
    pub const fn step_processing(mut self, tell: bool) -> Self {
        self.step_processing = Some(tell);
        self
    }

    /// How many events may wait between the publishing threads and the router; what is over is dropped and counted.
    /// Default: 200,000, at most about 16 MB, taken only when needed.
    pub const fn queue_capacity(mut self, events: usize) -> Self {
        self.queue_capacity = Some(events);
        self
    }

    /// How many events may wait for one subscriber; what is over is dropped for that one, and counted.
    /// Default: 400,000, which holds the events of a burst of 100,000 steps; about 32 MB at most, taken only when needed.
    pub const fn subscriber_capacity(mut self, events: usize) -> Self {
        self.subscriber_capacity = Some(events);
        self
    }

    /// How long one async handler may take before it is dropped and counted as failed. Default: 30 s.
    pub const fn handler_timeout(mut self, limit: Duration) -> Self {
        self.handler_timeout = Some(limit);
        self
    }

    /// How long [`Telemetry::shutdown`], [`Telemetry::flush`] and the drop of a telemetry may take. Default: 5 s.
    pub const fn shutdown_timeout(mut self, limit: Duration) -> Self {
        self.shutdown_timeout = Some(limit);
        self
    }

    /// The keys whose values are masked: names (a key that contains one of these, in any case), dotted paths and regular
    /// expressions; see [`FilterRule`]. Replaces the default list ([`DEFAULT_FILTER_PARAMETERS`]); an empty one masks
    /// nothing but what is `sensitive`.
    ///
    /// A rule that cannot be used is an error of [`build`](Self::build), [`BuildError::Filter`].
    ///
    /// ```
    /// use tasker_telemetry::{BuildError, Telemetry};
    ///
    /// let builder = || Telemetry::builder().auto_subscribers(false);
    /// builder().filter_parameters(["passw", "credit_card.number", "/^pin$/i"]).build()?;
    /// let error = builder().filter_parameters(["/(/"]).build().unwrap_err();
    /// assert!(matches!(error, BuildError::Filter { rule, .. } if rule == "/(/"));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn filter_parameters<R: Into<FilterRule>>(mut self, rules: impl IntoIterator<Item = R>) -> Self {
        self.filter_parameters = Some(rules.into_iter().map(Into::into).collect());
        self
    }

    /// Regular expressions for what is masked wherever it stands: in texts, numbers and keys of payloads and `fields(..)`, in
    /// labels of metrics, in messages and causes of errors. What matches is masked, the rest of the text stays; in a typed
    /// event the whole field. Default: none. A text is an expression, with or without slashes around it.
    ///
    /// Unlike names, these cost time for every text.
    ///
    /// ```
    /// use tasker_telemetry::{Regex, Telemetry};
    ///
    /// let cards = Regex::new(r"\b\d{4}(?:[ -]?\d{4}){3}\b")?;
    /// Telemetry::builder().auto_subscribers(false).filter_values([cards]).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter_values<R: Into<FilterRule>>(mut self, rules: impl IntoIterator<Item = R>) -> Self {
        self.filter_values = Some(rules.into_iter().map(Into::into).collect());
        self
    }

    /// What stands in the place of a masked value. Default: `[FILTERED]`.
    pub fn filter_mask(mut self, mask: impl Into<String>) -> Self {
        self.filter_mask = Some(mask.into());
        self
    }

    /// Whether the life cycle records metrics. Off, [`MetricsBackend::render`] gives empty exports. Default: on.
    pub const fn metrics_enabled(mut self, enabled: bool) -> Self {
        self.metrics_enabled = Some(enabled);
        self
    }

    /// The format of [`MetricsBackend::export`], and of `/metrics` where the client has no wish. Default: Prometheus text.
    pub const fn metrics_format(mut self, format: metrics::Format) -> Self {
        self.metrics_format = Some(format);
        self
    }

    /// How many series each metric may have, at least 2; what is over is recorded in one that has the label
    /// `otel_metric_overflow="true"` alone. Default: 2,000.
    pub const fn metrics_series_limit(mut self, limit: usize) -> Self {
        self.metrics_series_limit = Some(limit);
        self
    }

    /// Sends the metrics there every so often, and when the telemetry is flushed or shut down. May be given several times.
    /// See [`metrics::push`].
    pub fn push_metrics(mut self, to: impl Push, every: Duration) -> Self {
        self.pushes.push(PlannedPush::Ready(Box::new(to), every));
        self
    }

    /// Sends the metrics over OTLP, as the standard variables say: by default with HTTP and protobuf to `http://localhost:4318`,
    /// every minute and when the telemetry is flushed or shut down. [`otlp_metrics_with`](Self::otlp_metrics_with) says it in code.
    #[cfg(feature = "otlp")]
    pub fn otlp_metrics(self) -> Self {
        self.otlp_metrics_with(metrics::otlp::OtlpMetrics::new())
    }

    /// The same with settings of your own.
    #[cfg(feature = "otlp")]
    pub fn otlp_metrics_with(mut self, settings: metrics::otlp::OtlpMetrics) -> Self {
        self.pushes.push(PlannedPush::Otlp(settings));
        self
    }

    /// Writes tasks, steps, attempts and errors into a database: `sqlite://orders.db` (made if it is not there) or
    /// `postgres://user@host/name`. See [`store`](crate::store).
    ///
    /// Building waits until the database has been reached or has not answered in time; one that is away is tried again as long as
    /// the telemetry lives.
    #[cfg(feature = "_store")]
    pub fn store(self, url: impl Into<String>) -> Self {
        self.store_with(url, StoreOptions::new())
    }

    /// The same with settings of your own. What they leave open is taken from `store.*` in file and environment, where those are read.
    #[cfg(feature = "_store")]
    pub fn store_with(mut self, url: impl Into<String>, options: StoreOptions) -> Self {
        self.store = options.at(url.into());
        self
    }

    /// Builds the telemetry; it applies where [`Telemetry::scope`] says so.
    ///
    /// # Errors
    /// [`BuildError`]: an impossible setting, a thread that could not be started, a catalog with mistakes (strict only), a store
    /// that cannot be used.
    #[allow(
        clippy::too_many_lines,
        reason = "all parts are put together here, in the order in which they need each other"
    )]
    pub fn build(self) -> Result<Telemetry, BuildError> {
        let (read, standard) = (self.sources.clone(), self.variables.clone());
        let (mut builder, layers, entries) = self.settle()?;
        let in_force = InForce::new(entries, read, standard, builder.obeys_variables);
        for (key, value) in builder.said_by_objects() {
            in_force.said_by_code(key, value);
        }
        let queue_capacity = builder.queue_capacity.unwrap_or(200_000);
        let subscriber_capacity = builder.subscriber_capacity.unwrap_or(400_000);
        for (setting, capacity) in [("queue_capacity", queue_capacity), ("subscriber_capacity", subscriber_capacity)] {
            if capacity == 0 {
                return Err(BuildError::Setting { setting, problem: "must be at least 1" });
            }
        }
        let series_limit = builder.metrics_series_limit.unwrap_or(metrics::DEFAULT_SERIES_LIMIT);
        if series_limit < 2 {
            return Err(BuildError::Setting { setting: "metrics_series_limit", problem: "must be at least 2" });
        }
        let default_keys = || DEFAULT_FILTER_PARAMETERS.map(FilterRule::from).to_vec();
        let keys = builder.filter_parameters.take().unwrap_or_else(default_keys);
        let values = builder.filter_values.take().unwrap_or_default();
        let mask = builder.filter_mask.take().unwrap_or_else(|| DEFAULT_FILTER_MASK.to_owned());
        let filter = Filter::new(&keys, &values, &mask)?;
        let resolved = trace::resolve(&mut builder, &filter).map_err(|error| explained(error, &layers))?;
        let (auto, strict) = (builder.auto_subscribers.unwrap_or(true), builder.strict_catalog.unwrap_or(false));
        let listeners =
            if resolved.enabled { listeners(builder.subscribers, auto, strict)? } else { Default::default() };
        let (mut subscribers, catalog_problems) = listeners;
        #[cfg(feature = "otlp")]
        let log_exporter = resolved.logs.map(|(sink, batching)| Exporter::start(sink, batching)).transpose()?;
        let log = builder.log.control(builder.sources.are_read());
        if let Some(log) = log.as_ref().filter(|_| resolved.enabled) {
            subscribers.push(logs::registration(
                Arc::clone(log),
                #[cfg(feature = "otlp")]
                log_exporter.clone(),
            ));
        }
        let handler_timeout = builder.handler_timeout.unwrap_or(Duration::from_secs(30));
        let limits = Limits { queue_capacity, subscriber_capacity, handler_timeout };
        let traces = builder.traces.settle(resolved.exception_events);
        let log_spans = traces.log_spans;
        let (tracing, span_sink) = if resolved.sinks.is_empty() {
            (None, None)
        } else {
            let (tracing, sink) = Tracing::start(traces, resolved.sinks)?;
            (Some(tracing), Some(sink))
        };
        let metrics_enabled = resolved.enabled && builder.metrics_enabled.unwrap_or(true);
        #[cfg(feature = "_store")]
        let (store, kept) = if resolved.enabled {
            builder.store.start().map_err(|error| layers.blame(BuildError::Store(error)))?.unzip()
        } else {
            (None, None)
        };
        #[cfg(not(feature = "_store"))]
        let kept = None;
        let core = Core {
            enabled: resolved.enabled,
            step_processing: builder.step_processing.unwrap_or(false),
            service_name: resolved.service_name,
            service_version: resolved.service_version,
            publisher: Publisher::start(subscribers, span_sink, kept, &limits)?,
            filters: Filters::new(filter, keys, values),
            metrics: metrics::Store::new(metrics_enabled, series_limit, builder.metrics_format.unwrap_or_default()),
            tracing,
            #[cfg(feature = "_store")]
            store,
            log_spans,
            catalog_problems,
            explicit_tasks: AtomicU64::new(0),
            implicit_tasks: AtomicU64::new(0),
            concurrency_overruns: AtomicU64::new(0),
            invalid_correlation_ids: AtomicU64::new(0),
            log,
            #[cfg(feature = "otlp")]
            log_exporter,
            installation: Installation::default(),
            _live: resolved.enabled.then(Live::new),
        };
        if let Some(log) = &core.log {
            core.publisher.log_wants(log.wanted());
        }
        let core = Arc::new(core);
        #[cfg(feature = "_store")]
        if let Some(store) = &core.store {
            store.attach(&core);
        }
        if let Some(slot) = builder.span_metrics {
            let _ = slot.set(Arc::downgrade(&core));
        }
        let mut pushers = Vec::new();
        for (push, every) in resolved.pushes {
            pushers.push(Pusher::start_boxed(MetricsBackend::new(Arc::clone(&core)), push, every)?);
        }
        Ok(Telemetry {
            #[cfg(feature = "serve")]
            server: builder.ways.serve(MetricsBackend::new(Arc::clone(&core))).map_err(|error| layers.blame(error))?,
            core,
            pushers,
            installed: false,
            shut_down: AtomicBool::new(false),
            shutdown_timeout: builder.shutdown_timeout.unwrap_or(Duration::from_secs(5)),
            in_force,
        })
    }

    /// Builds the telemetry and makes it the default of the process.
    ///
    /// # Errors
    /// As [`build`](Self::build), and [`BuildError::AlreadyInstalled`].
    pub fn install(self) -> Result<Telemetry, BuildError> {
        if INSTALLED.load().is_some() {
            return Err(BuildError::AlreadyInstalled); // before any thread is started
        }
        let mut telemetry = self.build()?;
        let before = INSTALLED.compare_and_swap(&None::<Arc<Core>>, Some(Arc::clone(&telemetry.core)));
        if before.is_some() {
            return Err(BuildError::AlreadyInstalled);
        }
        telemetry.installed = true;
        telemetry.core.installed();
        Ok(telemetry)
    }
}

/// A mistake that came to light late, told where it was made.
fn explained(error: BuildError, layers: &Layers) -> BuildError {
    match &error {
        BuildError::Variable(variable) => layers.explain(variable).map_or(error, BuildError::Settings),
        _ => error,
    }
}

/// Who takes part, and the catalog's mistakes: in a strict one they are an error, else they are logged.
fn listeners(
    mut subscribers: Vec<Registration>,
    auto: bool,
    strict: bool,
) -> Result<(Vec<Registration>, Vec<String>), BuildError> {
    let problems = Catalog::validate().err().unwrap_or_default();
    let problems: Vec<_> = problems.into_iter().map(|problem| problem.to_string()).collect();
    if strict && !problems.is_empty() {
        return Err(BuildError::Catalog(problems));
    }
    for problem in &problems {
        tracing::warn!(target: "tasker_telemetry", "{problem}");
    }
    if auto {
        subscribers.extend(crate::catalog::auto_subscribers());
    }
    Ok((subscribers, problems))
}
