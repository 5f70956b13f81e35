//! The metrics of one owner, by name: those of the program's statics, and those that a telemetry's code made at run time.
//!
//! Its lock is taken where a metric is made or looked up by name, and where an export lists them; never to record.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cell::{Cell, CounterSeries, GaugeSeries, LevelSeries};
use super::error::MetricError;
use super::family::{Descriptor, Family};
use super::histogram::{Buckets, HistogramSeries};
use super::name::{MetricKind, Names, check_labels, names};

/// A metric of any kind.
#[derive(Debug, Clone)]
pub(super) enum AnyFamily {
    Counter(Arc<Family<CounterSeries>>),
    Gauge(Arc<Family<GaugeSeries>>),
    /// A gauge, too.
    Level(Arc<Family<LevelSeries>>),
    Histogram(Arc<Family<HistogramSeries>>),
}

impl AnyFamily {
    pub(super) fn descriptor(&self) -> &Descriptor {
        match self {
            Self::Counter(family) => &family.descriptor,
            Self::Gauge(family) => &family.descriptor,
            Self::Level(family) => &family.descriptor,
            Self::Histogram(family) => &family.descriptor,
        }
    }
}

/// What a metric is made of.
pub(super) struct Plan<'a> {
    pub(super) name: &'a str,
    pub(super) unit: &'a str,
    pub(super) help: Cow<'static, str>,
    pub(super) labels: Vec<Cow<'a, str>>,
    pub(super) limit: usize,
    /// Whether a metric of that name may have other labels: the text formats allow it, and the facade `metrics` does.
    pub(super) may_vary: bool,
}

/// A kind of series, and how it stands among metrics of any kind.
pub(super) trait Kind: Cell {
    const KIND: MetricKind;

    fn wrap(family: Arc<Family<Self>>) -> AnyFamily
    where
        Self: Sized;
    fn unwrap(family: &AnyFamily) -> Option<&Arc<Family<Self>>>
    where
        Self: Sized;
    /// What a static says of all its series.
    fn shape(bounds: &'static [f64]) -> Self::Shape;
    /// Whether two may be one metric.
    fn same_shape(a: &Self::Shape, b: &Self::Shape) -> bool;
    /// Checks what was asked for.
    fn check(metric: &str, shape: &Self::Shape) -> Result<(), MetricError>;
}

impl Kind for CounterSeries {
    const KIND: MetricKind = MetricKind::Counter;

    fn wrap(family: Arc<Family<Self>>) -> AnyFamily {
        AnyFamily::Counter(family)
    }

    fn unwrap(family: &AnyFamily) -> Option<&Arc<Family<Self>>> {
        if let AnyFamily::Counter(family) = family { Some(family) } else { None }
    }

    fn shape(_: &'static [f64]) {}

    fn same_shape((): &(), (): &()) -> bool {
        true
    }

    fn check(_: &str, (): &()) -> Result<(), MetricError> {
        Ok(())
    }
}

impl Kind for GaugeSeries {
    const KIND: MetricKind = MetricKind::Gauge;

    fn wrap(family: Arc<Family<Self>>) -> AnyFamily {
        AnyFamily::Gauge(family)
    }

    fn unwrap(family: &AnyFamily) -> Option<&Arc<Family<Self>>> {
        if let AnyFamily::Gauge(family) = family { Some(family) } else { None }
    }

    fn shape(_: &'static [f64]) {}

    fn same_shape((): &(), (): &()) -> bool {
        true
    }

    fn check(_: &str, (): &()) -> Result<(), MetricError> {
        Ok(())
    }
}

impl Kind for HistogramSeries {
    const KIND: MetricKind = MetricKind::Histogram;

    fn wrap(family: Arc<Family<Self>>) -> AnyFamily {
        AnyFamily::Histogram(family)
    }

    fn unwrap(family: &AnyFamily) -> Option<&Arc<Family<Self>>> {
        if let AnyFamily::Histogram(family) = family { Some(family) } else { None }
    }

