//! CSV, quoted as RFC 4180 says: `name,type,labels,value,count,sum,le,timestamp`.

use super::json::labels_object;
use super::{Encoder, Reading, Visitor, escape, number};
use crate::metrics::family::{Descriptor, Labels};
use crate::time::Timestamp;

pub(super) struct CsvEncoder {
    timestamp: String,
    out: String,
}

impl CsvEncoder {
    pub(super) fn new() -> Self {
        Self {
            timestamp: Timestamp::now().to_string(),
            out: "name,type,labels,value,count,sum,le,timestamp\n".to_owned(),
        }
    }

    fn line(&mut self, metric: &Descriptor, labels: &str, cells: [&str; 4]) {
        let out = &mut self.out;
        for field in [&*metric.names.dotted, metric.kind.name(), labels].into_iter().chain(cells) {
            escape::csv(out, field);
            out.push(',');
        }
        out.push_str(&self.timestamp);
        out.push('\n');
    }
}

impl Visitor for CsvEncoder {
    fn begin(&mut self, _: &Descriptor) {}

    fn sample(&mut self, metric: &Descriptor, labels: &Labels, reading: &Reading<'_>) {
        let labels = labels_object(metric, labels).to_string();
        match reading {
            Reading::Counter(value) => self.line(metric, &labels, [&value.to_string(), "", "", ""]),
            Reading::Gauge(value) => self.line(metric, &labels, [&float(*value), "", "", ""]),
            Reading::Histogram(reading) => {
                let sum = float(reading.sum);
                for (bound, count) in reading.cumulative() {
                    self.line(metric, &labels, ["", &count.to_string(), &sum, &float(bound)]);
                }
            }
        }
    }
}

impl Encoder for CsvEncoder {
    fn finish(self: Box<Self>) -> String {
        self.out
    }
}

fn float(value: f64) -> String {
    let mut out = String::new();
    number::float(&mut out, value);
    out
}
