//! Metrics that a program declares as statics.
//!
//! A static belongs to the process, so its values do, too: every telemetry of the process exports them. It costs one
//! load more than a series that is kept (see `docs/adr/010-metrics-own-atomics.md`).

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::DEFAULT_BUCKETS;
use super::cell::{CounterSeries, GaugeSeries};
use super::family::{DEFAULT_SERIES_LIMIT, Family};
use super::histogram::HistogramSeries;
use super::name::MetricKind;
use super::registry::{AnyFamily, Kind, Plan, Registry};
use crate::catalog::record::{METRIC_RECORD, metric_record};

/// The metrics of all statics that were used or registered so far.
static STATICS: Registry = Registry::new();

/// What was wrong with some of them.
static PROBLEMS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn lock_problems() -> MutexGuard<'static, Vec<String>> {
    PROBLEMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every metric of a static, by name.
pub(super) fn families() -> Vec<AnyFamily> {
    STATICS.families()
}

/// The static's metric of that name.
pub(super) fn family(prometheus: &str) -> Option<AnyFamily> {
    STATICS.get(prometheus)
}

/// What was wrong with statics.
pub(super) fn problems() -> Vec<String> {
    lock_problems().clone()
}

/// What a metric's static says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct MetricSpec {
    /// The name as it was declared.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: MetricKind,
    /// The unit; empty when there is none, or the name tells it.
    pub unit: &'static str,
    /// What it means.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

/// What the three kinds of static have in common: a spec, and the metric made at first use.
struct Declared<C: Kind, const N: usize> {
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    limit: usize,
    /// Of the buckets, if it is a histogram.
    bounds: &'static [f64],
    /// `None` when something is wrong with it.
    family: OnceLock<Option<Arc<Family<C>>>>,
    /// Takes what is recorded when something is wrong with the metric: recording never fails.
    lost: OnceLock<C>,
}

