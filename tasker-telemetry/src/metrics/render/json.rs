//! JSON: `{timestamp, metrics: {counters, gauges, histograms}}`.

use serde_json::{Map, Value as Json, json};

use super::{Encoder, Reading, Visitor};
use crate::metrics::family::{Descriptor, Labels};
use crate::time::Timestamp;

pub(super) struct JsonEncoder {
    timestamp: Timestamp,
    counters: Vec<Json>,
    gauges: Vec<Json>,
    histograms: Vec<Json>,
}

impl JsonEncoder {
    pub(super) fn new() -> Self {
        Self { timestamp: Timestamp::now(), counters: Vec::new(), gauges: Vec::new(), histograms: Vec::new() }
    }
}

pub(super) fn labels_object(metric: &Descriptor, labels: &Labels) -> Json {
    Json::Object(
        labels.pairs(&metric.labels).map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>(),
    )
}

impl Visitor for JsonEncoder {
    fn begin(&mut self, _: &Descriptor) {}

    fn sample(&mut self, metric: &Descriptor, labels: &Labels, reading: &Reading<'_>) {
        let (name, labels) = (&*metric.names.dotted, labels_object(metric, labels));
        match reading {
            Reading::Counter(value) => self.counters.push(json!({"name": name, "labels": labels, "value": value})),
            Reading::Gauge(value) => self.gauges.push(json!({"name": name, "labels": labels, "value": value})),
            Reading::Histogram(reading) => {
                let buckets: Vec<_> = reading
                    .cumulative()
                    .map(|(bound, count)| {
                        let le = if bound.is_finite() { Json::from(bound) } else { Json::from("+Inf") };
                        json!({"le": le, "count": count})
                    })
                    .collect();
                self.histograms.push(json!({
                    "name": name,
                    "labels": labels,
                    "count": reading.count(),
                    "sum": reading.sum,
                    "buckets": buckets,
                }));
            }
        }
    }
}

impl Encoder for JsonEncoder {
    fn finish(self: Box<Self>) -> String {
        json!({
            "timestamp": self.timestamp,
            "metrics": {"counters": self.counters, "gauges": self.gauges, "histograms": self.histograms},
        })
        .to_string()
    }
}
