//! Metrics as OTLP's `ExportMetricsServiceRequest`. Field numbers are those of `opentelemetry/proto/metrics/v1/metrics.proto`,
//! version 1.x.

use std::collections::HashMap;

use super::Temporality;
use crate::metrics::exemplar::Exemplar;
use crate::metrics::family::{Descriptor, Labels};
use crate::metrics::name::MetricKind;
use crate::metrics::push::Told;
use crate::metrics::render::{Reading, Visitor};
use crate::otlp::{Writer, attribute, envelope, resource};
use crate::resource::Resource;
use crate::trace::AttributeValue;

/// All metrics at one time.
#[derive(Default)]
pub(super) struct Series {
    metrics: Vec<Metric>,
}

struct Metric {
    name: String,
    unit: String,
    help: String,
    kind: MetricKind,
    points: Vec<Point>,
}

struct Point {
    labels: Vec<(String, String)>,
    /// Tells the series from all others.
    key: String,
    value: Value,
}

enum Value {
    Gauge(f64),
    Sum(Told),
    Histogram { told: Told, bounds: Vec<f64>, exemplars: Vec<Exemplar> },
}

impl Visitor for Series {
    fn begin(&mut self, metric: &Descriptor) {
        self.metrics.push(Metric {
            name: metric.names.dotted.to_string(),
            unit: ucum(&metric.names.unit),
            help: metric.help().to_owned(),
            kind: metric.kind,
            points: Vec::new(),
        });
    }

    fn sample(&mut self, metric: &Descriptor, labels: &Labels, reading: &Reading<'_>) {
        let Some(last) = self.metrics.last_mut() else { return };
        let value = match reading {
            Reading::Counter(value) => Value::Sum(Told::Counter(*value)),
            Reading::Gauge(value) => Value::Gauge(*value),
            Reading::Histogram(reading) => Value::Histogram {
                told: Told::Histogram { counts: reading.counts.clone(), sum: reading.sum },
                bounds: reading.bounds.to_vec(),
                exemplars: (0..reading.counts.len()).filter_map(|bucket| reading.series?.exemplar(bucket)).collect(),
            },
        };
        let pairs = labels.pairs(&metric.labels).map(|(name, value)| (name.to_owned(), value.to_owned()));
        last.points.push(Point {
            labels: pairs.collect(),
            key: format!("{}{{{}}}", metric.names.prometheus, labels.text),
            value,
        });
    }
}

/// Writes requests, and knows what was sent.
pub(super) struct Encoder {
    resource: Vec<u8>,
    temporality: Temporality,
    /// When recording began, or for deltas when the last request was made that arrived.
    since: u64,
    told: HashMap<String, Told>,
    body: Writer,
}

/// What the server knows once a request has arrived.
pub(super) type NewlyTold = Vec<(String, Told)>;

impl Encoder {
    pub(super) fn new(of: &Resource, temporality: Temporality, since: u64) -> Self {
        Self { resource: resource(of), temporality, since, told: HashMap::new(), body: Writer::default() }
    }

    /// The request for these values, read at that time.
    pub(super) fn request(&mut self, series: &Series, now: u64) -> (&[u8], NewlyTold) {
        let Self { resource, temporality, since, told, body } = self;
        let mut newly = NewlyTold::new();
        envelope(body, resource, |out| {
            for metric in &series.metrics {
                let mut points = Writer::default();
                for point in &metric.points {
                    let before = if *temporality == Temporality::Delta { told.get(&point.key) } else { None };
                    write_point(&mut points, point, before, (*since, now));
                    if let (Temporality::Delta, Value::Sum(now) | Value::Histogram { told: now, .. }) =
                        (*temporality, &point.value)
                    {
                        newly.push((point.key.clone(), now.clone()));
                    }
                }
                if !points.as_slice().is_empty() {
                    out.message(2, |out| write_metric(out, metric, *temporality, points.as_slice()));
                }
            }
        });
        (body.as_slice(), newly)
    }

    /// It arrived.
    pub(super) fn was_sent(&mut self, told: NewlyTold, at: u64) {
        if self.temporality == Temporality::Delta {
            self.since = at;
            self.told.extend(told);
        }
    }
}

fn write_metric(out: &mut Writer, metric: &Metric, temporality: Temporality, points: &[u8]) {
    let temporality = match temporality {
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    };
    out.str(1, &metric.name);
    if !metric.help.is_empty() {
        out.str(2, &metric.help);
    }
    if !metric.unit.is_empty() {
        out.str(3, &metric.unit);
    }
    match metric.kind {
        MetricKind::Gauge => out.message(5, |out| out.raw(points)),
        MetricKind::Counter => out.message(7, |out| {
            out.raw(points);
            out.uint(2, temporality);
            out.uint(3, 1);
        }),
        MetricKind::Histogram => out.message(9, |out| {
            out.raw(points);
            out.uint(2, temporality);
        }),
    }
}

/// A data point, unless nothing is new about it.
fn write_point(out: &mut Writer, point: &Point, before: Option<&Told>, (since, now): (u64, u64)) {
    let attributes = |out: &mut Writer, field| {
        for (name, value) in &point.labels {
            attribute(out, field, name, AttributeValue::Str(value));
        }
    };
    match &point.value {
        Value::Gauge(value) => out.message(1, |out| {
            attributes(out, 7);
            out.fixed64(3, now);
            out.double(4, *value);
        }),
        Value::Sum(told) => {
            let new = told.since(before);
            let Told::Counter(value) = new else { return };
            if before.is_some() && value == 0 {
                return;
            }
            out.message(1, |out| {
                attributes(out, 7);
                out.fixed64(2, since);
                out.fixed64(3, now);
                out.fixed64(6, value.min(i64::MAX.unsigned_abs()));
            });
        }
        Value::Histogram { told, bounds, exemplars } => {
            let new = told.since(before);
            if before.is_some() && new.is_empty() {
                return;
            }
            let Told::Histogram { counts, sum } = new else { return };
            out.message(1, |out| {
                attributes(out, 9);
                out.fixed64(2, since);
                out.fixed64(3, now);
                out.fixed64(4, counts.iter().copied().fold(0, u64::wrapping_add));
                out.double(5, sum);
                packed(out, 6, counts.iter().map(|count| count.to_le_bytes()));
                packed(out, 7, bounds.iter().map(|bound| bound.to_le_bytes()));
                for exemplar in exemplars.iter().filter(|exemplar| (since..=now).contains(&exemplar.at_unix_nanos)) {
                    out.message(8, |out| {
                        out.fixed64(2, exemplar.at_unix_nanos);
                        out.double(3, exemplar.value);
                        out.bytes(5, &exemplar.trace.to_be_bytes());
                    });
                }
            });
        }
    }
}

/// Numbers of eight bytes, one behind the other.
fn packed(out: &mut Writer, field: u32, numbers: impl Iterator<Item = [u8; 8]>) {
    let bytes: Vec<u8> = numbers.flatten().collect();
    out.bytes(field, &bytes);
}

/// The unit as OpenTelemetry writes it.
fn ucum(unit: &str) -> String {
    let known = match unit {
        "" => "",
        "seconds" => "s",
        "bytes" => "By",
        "ratio" => "1",
        "meters" => "m",
        "grams" => "g",
        "joules" => "J",
        "celsius" => "Cel",
        "volts" => "V",
        "amperes" => "A",
        other => return format!("{{{other}}}"),
    };
    known.to_owned()
}
