//! The names of metrics and labels: what is allowed, and the forms that the exports use.
//!
//! A metric may be named as Prometheus does (`shop_orders_total`) or as OpenTelemetry does (`shop.orders`); each form is made
//! of the other. Escaping values is the exports' business: any text may be the *value* of a label.

use std::borrow::Cow;

use super::error::{MetricError, excerpt};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// A sum that only grows.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// How often values fell into each of some ranges.
    Histogram,
}

impl MetricKind {
    /// `counter`, `gauge` or `histogram`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The names of one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// `shop_orders_total`.
    pub(super) prometheus: Cow<'static, str>,
    /// `shop.orders`.
    pub(super) dotted: Cow<'static, str>,
    /// `seconds`; empty when there is none.
    pub(super) unit: Cow<'static, str>,
}

/// The unit that a name ends with is its unit.
const UNITS: [&str; 9] = ["seconds", "bytes", "ratio", "meters", "grams", "joules", "celsius", "volts", "amperes"];

const LONGEST_NAME: usize = 200;

/// Checks the name of a user's metric and makes its forms.
pub(super) fn names(name: &str, unit: &str, kind: MetricKind) -> Result<Names, MetricError> {
    let wrong = |problem| Err(MetricError::Name { name: excerpt(name), problem });
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_well || !name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'.') {
        return wrong("must be letters, digits, `_` and `.`, and begin with a letter, such as `shop_orders_total`");
    }
    if name.len() > LONGEST_NAME {
        return wrong("is longer than 200 characters");
    }
    if name.ends_with('.') || name.contains("..") {
        return wrong("has an empty part: write `shop.orders`");
    }
    if name.starts_with("tasker.") || name.starts_with("tasker_") {
        return wrong("begins with `tasker`, which is the library's own: begin with your program's name");
    }
    if !unit.is_empty() && !unit.bytes().all(|c| c.is_ascii_lowercase() || c == b'_') {
        return wrong("has a unit that is not a word in lower case, such as `seconds`");
    }
    let base = name.replace('.', "_");
    let base = base.strip_suffix("_total").unwrap_or(&base);
    let has_total = name.replace('.', "_").ends_with("_total");
    if has_total && kind != MetricKind::Counter {
        return wrong("ends with `_total`, which only a counter's may");
    }
    if ["_bucket", "_sum", "_count", "_created", "_info"].iter().any(|suffix| base.ends_with(suffix)) {
        return wrong(
            "ends with `_bucket`, `_sum`, `_count`, `_created` or `_info`, which the text formats use themselves",
        );
    }
    let unit = if unit.is_empty() { deduced_unit(base) } else { unit };
    let base = with_suffix(base, unit);
    let dotted = if name.contains('.') {
        name.strip_suffix(".total").or_else(|| name.strip_suffix("_total")).unwrap_or(name).to_owned()
    } else {
        without_suffix(&base, unit).replace('_', ".")
    };
    let prometheus = if kind == MetricKind::Counter { format!("{base}_total") } else { base };
    Ok(Names { prometheus: prometheus.into(), dotted: dotted.into(), unit: unit.to_owned().into() })
}

fn deduced_unit(base: &str) -> &'static str {
    let last = base.rsplit_once('_').map_or("", |(_, last)| last);
    UNITS.into_iter().find(|unit| *unit == last).unwrap_or_default()
}

fn with_suffix(base: &str, unit: &str) -> String {
    let has_it = unit.is_empty() || base.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
    if has_it { base.to_owned() } else { format!("{base}_{unit}") }
}

fn without_suffix<'a>(base: &'a str, unit: &str) -> &'a str {
    if unit.is_empty() {
        return base;
    }
    base.strip_suffix(unit).and_then(|rest| rest.strip_suffix('_')).unwrap_or(base)
}

