//! Colour and columns: the only module that knows escape sequences, and that some characters are two cells wide and
//! others none.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Paints, or leaves the text as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    pub(crate) is_on: bool,
}

impl Paint {
    fn with(self, style: Style, text: impl Display) -> String {
        if self.is_on { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    pub(crate) fn bold(self, text: impl Display) -> String {
        self.with(Style::new().bold(), text)
    }

    pub(crate) fn dim(self, text: impl Display) -> String {
        self.with(Style::new().dimmed(), text)
    }

    pub(crate) fn red(self, text: impl Display) -> String {
        self.with(AnsiColor::Red.on_default(), text)
    }

    pub(crate) fn green(self, text: impl Display) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    pub(crate) fn yellow(self, text: impl Display) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    pub(crate) fn magenta(self, text: impl Display) -> String {
        self.with(AnsiColor::Magenta.on_default(), text)
    }
}

/// The text in `width` cells: cut with an ellipsis, or filled up with spaces.
pub(crate) fn cell(text: &str, width: usize) -> String {
    pad(&clip(text, width), width)
}

/// The text in `width` cells, or more if it is longer.
pub(crate) fn pad(text: &str, width: usize) -> String {
    let fill = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(fill))
}

/// The text in at most `width` cells.
pub(crate) fn clip(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut clipped = String::new();
    let mut used = 1; // the ellipsis
    for char in text.chars() {
        used += char.width().unwrap_or(0);
        if used > width {
            break;
        }
        clipped.push(char);
    }
    clipped.push('…');
    clipped
}

/// A duration for people: three digits or so, and the unit.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 0.000_5 => "<1 ms".to_owned(),
        _ if seconds < 0.999_5 => format!("{:.0} ms", seconds * 1_000.0),
        _ if seconds < 9.995 => format!("{seconds:.2} s"),
        _ if seconds < 99.95 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_as_wide_as_they_should_be() {
        for (text, width, expected) in [
            ("abc", 5, "abc  "),
            ("abcdef", 5, "abcd…"),
            ("煎茶", 5, "煎茶 "),
            ("煎茶茶", 5, "煎茶…"),
            ("煎茶茶", 4, "煎… "),
            ("e\u{301}e", 3, "e\u{301}e "),
        ] {
            let cell = cell(text, width);
            assert_eq!((cell.as_str(), cell.width()), (expected, width));
        }
    }

    #[test]
    fn no_colour_means_no_escape() {
        assert_eq!(Paint { is_on: false }.red("x"), "x");
        assert_eq!(Paint { is_on: true }.red("x"), "\u{1b}[31mx\u{1b}[0m");
    }

    #[test]
    fn durations_have_a_unit_that_suits_them() {
        let texts = [0.000_1, 0.042_4, 0.999_9, 1.234_5, 75.0, 120.4].map(duration);
        assert_eq!(texts, ["<1 ms", "42 ms", "1.00 s", "1.23 s", "75.0 s", "120 s"]);
    }
}
