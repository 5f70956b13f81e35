//! What is printed. Results go to the standard output, everything else to the standard error; colours only to a terminal, which
//! `anstream` sees to, and `NO_COLOR` with it.

use std::io::{ErrorKind, Write as _};

use anstyle::{AnsiColor, Style};
use serde_json::{Value as Json, json};

use crate::args::Format;
use crate::failure::Failure;

pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const STRONG: Style = Style::new().bold();

/// The text in that style, for a terminal.
pub(crate) fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints a result, with a line break at its end. A reader that went away (`| head`) has what it wanted.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::cannot(format!("printing: {error}"))),
        _ => Ok(()),
    }
}

/// Prints a result as JSON, for people's eyes, too.
pub(crate) fn print_json(json: &Json) -> Result<(), Failure> {
    print(&serde_json::to_string_pretty(json).unwrap_or_default())
}

/// Tells something beside the result.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}: {text}", painted(STRONG, "note"));
}

/// Tells why the command failed.
pub(crate) fn failure(failure: &Failure, format: Format) {
    let _ = if format == Format::Json {
        writeln!(anstream::stdout(), "{}", json!({"error": failure.to_string(), "exit_code": failure.number()}))
    } else {
        writeln!(anstream::stderr(), "{}: {failure}", painted(ERROR, "error"))
    };
}
