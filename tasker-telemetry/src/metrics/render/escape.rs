//! Texts that somebody else wrote, made safe for each format.

/// The value of a label in the text formats.
pub(in crate::metrics) fn label(out: &mut String, value: &str) {
    escaped(out, value, true);
}

/// A HELP line; in `OpenMetrics` quotes are escaped, too.
pub(super) fn help(out: &mut String, text: &str, quotes: bool) {
    escaped(out, text, quotes);
}

fn escaped(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

/// A field of a CSV line (RFC 4180).
pub(super) fn csv(out: &mut String, field: &str) {
    if field.contains(['"', ',', '\n', '\r']) {
        out.push('"');
        out.push_str(&field.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(field);
    }
}
