//! A metric with all its series: finds the series of some label values, makes it at first use, and bounds how many there are.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::cell::Cell;
use super::name::{MetricKind, Names, OVERFLOW};
use super::render::escape;
use crate::table::Table;

/// How many series a metric may have, the one for all that is over the limit included.
pub const DEFAULT_SERIES_LIMIT: usize = 2_000;

/// The value of a label is cut here: a metric must not hold a megabyte because a request did.
pub(super) const LONGEST_VALUE: usize = 1_024;

/// What is said about a metric.
#[derive(Debug)]
pub(super) struct Descriptor {
    pub(super) names: Names,
    pub(super) kind: MetricKind,
    pub(super) labels: Box<[Cow<'static, str>]>,
    help: OnceLock<Cow<'static, str>>,
}

impl Descriptor {
    pub(super) fn new(
        names: Names,
        kind: MetricKind,
        labels: Box<[Cow<'static, str>]>,
        help: Cow<'static, str>,
    ) -> Self {
        let help = if help.is_empty() { OnceLock::new() } else { OnceLock::from(help) };
        Self { names, kind, labels, help }
    }

    pub(super) fn help(&self) -> &str {
        self.help.get().map_or("", |help| &**help)
    }

    /// Says what the metric means, if nobody has yet.
    pub(super) fn describe(&self, help: String) {
        let _ = self.help.set(help.into());
    }
}

/// The labels of one series.
#[derive(Debug)]
pub(super) struct Labels {
    /// The values, in the order of the metric's labels; `None` for the series of all that is over the limit.
    values: Option<Box<[Box<str>]>>,
    /// As they stand in the text formats, without braces: `status="ok",country="de"`. Made once, printed at every scrape.
    pub(super) text: Box<str>,
}

impl Labels {
    pub(super) fn new(names: &[Cow<'static, str>], values: &[&str]) -> Self {
        let mut text = String::new();
        for (name, value) in names.iter().zip(values) {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            escape::label(&mut text, value);
            text.push('"');
        }
        Self { values: Some(values.iter().map(|value| Box::from(*value)).collect()), text: text.into() }
    }

    fn overflow() -> Self {
        Self { values: None, text: format!("{OVERFLOW}=\"true\"").into() }
    }

    fn are(&self, values: &[&str]) -> bool {
        self.values.as_ref().is_some_and(|own| own.iter().map(|value| &**value).eq(values.iter().copied()))
    }

    /// Names and values.
    pub(super) fn pairs<'a>(&'a self, names: &'a [Cow<'static, str>]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let overflow = self.values.is_none().then_some((OVERFLOW, "true"));
        let values = self.values.as_deref().unwrap_or_default();
        names.iter().map(|name| &**name).zip(values.iter().map(|value| &**value)).chain(overflow)
    }

    pub(super) const fn is_overflow(&self) -> bool {
        self.values.is_none()
    }
}

/// One series: its labels and its values.
#[derive(Debug)]
pub(super) struct Series<C> {
    pub(super) labels: Labels,
    pub(super) cell: C,
}

/// A series to keep: recording through it looks nothing up.
///
/// ```
/// use tasker_telemetry::Telemetry;
/// let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
/// let paid = telemetry.metrics().counter("shop_orders_total", &[("status", "paid")])?;
/// paid.inc();
/// assert_eq!(paid.value(), 1);
/// # Ok::<(), tasker_telemetry::metrics::MetricError>(())
/// ```
#[derive(Debug)]
pub struct Handle<C>(pub(super) Arc<Series<C>>);

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Deref for Handle<C> {
    type Target = C;

    #[inline]
    fn deref(&self) -> &C {
        &self.0.cell
    }
}

/// See the module.
pub(super) struct Family<C: Cell> {
    pub(super) descriptor: Descriptor,
    pub(super) shape: Arc<C::Shape>,
    limit: usize,
    hasher: RandomState,
    series: Table<Arc<Series<C>>>,
    /// The only series of a metric without labels.
    plain: OnceLock<Arc<Series<C>>>,
    overflow: OnceLock<Arc<Series<C>>>,
}

impl<C: Cell> Family<C> {
    pub(super) fn new(descriptor: Descriptor, shape: Arc<C::Shape>, limit: usize) -> Self {
        Self {
            descriptor,
            shape,
            limit,
            hasher: RandomState::new(),
            series: Table::new(),
            plain: OnceLock::new(),
            overflow: OnceLock::new(),
        }
    }

