//! Numbers as the text formats write them.

use std::fmt::Write as _;

/// As Prometheus' own libraries do: `5`, `0.25`, `1e300`, `+Inf`, `NaN`.
pub(super) fn float(out: &mut String, value: f64) {
    canonical(out, value);
    if out.ends_with(".0") {
        out.truncate(out.len() - 2);
    }
}

/// The same with a point in every number, as `OpenMetrics` wants the bounds of buckets: `5.0`.
pub(super) fn canonical(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        // Writing into a String cannot fail.
        let _ = write!(out, "{value:?}");
    }
}

/// A whole number. Several times as fast as `write!`, which matters where thousands are printed.
pub(super) fn whole(out: &mut String, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        first -= 1;
        if value == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(digits.get(first..).unwrap_or_default()).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: fn(&mut String, f64), value: f64) -> String {
        let mut out = String::new();
        write(&mut out, value);
        out
    }

    #[test]
    fn floats() {
        let floats = [0.005, 1.0, 2.5, 10.0, -3.0, 1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]
            .map(|value| text(float, value));
        assert_eq!(floats, ["0.005", "1", "2.5", "10", "-3", "1e300", "+Inf", "-Inf", "NaN"]);
        assert_eq!([0.005, 1.0, f64::INFINITY].map(|value| text(canonical, value)), ["0.005", "1.0", "+Inf"]);
    }

    #[test]
    fn whole_numbers() {
        for value in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX] {
            let mut out = String::new();
            whole(&mut out, value);
            assert_eq!(out, value.to_string());
        }
    }
}
