//! The metrics of a telemetry, for whoever makes, reads or exports them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::cell::{CounterSeries, GaugeSeries};
use super::error::{MetricError, excerpt};
use super::family::{Family, Handle};
use super::histogram::{Buckets, HistogramSeries};
use super::lifecycle::LifeCycle;
#[cfg(feature = "metrics-bridge")]
use super::name::MetricKind;
use super::name::{Names, names};
use super::push::{AllPushBooks, PushBooks, PushHealth};
use super::registry::{AnyFamily, Kind, Plan, Registry, existing};
use super::render::{self, Format, Visitor};
use super::{DEFAULT_BUCKETS, books, user};
use crate::filter::Filter;
use crate::telemetry::{self, Core};

/// What a telemetry keeps of its metrics.
#[derive(Debug)]
pub(crate) struct Store {
    life_cycle: Option<LifeCycle>,
    registry: Registry,
    limit: usize,
    format: Format,
    pushes: AllPushBooks,
}

impl Store {
    pub(crate) fn new(enabled: bool, limit: usize, format: Format) -> Self {
        if enabled {
            user::touch_registered();
        }
        Self {
            life_cycle: enabled.then(|| LifeCycle::new(limit)),
            registry: Registry::new(),
            limit,
            format,
            pushes: AllPushBooks::default(),
        }
    }

    /// Where the life cycle records; `None` when metrics are off.
    #[inline]
    pub(crate) const fn life_cycle(&self) -> Option<&LifeCycle> {
        self.life_cycle.as_ref()
    }

    /// How pushing them fares.
    pub(crate) fn push_health(&self) -> Vec<PushHealth> {
        self.pushes.health()
    }
}

/// The metrics of a telemetry: those that the life cycle records, those of the program's statics, and those that code makes
/// here at run time. Made by [`Telemetry::metrics`](crate::Telemetry::metrics); a copy is the same metrics.
///
/// ```
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::metrics::Format;
///
/// #[step]
/// async fn charge(amount: u64) -> Result<u64, String> { Ok(amount) }
///
/// # tasker_telemetry::testing::block_on(async {
/// let telemetry = Telemetry::builder().build()?;
/// telemetry.scope(charge(5)).await?;
/// let metrics = telemetry.metrics();
/// metrics.counter("shop_orders_total", &[("status", "paid")])?.inc();
///
/// let page = metrics.render(Format::Prometheus);
/// assert!(page.contains(r#"tasker_step_executions_total{task_name="charge",step_name="charge",status="success"} 1"#));
/// assert!(page.contains(r#"shop_orders_total{status="paid"} 1"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct MetricsBackend {
    core: Arc<Core>,
}