impl<C: Kind, const N: usize> Declared<C, N> {
    const fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        Self {
            name,
            unit: "",
            help,
            labels,
            limit: DEFAULT_SERIES_LIMIT,
            bounds: &DEFAULT_BUCKETS,
            family: OnceLock::new(),
            lost: OnceLock::new(),
        }
    }

    #[inline]
    fn family(&'static self) -> Option<&'static Arc<Family<C>>> {
        self.family.get_or_init(|| self.register()).as_ref()
    }

    #[cold]
    fn register(&self) -> Option<Arc<Family<C>>> {
        let labels = self.labels.iter().map(|label| Cow::Borrowed(*label)).collect();
        let plan = Plan {
            name: self.name,
            unit: self.unit,
            help: self.help.into(),
            labels,
            limit: self.limit.max(2),
            may_vary: false,
        };
        match STATICS.get_or_make(plan, Arc::new(C::shape(self.bounds))) {
            Ok(family) => Some(family),
            Err(error) => {
                tracing::error!(target: "tasker_telemetry", "a metric cannot be exported: {error}");
                lock_problems().push(error.to_string());
                None
            }
        }
    }

    #[inline]
    fn series(&'static self, values: &[&str; N]) -> &'static C {
        match self.family() {
            Some(family) => &family.series(values).cell,
            None => self.lost.get_or_init(|| C::empty(&Arc::new(C::shape(self.bounds)))),
        }
    }

    const fn record(&'static self) -> [u8; METRIC_RECORD] {
        metric_record(C::KIND.name(), self.name, self.unit, &self.labels, self.help)
    }

    const fn spec(&'static self) -> MetricSpec {
        MetricSpec { name: self.name, kind: C::KIND, unit: self.unit, help: self.help, labels: &self.labels }
    }
}

macro_rules! declared {
    ($(#[$doc:meta])* $Name:ident, $Series:ident) => {
        $(#[$doc])*
        pub struct $Name<const N: usize = 0>(Declared<$Series, N>);

        impl $Name<0> {
            /// Declares it. `name` is checked at first use: what cannot be exported is logged, once, and stands in
            /// [`MetricsBackend::problems`](super::MetricsBackend::problems).
            #[must_use]
            pub const fn new(name: &'static str, help: &'static str) -> Self {
                Self(Declared::new(name, help, []))
            }

            #[inline]
            fn plain(&'static self) -> &'static $Series {
                self.0.series(&[])
            }
        }

        impl<const N: usize> $Name<N> {
            /// Declares it with labels, whose values are given when something is recorded. Take them from small sets: ids
            /// never are labels.
            #[must_use]
            pub const fn with_labels(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
                Self(Declared::new(name, help, labels))
            }

            /// The unit, which becomes part of the name: `seconds`, `bytes`. A name that ends with it tells it already.
            #[must_use]
            pub const fn unit(mut self, unit: &'static str) -> Self {
                self.0.unit = unit;
                self
            }

            /// How many series there may be, at least 2; what is over is recorded in one that has the label
            /// `otel_metric_overflow="true"` alone. Default: 2,000.
            #[must_use]
            pub const fn series_limit(mut self, limit: usize) -> Self {
                self.0.limit = limit;
                self
            }

            /// The series of these label values. Keep it where the values stay the same: recording through it looks
            /// nothing up. A value longer than 1,024 bytes is cut there.
            #[inline]
            pub fn with(&'static self, values: [&str; N]) -> &'static $Series {
                self.0.series(&values)
            }

            /// What `cargo tasker catalog` reads of it. Not public API.
            #[doc(hidden)]
            #[must_use]
            pub const fn __record(&'static self) -> [u8; METRIC_RECORD] {
                self.0.record()
            }
        }

        impl<const N: usize> Declare for $Name<N> {
            fn spec(&'static self) -> MetricSpec {
                self.0.spec()
            }

            fn touch(&'static self) {
                let family = self.0.family();
                if let (0, Some(family)) = (N, family) {
                    family.plain();
                }
            }
        }

        impl<const N: usize> std::fmt::Debug for $Name<N> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($Name)).field("name", &self.0.name).field("labels", &self.0.labels).finish_non_exhaustive()
            }
        }
    };
}

declared! {
    /// A sum that only grows, declared as a static.
    ///
    /// ```
    /// use tasker_telemetry::metrics::Counter;
    ///
    /// static ORDERS: Counter<2> = Counter::with_labels("shop_orders_total", "Orders taken.", ["status", "country"]);
    ///
    /// ORDERS.with(["paid", "de"]).inc();
    /// assert_eq!(ORDERS.with(["paid", "de"]).value(), 1);
    /// ```
    Counter, CounterSeries
}
declared! {
    /// A value that goes up and down, declared as a static.
    ///
    /// ```
    /// use tasker_telemetry::metrics::Gauge;
    ///
    /// static CARTS: Gauge = Gauge::new("shop_open_carts", "Carts that somebody is filling.");
    ///
    /// CARTS.inc();
    /// CARTS.set(7.0);
    /// assert_eq!(CARTS.value(), 7.0);
    /// ```
    Gauge, GaugeSeries
}
declared! {
    /// How values are spread, declared as a static.
    ///
    /// ```
    /// use tasker_telemetry::metrics::Histogram;
    ///
    /// static SIZE: Histogram = Histogram::new("shop_upload_bytes", "Size of an upload.").buckets(&[1e3, 1e6, 1e9]);
    ///
    /// SIZE.record(20_000.0);
    /// assert_eq!(SIZE.sum(), 20_000.0);
    /// ```
    Histogram, HistogramSeries
}

impl<const N: usize> Histogram<N> {
    /// The upper bounds of the buckets, ascending, at most 256. Default: 0.005 to 10, made for durations in seconds.
    #[must_use]
    pub const fn buckets(mut self, bounds: &'static [f64]) -> Self {
        self.0.bounds = bounds;
        self
    }
}

impl Counter {
    /// Adds one.
    #[inline]
    pub fn inc(&'static self) {
        self.plain().inc();
    }

    /// Adds a number.
    #[inline]
    pub fn add(&'static self, number: u64) {
        self.plain().add(number);
    }

    /// The sum so far.
    #[must_use]
    pub fn value(&'static self) -> u64 {
        self.plain().value()
    }
}

impl Gauge {
    /// Sets the value.
    #[inline]
    pub fn set(&'static self, value: f64) {
        self.plain().set(value);
    }

    /// Adds one.
    #[inline]
    pub fn inc(&'static self) {
        self.plain().inc();
    }

    /// Takes one away.
    #[inline]
    pub fn dec(&'static self) {
        self.plain().dec();
    }

    /// Adds a value, which may be negative.
    #[inline]
    pub fn add(&'static self, value: f64) {
        self.plain().add(value);
    }

    /// The value now.
    #[must_use]
    pub fn value(&'static self) -> f64 {
        self.plain().value()
    }
}

impl Histogram {
    /// Records a value. One that is not a finite number counts as above all buckets and leaves the sum alone.
    #[inline]
    pub fn record(&'static self, value: f64) {
        self.plain().record(value);
    }

    /// Records a duration, in seconds.
    #[inline]
    pub fn record_duration(&'static self, duration: std::time::Duration) {
        self.plain().record_duration(duration);
    }

    /// How many values were recorded.
    #[must_use]
    pub fn count(&'static self) -> u64 {
        self.plain().count_total()
    }

    /// The sum of the values.
    #[must_use]
    pub fn sum(&'static self) -> f64 {
        self.plain().sum()
    }
}

/// A metric that a static declares. Not public API.
#[doc(hidden)]
pub trait Declare: Sync {
    /// What it says of itself.
    fn spec(&'static self) -> MetricSpec;
    /// Makes it exist, so that it is exported before its first use.
    fn touch(&'static self);
}

/// A metric of the catalog, as [`register_metrics!`](crate::register_metrics) hands it in. Not public API.
#[doc(hidden)]
pub struct MetricEntry(pub &'static dyn Declare);

impl std::fmt::Debug for MetricEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MetricEntry").field(&self.0.spec()).finish()
    }
}

inventory::collect!(MetricEntry);

/// Makes every registered metric exist.
pub(super) fn touch_registered() {
    for entry in inventory::iter::<MetricEntry> {
        entry.0.touch();
    }
}

/// What every registered metric says of itself, by name.
pub(crate) fn registered() -> Vec<MetricSpec> {
    let mut specs: Vec<_> = inventory::iter::<MetricEntry>.into_iter().map(|entry| entry.0.spec()).collect();
    specs.sort_unstable_by_key(|spec| spec.name);
    specs
}

/// Enters metrics that statics declare into the catalog, and has them exported before their first use: a rate over a counter
/// that only appears with its first event would miss that event.
///
/// ```
/// use tasker_telemetry::metrics::{Counter, Histogram, catalog};
///
/// static ORDERS: Counter = Counter::new("registered_orders_total", "Orders taken.");
/// static WAIT: Histogram = Histogram::new("registered_wait_seconds", "How long orders wait.");
/// tasker_telemetry::register_metrics!(ORDERS, WAIT);
///
/// assert!(catalog().iter().any(|metric| metric.name == "registered_orders_total"));
/// ```
#[macro_export]
macro_rules! register_metrics {
    ($($metric:path),+ $(,)?) => {
        $(
            $crate::__private::inventory::submit! { $crate::metrics::MetricEntry(&$metric) }
            $crate::__catalog_record! { [::core::primitive::u8; $crate::__private::METRIC_RECORD] = $metric.__record() }
        )+
    };
}
