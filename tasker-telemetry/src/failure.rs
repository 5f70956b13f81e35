//! An error or a panic, written out: what failed events, rows and spans say of it.
//!
//! How an error is *recognised* in a return value is `classify`'s business.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::sync::{Arc, OnceLock};

use crate::classify::ErrorView;
use crate::filter::{Filter, Secrets};
use crate::lifecycle::TaskCore;
use crate::publisher::{Inputs, Ticket};

/// What an error says, taken once when an attempt failed.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) class: String,
    pub(crate) chain: Vec<String>,
    backtrace: Option<Backtrace>,
    frames: OnceLock<Vec<String>>,
    /// The category that the error itself names (`ErrorKind`).
    pub(crate) kind: Option<&'static str>,
    /// Whether another attempt makes sense.
    pub(crate) retryable: bool,
    /// The `fields(..)` of the step that failed.
    pub(crate) inputs: Option<Inputs>,
    /// Set where the step waits until the store has written this.
    pub(crate) written: Option<Arc<Ticket>>,
}

/// No text of an error is kept longer: a queue of failures stays bounded in bytes, too.
const LONGEST_TEXT: usize = 4 * 1024;
/// No chain is kept longer; a cyclic one would have no end.
const LONGEST_CHAIN: usize = 16;
const FRAMES: usize = 10;

impl Failure {
    /// Writes an error out. What was masked in the task, and what users' expressions match, is masked in its texts: before
    /// they are shortened, so that no half of a value remains.
    pub(crate) fn of_error(
        view: &ErrorView<'_>,
        kind: Option<&'static str>,
        retryable: bool,
        task: Option<&TaskCore>,
    ) -> Self {
        let shown = Shown::new(task);
        let class = view.class();
        let by_name = || crate::event::error_type(Some(&class));
        let kind = kind.or_else(|| view.known_kind());
        let kind = kind.or_else(|| if by_name() == "other" { view.kind_of_causes() } else { None });
        Self {
            message: shortened(shown.message(view.message())),
            class: shown.class(class),
            chain: view.chain().into_iter().take(LONGEST_CHAIN).map(|text| shortened(shown.cause(text))).collect(),
            backtrace: Some(Backtrace::capture()),
            frames: OnceLock::new(),
            kind,
            retryable,
            inputs: None,
            written: None,
        }
    }

    /// One that only says something.
    pub(crate) fn saying(message: String) -> Self {
        Self { message, ..Self::default() }
    }

    /// With the `fields(..)` of the step that failed.
    pub(crate) fn with_inputs(mut self, inputs: Option<Inputs>) -> Self {
        self.inputs = inputs;
        self
    }

    /// The error's category: by its own word, else by its class.
    pub(crate) fn error_type(&self) -> &'static str {
        self.kind.unwrap_or_else(|| crate::event::error_type(Some(&self.class)))
    }

    /// The innermost frames, when `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` asks for them. Capturing them took microseconds;
    /// finding their names takes milliseconds, and is left to whoever reads them first, off the step's thread.
    pub(crate) fn backtrace(&self) -> &[String] {
        self.frames.get_or_init(|| self.backtrace.as_ref().map(read_frames).unwrap_or_default())
    }

    /// Writes a panic out: its class is `panic`, its message the panic's where that is a text.
    pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> Self {
        Self::of_panic_in(panic, None)
    }

    /// The same for a panic in a task.
    pub(crate) fn of_panic_in(panic: &(dyn Any + Send), task: Option<&TaskCore>) -> Self {
        let message = panic
            .downcast_ref::<&'static str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        Self {
            message: shortened(Shown::new(task).message(message)),
            class: "panic".to_owned(),
            backtrace: Some(Backtrace::capture()),
            ..Self::default()
        }
    }
}

/// What may be shown of the texts of an error.
struct Shown<'a>(Option<(&'a Filter, &'a Secrets)>);

impl<'a> Shown<'a> {
    fn new(task: Option<&'a TaskCore>) -> Self {
        Self(task.map(|task| (task.core().filter(), task.secrets())))
    }

    fn message(&self, text: String) -> String {
        match self.0 {
            Some((filter, secrets)) => filter.message(text, Some(secrets)),
            None => text,
        }
    }

    fn cause(&self, text: String) -> String {
        match self.0 {
            Some((filter, secrets)) => filter.cause(text, Some(secrets)),
            None => text,
        }
    }

    /// A class is a type's path, and a word of the `Debug` text, which anything may stand in.
    fn class(&self, text: String) -> String {
        match self.0 {
            Some((filter, secrets)) => filter.error_text(text, Some(secrets)),
            None => text,
        }
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST_TEXT {
        text.truncate(text.floor_char_boundary(LONGEST_TEXT));
        text.push('…');
        // Else the memory of the whole text would be kept with the beginning.
        text.shrink_to_fit();
    }
    text
}

/// The innermost frames of user code.
fn read_frames(backtrace: &Backtrace) -> Vec<String> {
    if backtrace.status() != BacktraceStatus::Captured {
        return Vec::new();
    }
    // The standard library gives frames as text only: "  4: shop::charge\n             at src/main.rs:12:5".
    let text = backtrace.to_string();
    let mut frames: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(place) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                frame.push_str(" at ");
                frame.push_str(place);
            }
        } else if let Some((_, function)) = line.split_once(": ") {
            frames.push(function.to_owned());
        }
    }
    frames.retain(|frame| !is_machinery(frame));
    frames.truncate(FRAMES);
    frames
}

/// Frames that tell a reader nothing about the failure: ours, and the standard library's below and around us.
fn is_machinery(frame: &str) -> bool {
    [
        "tasker_telemetry::",
        "<tasker_telemetry::",
        "std::",
        "<std::",
        "core::",
        "<core::",
        "<alloc::",
        "__rust",
        "rust_begin_unwind",
        "tokio::",
        "<tokio::",
        "futures_",
        "<futures_",
    ]
    .iter()
    .any(|prefix| frame.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_keeps_its_message() {
        let caught = std::panic::catch_unwind(|| std::panic::panic_any("boom")).unwrap_err();
        let failure = Failure::of_panic(&*caught);
        assert_eq!((failure.class.as_str(), failure.message.as_str()), ("panic", "boom"));
        let odd: Box<dyn Any + Send> = Box::new(7);
        assert_eq!(Failure::of_panic(&*odd).message, "a panic without a message");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = shortened("ä".repeat(LONGEST_TEXT));
        assert!(text.len() <= LONGEST_TEXT + '…'.len_utf8());
        assert!(text.ends_with('…'));
    }
}
