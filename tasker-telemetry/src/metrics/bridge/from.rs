//! From the facade: what its macros record into.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics_facade::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit,
};

use crate::metrics::cell::{CounterSeries, GaugeSeries};
use crate::metrics::family::Handle;
use crate::metrics::histogram::{Buckets, HistogramSeries};
use crate::metrics::name::OVERFLOW;
use crate::metrics::registry::Kind;
use crate::metrics::{DEFAULT_BUCKETS, MetricError, MetricsBackend};

/// How many descriptions may wait for their metric.
const MOST_DESCRIPTIONS: usize = 10_000;

/// Records what the facade's macros say into the metrics of a telemetry. See the [module](super).
#[derive(Debug)]
pub struct Recorder {
    metrics: MetricsBackend,
    buckets: Box<[f64]>,
    descriptions: Mutex<BTreeMap<String, String>>,
    has_descriptions: AtomicBool,
    refused: AtomicU64,
}

impl Recorder {
    /// For the metrics of that telemetry.
    #[must_use]
    pub fn new(metrics: MetricsBackend) -> Self {
        Self {
            metrics,
            buckets: DEFAULT_BUCKETS.into(),
            descriptions: Mutex::default(),
            has_descriptions: AtomicBool::new(false),
            refused: AtomicU64::new(0),
        }
    }

    /// The upper bounds of the buckets of histograms, ascending. Default: 0.005 to 10.
    #[must_use]
    pub fn buckets(mut self, bounds: &[f64]) -> Self {
        self.buckets = bounds.into();
        self
    }

    /// How often something could not be recorded, because its name belongs to another kind of metric, or there are too many.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn series<C: Kind>(&self, key: &Key, shape: C::Shape) -> Option<Handle<C>> {
        let name = name(key.name());
        let labels: Vec<(String, &str)> = key.labels().map(|l| (label(l.key()), l.value())).collect();
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(labels.len());
        for (label, value) in &labels {
            // The facade takes a label twice; the last word stands.
            pairs.retain(|(other, _)| other != label);
            pairs.push((label, value));
        }
        match self.metrics.varying_series::<C>(&name, &pairs, shape) {
            Ok(series) => {
                self.describe_now(&name);
                Some(series)
            }
            Err(error) => {
                self.refuse(&error);
                None
            }
        }
    }

    fn refuse(&self, error: &MetricError) {
        if self.refused.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(target: "tasker_telemetry", "a metric of the facade cannot be recorded: {error}");
        }
    }

    fn describe_later(&self, key: &KeyName, description: &SharedString) {
        let name = name(key.as_str());
        let mut waiting = self.descriptions.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST_DESCRIPTIONS || waiting.contains_key(&name) {
            waiting.insert(name, description.to_string());
            self.has_descriptions.store(true, Ordering::Relaxed);
        }
    }

    /// What was said before the metric was there.
    fn describe_now(&self, name: &str) {
        if !self.has_descriptions.load(Ordering::Relaxed) {
            return;
        }
        let mut waiting = self.descriptions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(help) = waiting.remove(name) {
            self.has_descriptions.store(!waiting.is_empty(), Ordering::Relaxed);
            drop(waiting);
            self.metrics.describe_any(name, &help);
        }
    }
}

impl metrics_facade::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe_later(&key, &description);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe_later(&key, &description);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe_later(&key, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.series::<CounterSeries>(key, ()).map_or_else(Counter::noop, |series| Counter::from_arc(Arc::new(series)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.series::<GaugeSeries>(key, ()).map_or_else(Gauge::noop, |series| Gauge::from_arc(Arc::new(series)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let shape = Buckets::new(self.buckets.clone(), false);
        let series = self.series::<HistogramSeries>(key, shape);
        series.map_or_else(Histogram::noop, |series| Histogram::from_arc(Arc::new(series)))
    }
}

impl CounterFn for Handle<CounterSeries> {
    fn increment(&self, value: u64) {
        self.add(value);
    }

    fn absolute(&self, value: u64) {
        let more = value.saturating_sub(self.value());
        if more > 0 {
            self.add(more);
        }
    }
}

impl GaugeFn for Handle<GaugeSeries> {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, value: f64) {
        (**self).set(value);
    }
}

impl HistogramFn for Handle<HistogramSeries> {
    fn record(&self, value: f64) {
        (**self).record(value);
    }
}

/// A name of the facade as one of ours.
fn name(of: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let mut name: String = of.chars().take(150).map(|c| if is_allowed(c) { c } else { '_' }).collect();
    while name.contains("..") {
        name = name.replace("..", ".");
    }
    let name = name.trim_end_matches('.');
    let is_taken = name.starts_with("tasker.") || name.starts_with("tasker_");
    if is_taken || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return format!("m_{name}");
    }
    name.to_owned()
}

/// A label of the facade as one of ours.
fn label(of: &str) -> String {
    let label: String = of.chars().take(150).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let is_taken = label.starts_with("__") || matches!(label.as_str(), "le" | "quantile" | OVERFLOW);
    if is_taken || label.is_empty() || label.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("m_{label}");
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::MetricKind;
    use crate::metrics::name::{check_labels, names};

    #[test]
    fn whatever_the_facade_calls_it_can_be_exported() {
        let long = "x".repeat(1_000);
        for text in
            ["", "a", "a.b", "1st", "a-b/c", "größe", "..", "a..b.", "tasker.x", "le", "__name", "💥", "_", &long]
        {
            let name = name(text);
            assert!(names(&name, "", MetricKind::Gauge).is_ok(), "{text:?} {name:?}");
            assert_eq!(check_labels("x", [label(text).as_str()]), Ok(()), "{text:?}");
        }
        assert_eq!((name("http.requests"), label("method")), ("http.requests".to_owned(), "method".to_owned()));
    }
}
