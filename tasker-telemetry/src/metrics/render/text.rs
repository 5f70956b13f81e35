//! The two text formats: Prometheus 0.0.4 and `OpenMetrics` 1.0. They differ in small things, all of them here.

use std::fmt::Write as _;

use super::{Encoder, HistogramReading, Reading, Visitor, escape, number};
use crate::metrics::family::{Descriptor, Labels};
use crate::metrics::name::MetricKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Prometheus,
    OpenMetrics,
}

pub(super) struct TextEncoder {
    dialect: Dialect,
    out: String,
    /// The `le` of each bucket, as long as the bounds stay the same: most histograms have the same.
    le: Vec<String>,
    bounds: Vec<f64>,
}

impl TextEncoder {
    pub(super) const fn new(dialect: Dialect) -> Self {
        Self { dialect, out: String::new(), le: Vec::new(), bounds: Vec::new() }
    }

    fn is_open(&self) -> bool {
        self.dialect == Dialect::OpenMetrics
    }

    /// `name_suffix{labels,le=".."} `
    fn start(&mut self, name: &str, suffix: &str, labels: &str, bucket: Option<usize>) {
        let out = &mut self.out;
        out.push_str(name);
        out.push_str(suffix);
        let le = bucket.and_then(|bucket| self.le.get(bucket));
        if !labels.is_empty() || le.is_some() {
            out.push('{');
            out.push_str(labels);
            if let Some(le) = le {
                out.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
                out.push_str(le);
                out.push('"');
            }
            out.push('}');
        }
        out.push(' ');
    }

    fn histogram(&mut self, name: &str, labels: &str, reading: &HistogramReading<'_>) {
        if self.bounds != reading.bounds {
            self.bounds = reading.bounds.to_vec();
            let write = if self.is_open() { number::canonical } else { number::float };
            let bounds = reading.bounds.iter().copied().chain([f64::INFINITY]);
            self.le = bounds
                .map(|bound| {
                    let mut le = String::new();
                    write(&mut le, bound);
                    le
                })
                .collect();
        }
        for (bucket, (_, count)) in reading.cumulative().enumerate() {
            self.start(name, "_bucket", labels, Some(bucket));
            number::whole(&mut self.out, count);
            if self.is_open() {
                self.exemplar(reading, bucket);
            }
            self.out.push('\n');
        }
        self.start(name, "_sum", labels, None);
        number::float(&mut self.out, reading.sum);
        self.out.push('\n');
        self.start(name, "_count", labels, None);
        number::whole(&mut self.out, reading.count());
        self.out.push('\n');
    }

    /// ` # {trace_id=".."} value seconds`
    fn exemplar(&mut self, reading: &HistogramReading<'_>, bucket: usize) {
        let Some(exemplar) = reading.series.and_then(|series| series.exemplar(bucket)) else { return };
        let out = &mut self.out;
        out.push_str(" # {trace_id=\"");
        // Writing into a String cannot fail.
        let _ = write!(out, "{:032x}", exemplar.trace);
        out.push_str("\"} ");
        number::float(out, exemplar.value);
        out.push(' ');
        number::whole(out, exemplar.at_unix_nanos / 1_000_000_000);
        let _ = write!(out, ".{:03}", exemplar.at_unix_nanos / 1_000_000 % 1_000);
    }
}

impl Visitor for TextEncoder {
    fn begin(&mut self, metric: &Descriptor) {
        let name = family_name(metric, self.dialect);
        let is_open = self.is_open();
        let out = &mut self.out;
        // A line without a text would be legal, and of no use.
        if !metric.help().is_empty() {
            out.push_str("# HELP ");
            out.push_str(name);
            out.push(' ');
            escape::help(out, metric.help(), is_open);
            out.push('\n');
        }
        out.push_str("# TYPE ");
        out.push_str(name);
        out.push(' ');
        out.push_str(metric.kind.name());
        out.push('\n');
        if is_open && !metric.names.unit.is_empty() {
            out.push_str("# UNIT ");
            out.push_str(name);
            out.push(' ');
            out.push_str(&metric.names.unit);
            out.push('\n');
        }
    }

    fn sample(&mut self, metric: &Descriptor, labels: &Labels, reading: &Reading<'_>) {
        let name = &*metric.names.prometheus;
        match reading {
            Reading::Counter(value) => {
                self.start(name, "", &labels.text, None);
                number::whole(&mut self.out, *value);
                self.out.push('\n');
            }
            Reading::Gauge(value) => {
                self.start(name, "", &labels.text, None);
                number::float(&mut self.out, *value);
                self.out.push('\n');
            }
            Reading::Histogram(reading) => self.histogram(name, &labels.text, reading),
        }
    }
}

impl Encoder for TextEncoder {
    fn finish(mut self: Box<Self>) -> String {
        if self.is_open() {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// `OpenMetrics` calls a counter by its name without `_total`.
fn family_name(metric: &Descriptor, dialect: Dialect) -> &str {
    let name = &*metric.names.prometheus;
    match (dialect, metric.kind) {
        (Dialect::OpenMetrics, MetricKind::Counter) => name.strip_suffix("_total").unwrap_or(name),
        _ => name,
    }
}