/// Checks the names of a metric's labels.
pub(super) fn check_labels<'a>(metric: &str, labels: impl IntoIterator<Item = &'a str>) -> Result<(), MetricError> {
    let mut seen: Vec<&str> = Vec::new();
    for label in labels {
        let wrong = |problem| Err(MetricError::Label { metric: metric.to_owned(), label: excerpt(label), problem });
        let starts_well = label.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
            return wrong("must be letters, digits and `_`, and begin with a letter, such as `status`");
        }
        if label.len() > LONGEST_NAME {
            return wrong("is longer than 200 characters");
        }
        if label.starts_with("__") || matches!(label, "le" | "quantile" | OVERFLOW) {
            return wrong("is used by the text formats or the library itself: choose another");
        }
        if seen.contains(&label) {
            return wrong("is given more than once");
        }
        seen.push(label);
    }
    Ok(())
}

/// The label of the series that takes what is over a metric's limit. OpenTelemetry's name for it.
pub(super) const OVERFLOW: &str = "otel_metric_overflow";

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(name: &str, unit: &str, kind: MetricKind) -> (String, String, String) {
        let names = names(name, unit, kind).unwrap();
        (names.prometheus.into(), names.dotted.into(), names.unit.into())
    }

    fn all(a: &str, b: &str, c: &str) -> (String, String, String) {
        (a.to_owned(), b.to_owned(), c.to_owned())
    }

    #[test]
    fn each_form_is_made_of_the_other() {
        use MetricKind::{Counter, Gauge, Histogram};
        assert_eq!(forms("shop_orders_total", "", Counter), all("shop_orders_total", "shop.orders", ""));
        assert_eq!(forms("shop_orders", "", Counter), all("shop_orders_total", "shop.orders", ""));
        assert_eq!(forms("shop.orders", "", Counter), all("shop_orders_total", "shop.orders", ""));
        assert_eq!(forms("shop_wait_seconds", "", Histogram), all("shop_wait_seconds", "shop.wait", "seconds"));
        assert_eq!(forms("shop.wait", "seconds", Histogram), all("shop_wait_seconds", "shop.wait", "seconds"));
        assert_eq!(forms("shop.open_carts", "", Gauge), all("shop_open_carts", "shop.open_carts", ""));
        assert_eq!(forms("sent_bytes_total", "", Counter), all("sent_bytes_total", "sent", "bytes"));
        assert_eq!(forms("seconds", "", Gauge), all("seconds", "seconds", ""));
    }

    #[test]
    fn what_no_export_could_carry_is_refused_by_name() {
        use MetricKind::{Counter, Gauge, Histogram};
        let long = "a".repeat(201);
        for (name, kind) in [
            ("", Counter),
            ("1st", Counter),
            ("a b", Counter),
            ("a-b", Counter),
            ("größe", Gauge),
            ("a\nb", Gauge),
            ("a..b", Gauge),
            ("a.", Gauge),
            ("_a", Gauge),
            ("tasker_x", Gauge),
            ("tasker.x", Counter),
            ("x_total", Gauge),
            ("x.total", Histogram),
            ("x_bucket", Gauge),
            ("x_count", Histogram),
            ("x_sum_total", Counter),
            (long.as_str(), Gauge),
            ("💥", Counter),
        ] {
            let error = names(name, "", kind).unwrap_err();
            assert!(
                matches!(&error, MetricError::Name { name: named, .. } if name.starts_with(named.as_str())),
                "{name:?}: {error}"
            );
        }
        assert!(names("a", "Mega Bytes", Gauge).is_err());
    }

    #[test]
    fn labels_are_checked() {
        assert_eq!(check_labels("m", ["status", "_x", "a1"]), Ok(()));
        for label in ["", "1a", "a.b", "a-b", "__name__", "le", "quantile", "otel_metric_overflow", "ä", "a\""] {
            assert!(matches!(check_labels("m", [label]), Err(MetricError::Label { .. })), "{label:?}");
        }
        assert!(check_labels("m", ["a", "b", "a"]).unwrap_err().to_string().contains("more than once"));
    }
}
