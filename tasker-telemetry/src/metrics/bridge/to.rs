//! To the facade: everything handed to one of its recorders.

use std::collections::HashMap;
use std::fmt;
use std::time::Instant;

use metrics_facade::{Key, Label, Level, Metadata};

use crate::metrics::MetricsBackend;
use crate::metrics::family::{Descriptor, Labels};
use crate::metrics::push::{Push, PushError, Told, spread};
use crate::metrics::render::{Reading, Visitor};

const METADATA: Metadata<'static> = Metadata::new("tasker_telemetry", Level::INFO, Some("tasker_telemetry"));

/// Pushes metrics to a recorder of the facade. See the [module](super).
///
/// ```
/// use std::time::Duration;
/// use tasker_telemetry::Telemetry;
/// use tasker_telemetry::metrics::bridge::ToFacade;
///
/// let to = ToFacade::global(); // or ToFacade::recorder(..)
/// let telemetry = Telemetry::builder().auto_subscribers(false).push_metrics(to, Duration::from_secs(10)).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ToFacade {
    recorder: Option<Box<dyn metrics_facade::Recorder + Send>>,
    told: HashMap<String, Told>,
}

impl ToFacade {
    /// To the recorder of the process, whichever it is when something is pushed.
    #[must_use]
    pub fn global() -> Self {
        Self { recorder: None, told: HashMap::new() }
    }

    /// To that recorder.
    #[must_use]
    pub fn recorder(recorder: impl metrics_facade::Recorder + Send + 'static) -> Self {
        Self { recorder: Some(Box::new(recorder)), told: HashMap::new() }
    }
}

impl Push for ToFacade {
    fn name(&self) -> &'static str {
        "metrics-facade"
    }

    fn push(&mut self, metrics: &MetricsBackend, _: Instant) -> Result<(), PushError> {
        let Self { recorder, told } = self;
        match recorder {
            Some(recorder) => metrics.visit(&mut Hand { recorder: &**recorder, told }),
            None => metrics_facade::with_recorder(|recorder| metrics.visit(&mut Hand { recorder, told })),
        }
        Ok(())
    }
}

impl fmt::Debug for ToFacade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToFacade").field("is_global", &self.recorder.is_none()).finish_non_exhaustive()
    }
}

/// Hands one series after the other over.
struct Hand<'a> {
    recorder: &'a dyn metrics_facade::Recorder,
    told: &'a mut HashMap<String, Told>,
}

impl Visitor for Hand<'_> {
    fn begin(&mut self, metric: &Descriptor) {
        let name = metric.names.prometheus.to_string();
        let help = metric.help().to_owned();
        match metric.kind {
            crate::metrics::MetricKind::Counter => self.recorder.describe_counter(name.into(), None, help.into()),
            crate::metrics::MetricKind::Gauge => self.recorder.describe_gauge(name.into(), None, help.into()),
            crate::metrics::MetricKind::Histogram => self.recorder.describe_histogram(name.into(), None, help.into()),
        }
    }

    fn sample(&mut self, metric: &Descriptor, labels: &Labels, reading: &Reading<'_>) {
        let name = metric.names.prometheus.to_string();
        let pairs = labels.pairs(&metric.labels).map(|(name, value)| Label::new(name.to_owned(), value.to_owned()));
        let key = Key::from_parts(name, pairs.collect::<Vec<_>>());
        match reading {
            Reading::Counter(value) => self.recorder.register_counter(&key, &METADATA).absolute(*value),
            Reading::Gauge(value) => self.recorder.register_gauge(&key, &METADATA).set(*value),
            Reading::Histogram(reading) => {
                let id = format!("{}{{{}}}", metric.names.prometheus, labels.text);
                let now = Told::Histogram { counts: reading.counts.clone(), sum: reading.sum };
                let Told::Histogram { counts, sum } = now.since(self.told.get(&id)) else { return };
                let histogram = self.recorder.register_histogram(&key, &METADATA);
                let values = spread::values(reading.bounds, &counts, sum);
                for (value, count) in values.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
                    histogram.record_many(value, usize::try_from(count).unwrap_or(usize::MAX));
                }
                self.told.insert(id, now);
            }
        }
    }
}
