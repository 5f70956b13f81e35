//! What a client asks for in its headers.

use crate::metrics::Format;

/// The text format that an `Accept` header prefers; `default` when it has no wish.
pub(super) fn format(accept: &str, default: Format) -> Format {
    let weight_of = |kind: &str| accept.split(',').filter(|part| media(part) == kind).map(weight).fold(0.0, f64::max);
    let open = weight_of("application/openmetrics-text");
    let plain = weight_of("text/plain");
    if open > 0.0 && open >= plain {
        Format::OpenMetrics
    } else if plain > 0.0 {
        Format::Prometheus
    } else {
        default
    }
}

/// Whether an `Accept-Encoding` header takes gzip.
pub(super) fn takes_gzip(accept_encoding: &str) -> bool {
    let named = accept_encoding.split(',').find(|part| media(part) == "gzip");
    let any = || accept_encoding.split(',').find(|part| media(part) == "*");
    named.or_else(any).is_some_and(|part| weight(part) > 0.0)
}

/// `text/plain` of ` text/plain;version=0.0.4;q=0.5`.
fn media(part: &str) -> &str {
    part.split(';').next().unwrap_or_default().trim()
}

/// The `q` of a part; 1 when it has none.
fn weight(part: &str) -> f64 {
    let q = part.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    q.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heavier_format_wins() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let format = |accept| format(accept, Format::Prometheus);
        assert_eq!(format(prometheus), Format::OpenMetrics);
        for plain in ["", "*/*", "text/html", "text/plain", "text/plain;q=0.9, application/openmetrics-text;q=0.8"] {
            assert_eq!(format(plain), Format::Prometheus, "{plain}");
        }
        assert_eq!(format("application/openmetrics-text;q=0"), Format::Prometheus);
        for (accept, expected) in [("", Format::Json), ("*/*", Format::Json), ("text/plain", Format::Prometheus)] {
            assert_eq!(super::format(accept, Format::Json), expected, "{accept}");
        }
    }

    #[test]
    fn gzip_is_taken_when_said() {
        for (header, takes) in [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0, *", false),
            ("", false),
            ("identity", false),
        ] {
            assert_eq!(takes_gzip(header), takes, "{header}");
        }
    }
}
