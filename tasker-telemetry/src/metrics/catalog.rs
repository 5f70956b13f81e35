//! The metrics that the program can emit, as far as that is known before it does.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::name::{MetricKind, check_labels, names};
use super::user::MetricSpec;
use super::{books, lifecycle, user};

/// A metric of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct MetricInfo {
    /// The name in the text formats, `tasker_step_duration_seconds`.
    pub name: String,
    /// The name in JSON and CSV, `tasker.step.duration`.
    pub dotted_name: String,
    /// Counter, gauge or histogram.
    pub kind: MetricKind,
    /// The unit; empty when there is none.
    pub unit: String,
    /// What it means.
    pub help: String,
    /// The names of its labels.
    pub labels: Vec<String>,
}

/// Every metric of the library, and those of yours that [`register_metrics!`](crate::register_metrics) entered, by name.
///
/// ```
/// use tasker_telemetry::metrics::{MetricKind, catalog};
/// let metrics = catalog();
/// let duration = metrics.iter().find(|metric| metric.name == "tasker_step_duration_seconds").unwrap();
/// assert_eq!((duration.kind, duration.unit.as_str()), (MetricKind::Histogram, "seconds"));
/// assert_eq!(duration.labels, ["task_name", "step_name"]);
/// ```
#[must_use]
pub fn catalog() -> Vec<MetricInfo> {
    catalog_with(&user::registered())
}

/// Every metric of the library, and these.
pub(crate) fn catalog_with(registered: &[MetricSpec]) -> Vec<MetricInfo> {
    use MetricKind::{Counter, Gauge, Histogram};
    let own = [
        (&lifecycle::TASK_EXECUTIONS, Counter),
        (&lifecycle::TASK_DURATION, Histogram),
        (&lifecycle::TASKS_IN_PROGRESS, Gauge),
        (&lifecycle::STEPS_IN_PROGRESS, Gauge),
        (&lifecycle::STEP_EXECUTIONS, Counter),
        (&lifecycle::STEP_DURATION, Histogram),
        (&lifecycle::STEP_QUEUE, Histogram),
        (&lifecycle::STEP_RETRIES, Counter),
        (&lifecycle::STEP_ERRORS, Counter),
        (&books::EVENTS_PUBLISHED, Counter),
        (&books::EVENTS_DROPPED, Counter),
        (&books::SUBSCRIBER_FAILURES, Counter),
        (&books::SPANS_EXPORTED, Counter),
        (&books::SPANS_DROPPED, Counter),
    ];
    let text = |text: &str| text.to_owned();
    let mut metrics: Vec<_> = own
        .into_iter()
        .map(|(own, kind)| MetricInfo {
            name: text(own.prometheus),
            dotted_name: text(own.dotted),
            kind,
            unit: text(own.unit),
            help: text(own.help),
            labels: own.labels.iter().map(|label| text(label)).collect(),
        })
        .collect();
    for spec in registered {
        // What cannot be exported is named by `MetricsBackend::problems`.
        if let Ok(names) = names(spec.name, spec.unit, spec.kind) {
            metrics.push(MetricInfo {
                name: names.prometheus.into_owned(),
                dotted_name: names.dotted.into_owned(),
                kind: spec.kind,
                unit: names.unit.into_owned(),
                help: text(spec.help),
                labels: spec.labels.iter().map(|label| text(label)).collect(),
            });
        }
    }
    metrics.sort_by(|a, b| a.name.cmp(&b.name));
    metrics
}

/// What keeps these metrics from being exported, by the name that was declared.
pub(crate) fn problems_of(registered: &[MetricSpec]) -> Vec<(&'static str, String)> {
    let mut seen: BTreeMap<Cow<'static, str>, &'static str> = BTreeMap::new();
    let problems = registered.iter().filter_map(move |spec| {
        let names = match names(spec.name, spec.unit, spec.kind) {
            Ok(names) => names,
            Err(error) => return Some((spec.name, error.to_string())),
        };
        if let Err(error) = check_labels(&names.prometheus, spec.labels.iter().copied()) {
            return Some((spec.name, error.to_string()));
        }
        let other = seen.insert(names.prometheus.clone(), spec.name)?;
        Some((
            spec.name,
            format!("the metric `{}` is declared more than once: `{other}`, `{}`", names.prometheus, spec.name),
        ))
    });
    problems.collect()
}
