//! The exports: one walk over the metrics, one encoder for each format.

mod csv;
pub(super) mod escape;
mod format;
mod json;
mod number;
mod text;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use self::format::{Format, UnknownFormat};

use super::cell::Cell;
use super::family::{Descriptor, Family, Labels};
use super::histogram::HistogramSeries;
use super::registry::AnyFamily;
use crate::filter::Filter;

/// Is shown metrics, one after the other.
pub(super) trait Visitor {
    /// A metric begins.
    fn begin(&mut self, metric: &Descriptor);
    /// One of its series.
    fn sample(&mut self, metric: &Descriptor, labels: &Labels, reading: &Reading<'_>);
}

/// Writes them down.
pub(super) trait Encoder: Visitor {
    /// The whole text.
    fn finish(self: Box<Self>) -> String;
}

pub(super) fn encoder(format: Format) -> Box<dyn Encoder> {
    match format {
        Format::Prometheus => Box::new(text::TextEncoder::new(text::Dialect::Prometheus)),
        Format::OpenMetrics => Box::new(text::TextEncoder::new(text::Dialect::OpenMetrics)),
        Format::Json => Box::new(json::JsonEncoder::new()),
        Format::Csv => Box::new(csv::CsvEncoder::new()),
    }
}

/// The values of a series at one time.
pub(super) enum Reading<'a> {
    Counter(u64),
    Gauge(f64),
    Histogram(HistogramReading<'a>),
}

/// A histogram's values. The number of all is the sum of the counts, so an export never shows a histogram at odds with itself.
pub(super) struct HistogramReading<'a> {
    pub(super) bounds: &'a [f64],
    /// Of each bucket alone.
    pub(super) counts: Vec<u64>,
    pub(super) sum: f64,
    /// Where exemplars can be had.
    pub(super) series: Option<&'a HistogramSeries>,
}

impl<'a> HistogramReading<'a> {
    fn of(series: &'a HistogramSeries) -> Self {
        // The sum first: read after, it could hold more than the counts by all that was recorded meanwhile.
        let sum = series.sum();
        Self { bounds: series.bounds(), counts: series.counts().collect(), sum, series: Some(series) }
    }

    /// Upper bound and number of values up to it; the last bound is infinite.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(&self.counts).scan(0_u64, |below, (bound, count)| {
            *below = below.wrapping_add(*count);
            Some((bound, *below))
        })
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().copied().fold(0, u64::wrapping_add)
    }
}

impl Reading<'_> {
    /// Two series that became one.
    fn add(&mut self, other: Reading<'_>) {
        match (self, other) {
            (Reading::Counter(sum), Reading::Counter(value)) => *sum = sum.wrapping_add(value),
            (Reading::Gauge(sum), Reading::Gauge(value)) => *sum += value,
            (Reading::Histogram(sum), Reading::Histogram(value)) => {
                sum.counts.iter_mut().zip(value.counts).for_each(|(sum, count)| *sum = sum.wrapping_add(count));
                sum.sum += value.sum;
            }
            _ => {}
        }
    }
}

/// Shows a metric to a visitor; `filter` names the labels whose values are masked.
pub(super) fn family(family: &AnyFamily, filter: Option<&Filter>, visitor: &mut dyn Visitor) {
    family_after(family, filter, false, visitor);
}

/// The same; `has_begun`: it is the metric that the visitor saw last.
pub(super) fn family_after(family: &AnyFamily, filter: Option<&Filter>, has_begun: bool, visitor: &mut dyn Visitor) {
    match family {
        AnyFamily::Counter(family) => encode(family, filter, has_begun, |cell| Reading::Counter(cell.value()), visitor),
        AnyFamily::Gauge(family) => encode(family, filter, has_begun, |cell| Reading::Gauge(cell.value()), visitor),
        AnyFamily::Level(family) => encode(family, filter, has_begun, |cell| Reading::Gauge(cell.value()), visitor),
        AnyFamily::Histogram(family) => {
            encode(family, filter, has_begun, |cell| Reading::Histogram(HistogramReading::of(cell)), visitor);
        }
    }
}

fn encode<'a, C: Cell>(
    family: &'a Family<C>,
    filter: Option<&Filter>,
    has_begun: bool,
    read: impl Fn(&'a C) -> Reading<'a>,
    visitor: &mut dyn Visitor,
) {
    let metric = &family.descriptor;
    if family.iter().next().is_none() {
        return;
    }
    if !has_begun {
        visitor.begin(metric);
    }
    if let Some(filter) =
        filter.filter(|filter| filter.has_values() || metric.labels.iter().any(|label| filter.masks(label)))
    {
        return encode_masked(family, filter, read, visitor);
    }
    for series in family.iter() {
        visitor.sample(metric, &series.labels, &read(&series.cell));
    }
}

/// Masks the values of some labels, and adds up what then cannot be told apart.
fn encode_masked<'a, C: Cell>(
    family: &'a Family<C>,
    filter: &Filter,
    read: impl Fn(&'a C) -> Reading<'a>,
    visitor: &mut dyn Visitor,
) {
    let metric = &family.descriptor;
    let masked: Vec<bool> = metric.labels.iter().map(|label| filter.masks(label)).collect();
    let mut shown: BTreeMap<Vec<Cow<'a, str>>, Reading<'a>> = BTreeMap::new();
    for series in family.iter() {
        if series.labels.is_overflow() {
            visitor.sample(metric, &series.labels, &read(&series.cell));
            continue;
        }
        let values = series.labels.pairs(&metric.labels).zip(&masked).map(|((_, value), masked)| match masked {
            true => Cow::Owned(filter.mask().to_owned()),
            false => filter.text(value),
        });
        let values: Vec<Cow<'a, str>> = values.collect();
        let reading = read(&series.cell);
        match shown.entry(values) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(reading);
            }
            std::collections::btree_map::Entry::Occupied(mut place) => place.get_mut().add(reading),
        }
    }
    for (values, reading) in &shown {
        let values: Vec<&str> = values.iter().map(|value| &**value).collect();
        visitor.sample(metric, &Labels::new(&metric.labels, &values), reading);
    }
}