    /// The series of a metric without labels.
    #[inline]
    pub(super) fn plain(&self) -> &Arc<Series<C>> {
        self.plain.get_or_init(|| self.make(Labels::new(&[], &[])))
    }

    /// The series of these values, as many as the metric has labels; past the limit that of all the rest.
    pub(super) fn series(&self, values: &[&str]) -> &Arc<Series<C>> {
        if values.is_empty() {
            return self.plain();
        }
        if values.iter().any(|value| value.len() > LONGEST_VALUE) {
            let cut: Vec<&str> = values.iter().map(|value| cut(value)).collect();
            return self.series_of_short(&cut);
        }
        self.series_of_short(values)
    }

    fn series_of_short(&self, values: &[&str]) -> &Arc<Series<C>> {
        let mut hasher = self.hasher.build_hasher();
        for value in values {
            hasher.write(value.as_bytes());
            hasher.write_u8(0xff); // no text has this byte: ("ab", "c") is not ("a", "bc")
        }
        let hash = hasher.finish();
        let is_it = |series: &Arc<Series<C>>| series.labels.are(values);
        // Read before looking: were the series added in between, the length would not be at its limit yet.
        let is_full = self.series.len() + 1 >= self.limit;
        if is_full {
            return self.series.get(hash, is_it).unwrap_or_else(|| self.overflow());
        }
        let room = || self.series.len() + 1 < self.limit;
        let make = || room().then(|| self.make(Labels::new(&self.descriptor.labels, values)));
        self.series.get_or_add(hash, is_it, make).unwrap_or_else(|_| self.overflow())
    }

    fn overflow(&self) -> &Arc<Series<C>> {
        self.overflow.get_or_init(|| {
            let metric = &*self.descriptor.names.prometheus;
            tracing::warn!(target: "tasker_telemetry", metric, limit = self.limit, "a metric has too many series: further ones are counted together");
            self.make(Labels::overflow())
        })
    }

    fn make(&self, labels: Labels) -> Arc<Series<C>> {
        Arc::new(Series { labels, cell: C::empty(&self.shape) })
    }

    /// Every series, in the order in which they came up; the one of the rest is the last.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Series<C>>> {
        self.plain.get().into_iter().chain(self.series.iter()).chain(self.overflow.get())
    }
}

impl<C: Cell> std::fmt::Debug for Family<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family")
            .field("names", &self.descriptor.names)
            .field("series", &self.series.len())
            .finish_non_exhaustive()
    }
}

fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(LONGEST_VALUE)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::cell::CounterSeries;
    use crate::metrics::name::names;

    fn family(labels: &[&'static str], limit: usize) -> Family<CounterSeries> {
        let labels = labels.iter().map(|label| Cow::Borrowed(*label)).collect();
        let names = names("family_total", "", MetricKind::Counter).unwrap();
        Family::new(Descriptor::new(names, MetricKind::Counter, labels, "".into()), Arc::default(), limit)
    }

    #[test]
    fn the_same_values_are_the_same_series() {
        let family = family(&["a", "b"], 100);
        family.series(&["x", "yz"]).cell.inc();
        family.series(&["xy", "z"]).cell.inc();
        family.series(&["x", "yz"]).cell.inc();
        let seen: Vec<_> = family.iter().map(|series| (series.labels.text.to_string(), series.cell.value())).collect();
        assert_eq!(seen, [(r#"a="x",b="yz""#.to_owned(), 2), (r#"a="xy",b="z""#.to_owned(), 1)]);
    }

    #[test]
    fn the_limit_holds_whoever_comes_at_once() {
        let family = family(&["id"], 50);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for id in 0..1_000 {
                        family.series(&[&format!("{id}")]).cell.inc();
                    }
                });
            }
        });
        assert_eq!(family.iter().count(), 50);
        assert_eq!(family.iter().map(|series| series.cell.value()).sum::<u64>(), 8_000);
        let overflow = family.iter().last().unwrap();
        assert!(overflow.labels.is_overflow());
        assert_eq!(overflow.cell.value(), (1_000 - 49) * 8);
    }

    #[test]
    fn a_megabyte_is_cut_between_characters() {
        let family = family(&["text"], 10);
        let long = "ä".repeat(500_000);
        family.series(&[&long]).cell.inc();
        family.series(&[&long]).cell.inc();
        let series: Vec<_> = family.iter().collect();
        assert_eq!((series.len(), series[0].cell.value()), (1, 2));
        assert!(series[0].labels.text.len() <= LONGEST_VALUE + 10);
    }
}