impl MetricsBackend {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The value of a label that a push gives everything, as it may be shown.
    #[cfg(any(feature = "otlp", feature = "statsd"))]
    pub(crate) fn shown_label<'v>(&self, name: &str, value: &'v str) -> Cow<'v, str> {
        let filter = self.core.filter();
        if filter.masks(name) { filter.mask().to_owned().into() } else { filter.text(value) }
    }

    /// The metrics of the telemetry that applies where the calling code runs; `None` when there is none, or it is off.
    #[must_use]
    pub fn current() -> Option<Self> {
        telemetry::current().map(Self::new)
    }

    /// Whether metrics are on. When they are off nothing is recorded by the life cycle, and exports are empty.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.store().life_cycle.is_some()
    }

    /// The series of a counter. Keep it: recording through it looks nothing up, while this call takes a lock.
    ///
    /// The labels may come in any order. A label whose name the telemetry's filter masks is exported masked, and the series
    /// that only it tells apart are exported as one.
    ///
    /// # Errors
    /// [`MetricError`]: a name that no export could carry, or one that another metric has.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Result<Handle<CounterSeries>, MetricError> {
        self.series(name, labels, ())
    }

    /// The series of a gauge. Keep it, as that of a [`counter`](Self::counter).
    ///
    /// # Errors
    /// As `counter`.
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Result<Handle<GaugeSeries>, MetricError> {
        self.series(name, labels, ())
    }

    /// The series of a histogram with the default buckets, 0.005 to 10. Keep it, as that of a [`counter`](Self::counter).
    ///
    /// # Errors
    /// As `counter`; also when the histogram has other buckets already.
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Result<Handle<HistogramSeries>, MetricError> {
        self.histogram_with_buckets(name, labels, &DEFAULT_BUCKETS)
    }

    /// The series of a histogram with buckets of your own: their upper bounds, ascending, at most 256.
    ///
    /// # Errors
    /// As `counter`; also when the bounds do not ascend, or the histogram has other buckets already.
    pub fn histogram_with_buckets(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Result<Handle<HistogramSeries>, MetricError> {
        self.series(name, labels, Buckets::new(bounds, false))
    }

    /// The series of a metric of this crate's own that is made at run time.
    pub(super) fn described_series<C: Kind>(
        &self,
        (name, help): (&str, &'static str),
        labels: &[(&str, &str)],
        shape: C::Shape,
    ) -> Result<Handle<C>, MetricError> {
        self.series_that(false, help, name, labels, shape)
    }

    /// Says what a metric means that was made at run time; the first word stands.
    ///
    /// # Errors
    /// [`MetricError::Unknown`] when there is no such metric yet.
    pub fn describe(&self, name: &str, help: &str) -> Result<(), MetricError> {
        let found = self.store().registry.families().into_iter().find(|family| {
            let names = &family.descriptor().names;
            names.prometheus == name || names.dotted == name
        });
        let family = found.ok_or_else(|| MetricError::Unknown { name: excerpt(name) })?;
        family.descriptor().describe(help.to_owned());
        Ok(())
    }

    /// The same, in either form of the name, for every metric that has it.
    #[cfg(feature = "metrics-bridge")]
    pub(super) fn describe_any(&self, name: &str, help: &str) {
        let Ok(forms) = [MetricKind::Counter, MetricKind::Gauge]
            .into_iter()
            .map(|kind| names(name, "", kind))
            .collect::<Result<Vec<_>, _>>()
        else {
            return;
        };
        for family in self.store().registry.families() {
            if forms.iter().any(|form| form.prometheus == family.descriptor().names.prometheus) {
                family.descriptor().describe(help.to_owned());
            }
        }
    }

    /// Everything recorded so far, in the format of the settings ([`Builder::metrics_format`](crate::Builder::metrics_format)).
    #[must_use]
    pub fn export(&self) -> String {
        self.render(self.format())
    }

    /// The format of the settings.
    pub(crate) fn format(&self) -> Format {
        self.store().format
    }

    /// Everything recorded so far, in that format; empty but for the format's frame when metrics are off. Recording goes on
    /// meanwhile, and waits for nothing.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        let mut encoder = render::encoder(format);
        self.visit(&mut *encoder);
        encoder.finish()
    }

    /// Shows everything recorded so far; nothing when metrics are off.
    pub(super) fn visit(&self, visitor: &mut dyn Visitor) {
        if let Some(life_cycle) = &self.store().life_cycle {
            for family in life_cycle.families() {
                render::family(&family, None, visitor);
            }
            books::encode(&self.core.health(), visitor);
            self.visit_users(visitor);
        }
    }

    /// What keeps metrics from being exported: statics with impossible or double names.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = user::problems();
        for family in self.store().registry.families() {
            let name = &family.descriptor().names.prometheus;
            if user::family(name).is_some() {
                problems.push(format!(
                    "the metric `{name}` is made both at run time and by a static: only the static is exported"
                ));
            }
        }
        problems
    }

    fn visit_users(&self, visitor: &mut dyn Visitor) {
        let name = |family: &AnyFamily| family.descriptor().names.prometheus.clone();
        let mut families = user::families();
        let statics: BTreeSet<_> = families.iter().map(name).collect();
        families.extend(self.store().registry.families().into_iter().filter(|family| !statics.contains(&name(family))));
        families.sort_by_cached_key(name);
        let filter: &Filter = self.core.filter();
        let mut before = None;
        for family in &families {
            let name = Some(&*family.descriptor().names.prometheus);
            // One name with other labels is the same metric.
            render::family_after(family, Some(filter), before == name, visitor);
            before = name;
        }
    }

    fn series<C: Kind>(&self, name: &str, labels: &[(&str, &str)], shape: C::Shape) -> Result<Handle<C>, MetricError> {
        self.series_that(false, "", name, labels, shape)
    }

    /// The same of a metric that may have series with other labels.
    #[cfg(feature = "metrics-bridge")]
    pub(super) fn varying_series<C: Kind>(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        shape: C::Shape,
    ) -> Result<Handle<C>, MetricError> {
        self.series_that(true, "", name, labels, shape)
    }

    fn series_that<C: Kind>(
        &self,
        may_vary: bool,
        help: &'static str,
        name: &str,
        labels: &[(&str, &str)],
        shape: C::Shape,
    ) -> Result<Handle<C>, MetricError> {
        let forms = names(name, "", C::KIND)?;
        if let Some(family) = user::family(&forms.prometheus) {
            return series_of_static(&family, &forms, labels, &shape);
        }
        let mut labels = labels.to_vec();
        labels.sort_unstable_by_key(|(name, _)| *name);
        let (names, values): (Vec<_>, Vec<_>) = labels.into_iter().map(|(name, value)| (name.into(), value)).unzip();
        let plan = Plan { name, unit: "", help: help.into(), labels: names, limit: self.store().limit, may_vary };
        let family: Arc<Family<C>> = self.store().registry.get_or_make(plan, Arc::new(shape))?;
        Ok(Handle(Arc::clone(family.series(&values))))
    }

    /// Books for one more that pushes them.
    pub(super) fn open_push_books(&self, name: &'static str) -> Arc<PushBooks> {
        self.store().pushes.open(name)
    }

    /// How the telemetry itself is doing.
    #[cfg(feature = "serve")]
    pub(super) fn health(&self) -> crate::publisher::Health {
        self.core.health()
    }

    fn store(&self) -> &Store {
        self.core.metrics()
    }
}

/// The series of a metric that a static declares, which may name its labels in any order.
fn series_of_static<C: Kind>(
    family: &AnyFamily,
    forms: &Names,
    labels: &[(&str, &str)],
    shape: &C::Shape,
) -> Result<Handle<C>, MetricError> {
    let own = &family.descriptor().labels;
    let value_of = |name: &Cow<'_, str>| labels.iter().find(|(label, _)| label == name).map(|(_, value)| *value);
    let values: Option<Vec<&str>> = own.iter().map(value_of).collect();
    match values {
        Some(values) if own.len() == labels.len() => {
            let family = existing::<C>(family, forms, own, shape)?;
            Ok(Handle(Arc::clone(family.series(&values))))
        }
        _ => Err(MetricError::Labels {
            metric: forms.prometheus.to_string(),
            expected: own.iter().map(ToString::to_string).collect(),
            found: labels.iter().map(|(name, _)| (*name).to_owned()).collect(),
        }),
    }
}

impl fmt::Debug for MetricsBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsBackend").field("enabled", &self.is_enabled()).finish_non_exhaustive()
    }
}
