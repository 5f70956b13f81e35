//! Colour and columns: the only module that knows escape sequences, and that some characters are two cells wide and
//! others none.

use std::fmt::Display;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Paints, or leaves the text as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    pub(super) is_on: bool,
}

impl Paint {
    fn with(self, code: u8, text: impl Display) -> String {
        if self.is_on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }

    pub(super) fn bold(self, text: impl Display) -> String {
        self.with(1, text)
    }

    pub(super) fn dim(self, text: impl Display) -> String {
        self.with(2, text)
    }

    pub(super) fn red(self, text: impl Display) -> String {
        self.with(31, text)
    }

    pub(super) fn green(self, text: impl Display) -> String {
        self.with(32, text)
    }

    pub(super) fn yellow(self, text: impl Display) -> String {
        self.with(33, text)
    }
}

/// The text in `width` cells: cut with an ellipsis, or filled up with spaces.
pub(super) fn cell(text: &str, width: usize) -> String {
    let text = clip(text, width);
    let fill = width.saturating_sub(text.width());
    text + &" ".repeat(fill)
}

/// How many cells the text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most `width` cells.
pub(super) fn clip(text: &str, width: usize) -> String {
    // Characters without a width take memory, too: nobody needs more than a few for each cell.
    let most = 8 * width;
    if text.chars().nth(most).is_none() && text.width() <= width {
        return text.to_owned();
    }
    let mut clipped = String::new();
    let mut used = 1; // the ellipsis
    for char in text.chars().take(most) {
        used += char.width().unwrap_or(0);
        if used > width {
            break;
        }
        clipped.push(char);
    }
    clipped.push('…');
    clipped
}

/// The text as it may be shown on a terminal: on one line, and without a character that a terminal obeys. What stands in
/// names, fields and errors may come from anybody.
pub(super) fn harmless(text: &str) -> String {
    let shown = |char: char| match char {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        char if char.is_control() || is_invisible_order(char) => '\u{fffd}',
        char => char,
    };
    text.chars().map(shown).collect()
}

/// Signs that turn the direction of what follows, or tag it, and are not seen themselves.
const fn is_invisible_order(char: char) -> bool {
    matches!(char,
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A duration for people: three digits or so, and the unit.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 0.000_5 => "<1 ms".to_owned(),
        _ if seconds < 0.999_5 => format!("{:.0} ms", seconds * 1_000.0),
        _ if seconds < 9.995 => format!("{seconds:.2} s"),
        _ if seconds < 99.95 => format!("{seconds:.1} s"),
        _ if seconds < 9_999.5 => format!("{seconds:.0} s"),
        _ if seconds < 359_999.5 => format!("{:.1} h", seconds / 3_600.0),
        _ if seconds < 863_999.5 => format!("{:.1} d", seconds / 86_400.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
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
        assert!(clip(&"\u{301}".repeat(100_000), 10).chars().count() <= 81, "signs without a width are limited");
    }

    #[test]
    fn no_colour_means_no_escape() {
        assert_eq!(Paint { is_on: false }.red("x"), "x");
        assert_eq!(Paint { is_on: true }.red("x"), "\u{1b}[31mx\u{1b}[0m");
    }

    #[test]
    fn what_a_terminal_obeys_is_not_shown() {
        assert_eq!(harmless("a\nb\r\n\tc"), "a b   c");
        assert_eq!(harmless("\u{1b}]0;x\u{7}\u{9b}2J\u{7f}\0"), "\u{fffd}]0;x\u{fffd}\u{fffd}2J\u{fffd}\u{fffd}");
        assert_eq!(harmless("\u{202e}gpj.exe\u{2067}"), "\u{fffd}gpj.exe\u{fffd}");
        assert_eq!(harmless("佐藤 美咲 👩‍🍳"), "佐藤 美咲 👩‍🍳");
    }

    #[test]
    fn durations_have_a_unit_that_suits_them() {
        let texts = [0.000_1, 0.042_4, 0.999_9, 1.234_5, 75.0, 120.4, 36_000.0, 4e5, 1e6].map(duration);
        assert_eq!(texts, ["<1 ms", "42 ms", "1.00 s", "1.23 s", "75.0 s", "120 s", "10.0 h", "4.6 d", "12 d"]);
    }
}
