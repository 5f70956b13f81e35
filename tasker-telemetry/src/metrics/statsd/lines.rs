//! What is said of each series: `shop.orders.paid:3|c`, or `shop.orders:3|c|#status:paid`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::Dialect;
use crate::metrics::family::{Descriptor, Labels};
use crate::metrics::push::{Told, spread};
use crate::metrics::render::{Reading, Visitor};

/// The lines that one series needs, and what is known of it when they have been sent.
pub(super) struct Change {
    pub(super) key: String,
    pub(super) lines: Vec<String>,
    pub(super) told: Option<Told>,
}

/// Reads all metrics. Series that have one name are one.
pub(super) struct Gather<'a> {
    dialect: Dialect,
    prefix: &'a str,
    tags: &'a str,
    seen: BTreeMap<String, Seen>,
}

struct Seen {
    name: String,
    tags: String,
    value: Value,
}

enum Value {
    Counter(u64),
    Gauge(f64),
    Histogram { bounds: Vec<f64>, counts: Vec<u64>, sum: f64, unit: Unit },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Other,
}

impl<'a> Gather<'a> {
    pub(super) const fn new(dialect: Dialect, prefix: &'a str, tags: &'a str) -> Self {
        Self { dialect, prefix, tags, seen: BTreeMap::new() }
    }

    /// What is new since what was told.
    pub(super) fn changes(self, told: &HashMap<String, Told>) -> Vec<Change> {
        let dialect = self.dialect;
        let changes = self.seen.into_iter().filter_map(|(key, seen)| {
            let (lines, now) = seen.lines(dialect, told.get(&key))?;
            Some(Change { key, lines, told: now })
        });
        changes.collect()
    }
}

impl Visitor for Gather<'_> {
    fn begin(&mut self, _: &Descriptor) {}

    fn sample(&mut self, metric: &Descriptor, labels: &Labels, reading: &Reading<'_>) {
        let mut name = String::from(self.prefix);
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&metric.names.dotted);
        let mut tags = String::new();
        for (label, value) in labels.pairs(&metric.labels) {
            match self.dialect {
                Dialect::Plain => {
                    name.push('.');
                    // It has no value that says more than its name.
                    part(&mut name, if labels.is_overflow() { label } else { value });
                }
                Dialect::Dog => tag(&mut tags, label, value),
            }
        }
        if self.dialect == Dialect::Dog && !self.tags.is_empty() {
            if !tags.is_empty() {
                tags.push(',');
            }
            tags.push_str(self.tags);
        }
        let value = match reading {
            Reading::Counter(value) => Value::Counter(*value),
            Reading::Gauge(value) => Value::Gauge(*value),
            Reading::Histogram(reading) => Value::Histogram {
                bounds: reading.bounds.to_vec(),
                counts: reading.counts.clone(),
                sum: reading.sum,
                unit: if metric.names.unit == "seconds" { Unit::Seconds } else { Unit::Other },
            },
        };
        let key = format!("{name}#{tags}");
        match self.seen.entry(key) {
            std::collections::btree_map::Entry::Vacant(place) => _ = place.insert(Seen { name, tags, value }),
            std::collections::btree_map::Entry::Occupied(mut place) => place.get_mut().value.add(value),
        }
    }
}

impl Value {
    fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Counter(sum), Self::Counter(value)) => *sum = sum.wrapping_add(value),
            (Self::Gauge(sum), Self::Gauge(value)) => *sum += value,
            (Self::Histogram { counts, sum, .. }, Self::Histogram { counts: more, sum: value, .. }) => {
                counts.iter_mut().zip(more).for_each(|(sum, count)| *sum = sum.wrapping_add(count));
                *sum += value;
            }
            _ => {}
        }
    }
}

impl Seen {
    /// `None` when there is nothing to say.
    fn lines(self, dialect: Dialect, told: Option<&Told>) -> Option<(Vec<String>, Option<Told>)> {
        let end = if self.tags.is_empty() { String::new() } else { format!("|#{}", self.tags) };
        let line = |value: f64, kind: &str, rate: &str| format!("{}:{value}|{kind}{rate}{end}", self.name);
        match self.value {
            Value::Counter(now) => {
                let now = Told::Counter(now);
                let Told::Counter(more) = now.since(told) else { return None };
                let text = format!("{}:{more}|c{end}", self.name);
                (told.is_none() || more > 0).then(|| (vec![text], Some(now)))
            }
            Value::Gauge(value) if value.is_finite() => {
                let mut lines = vec![line(value, "g", "")];
                if value < 0.0 && dialect == Dialect::Plain {
                    // A sign means a change to StatsD: from 0 it is the value.
                    lines.insert(0, line(0.0, "g", ""));
                }
                Some((lines, None))
            }
            Value::Gauge(_) => None,
            Value::Histogram { bounds, counts, sum, unit } => {
                let now = Told::Histogram { counts, sum };
                let Told::Histogram { counts: new, sum: new_sum } = now.since(told) else { return None };
                let (kind, scale) = match (unit, dialect) {
                    (Unit::Seconds, _) => ("ms", 1e3),
                    (Unit::Other, Dialect::Plain) => ("ms", 1.0),
                    (Unit::Other, Dialect::Dog) => ("h", 1.0),
                };
                let mut lines = Vec::new();
                for sample in spread::samples(&bounds, &new, new_sum) {
                    let value = sample.value * scale;
                    // StatsD refuses timers below 0.
                    let value = if dialect == Dialect::Plain { value.max(0.0) } else { value };
                    let rate = if sample.rate < 1.0 { format!("|@{}", sample.rate) } else { String::new() };
                    let text = line(value, kind, &rate);
                    lines.extend(std::iter::repeat_n(text, sample.lines));
                }
                (!lines.is_empty()).then_some((lines, Some(now)))
            }
        }
    }
}

/// A prefix: parts with points between them.
pub(crate) fn name(text: &str) -> String {
    let mut name = String::new();
    for piece in text.split('.').filter(|piece| !piece.is_empty()) {
        if !name.is_empty() {
            name.push('.');
        }
        part(&mut name, piece);
    }
    name
}

/// A value as a part of a name.
pub(crate) fn part(out: &mut String, value: &str) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    out.extend(value.chars().map(|c| if is_plain(c) { c } else { '_' }));
    if value.is_empty() {
        out.push('_');
    }
}

/// `name:value`, after a comma where there is one before it.
pub(crate) fn tag(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    let is_safe = |c: char| !c.is_control() && !matches!(c, ',' | '|');
    // Writing into a String cannot fail.
    let _ = write!(out, "{name}:");
    out.extend(value.chars().map(|c| if is_safe(c) { c } else { '_' }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_hold_what_a_line_can_carry() {
        let mut text = name("shop..my service");
        text.push('.');
        part(&mut text, "a.b:c|d\ne💥");
        text.push('.');
        part(&mut text, "");
        assert_eq!(text, "shop.my_service.a_b_c_d_e_._");
        let mut tags = String::new();
        tag(&mut tags, "a", "1,2|3\n4");
        tag(&mut tags, "b", "é: x");
        assert_eq!(tags, "a:1_2_3_4,b:é: x");
    }
}