    fn shape(bounds: &'static [f64]) -> Buckets {
        Buckets::new(bounds, false)
    }

    fn same_shape(a: &Buckets, b: &Buckets) -> bool {
        a.bounds == b.bounds
    }

    fn check(metric: &str, shape: &Buckets) -> Result<(), MetricError> {
        let wrong = |problem| Err(MetricError::Buckets { metric: metric.to_owned(), problem });
        if !(1..=MOST_BUCKETS).contains(&shape.bounds.len()) {
            return wrong("must be 1 to 256 bounds");
        }
        if !shape.bounds.iter().all(|bound| bound.is_finite()) {
            return wrong("must be finite: the one above all of them is there anyway");
        }
        if !shape.bounds.is_sorted_by(|a, b| a < b) {
            return wrong("must ascend, each once");
        }
        Ok(())
    }
}

const MOST_BUCKETS: usize = 256;

/// Names are made at run time, too: somebody will put an id into one.
const MOST_METRICS: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Registry(Mutex<BTreeMap<Cow<'static, str>, AnyFamily>>);

impl Registry {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Cow<'static, str>, AnyFamily>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The metric of that plan, made now if there is none.
    pub(super) fn get_or_make<C: Kind>(
        &self,
        plan: Plan<'_>,
        shape: Arc<C::Shape>,
    ) -> Result<Arc<Family<C>>, MetricError> {
        let names = names(plan.name, plan.unit, C::KIND)?;
        let mut families = self.lock();
        let mut key = names.prometheus.clone();
        if let Some(family) = families.get(&key) {
            let found = existing(family, &names, &plan.labels, &*shape);
            if !(plan.may_vary && matches!(found, Err(MetricError::Labels { .. }))) {
                return found;
            }
            // No name has this character: it comes right behind the first of its name.
            key = format!("{key}\u{1}{}", plan.labels.join(",")).into();
            if let Some(family) = families.get(&key) {
                return existing(family, &names, &plan.labels, &*shape);
            }
        }
        if families.len() >= MOST_METRICS {
            return Err(MetricError::TooMany { name: names.prometheus.into_owned(), limit: MOST_METRICS });
        }
        check_labels(&names.prometheus, plan.labels.iter().map(|label| &**label))?;
        C::check(&names.prometheus, &shape)?;
        let labels = plan.labels.into_iter().map(|label| Cow::Owned(label.into_owned())).collect();
        let family = Arc::new(Family::new(Descriptor::new(names, C::KIND, labels, plan.help), shape, plan.limit));
        families.insert(key, C::wrap(Arc::clone(&family)));
        Ok(family)
    }

    /// The metric of that name in the text formats.
    pub(super) fn get(&self, prometheus: &str) -> Option<AnyFamily> {
        self.lock().get(prometheus).cloned()
    }

    /// Every metric, by name.
    pub(super) fn families(&self) -> Vec<AnyFamily> {
        self.lock().values().cloned().collect()
    }
}

/// The metric that there is, if it is the one that was asked for.
pub(super) fn existing<C: Kind>(
    family: &AnyFamily,
    names: &Names,
    labels: &[Cow<'_, str>],
    shape: &C::Shape,
) -> Result<Arc<Family<C>>, MetricError> {
    let name = names.prometheus.to_string();
    let Some(found) = C::unwrap(family) else {
        return Err(MetricError::Conflict { name, kind: family.descriptor().kind.name() });
    };
    let expected = &found.descriptor.labels;
    if !expected.iter().eq(labels) {
        let texts = |labels: &[Cow<'_, str>]| labels.iter().map(ToString::to_string).collect();
        return Err(MetricError::Labels { metric: name, expected: texts(expected), found: texts(labels) });
    }
    if !C::same_shape(&found.shape, shape) {
        return Err(MetricError::Conflict { name, kind: "histogram with other buckets" });
    }
    Ok(Arc::clone(found))
}
