//! The name of an error's class: from its type, and from the first word of its `Debug` text, which for enums is the variant.

use std::any::type_name;
use std::error::Error;
use std::fmt::{self, Debug, Write};

/// The type's path, with the variant where `debug` shows one.
pub(super) fn of_type(path: &str, debug: Option<&dyn Debug>) -> String {
    let mut class = String::new();
    // Writing into a String cannot fail.
    let _ = write_type(path, debug, &mut class);
    class
}

/// The same, written where there may be no heap.
pub(super) fn write_type(path: &str, debug: Option<&dyn Debug>, out: &mut impl Write) -> fmt::Result {
    let whole = path;
    let path = without_owners(path);
    if !path.contains("::") {
        return out.write_str(whole);
    }
    let is_foreign = ["std::", "core::", "alloc::"].iter().any(|root| path.starts_with(root));
    let variant = if is_foreign { None } else { debug.and_then(first_word) };
    match variant {
        Some(variant) if variant.as_str() != last_segment(path) => write!(out, "{path}::{}", variant.as_str()),
        _ => out.write_str(path),
    }
}

/// The class of an error whose type is hidden behind `dyn Error`; `None` when nothing tells it.
pub(super) fn of_cause(error: &(dyn Error + 'static)) -> Option<String> {
    known_type(error).map(str::to_owned).or_else(|| from_debug(error))
}

/// The first word of the `Debug` text, when it looks like a type or a variant.
pub(super) fn from_debug(error: &dyn Debug) -> Option<String> {
    // The wrappers of `anyhow` and `eyre` around a context are called `Error`; as a class that says nothing.
    first_word(error).map(|word| word.as_str().to_owned()).filter(|word| word != "Error")
}

/// Whether the path is that of a box, whose content's type it does not tell.
pub(super) fn is_box(path: &str) -> bool {
    without_owners(path).starts_with("dyn ")
}

/// The types of the standard library that no `Debug` text tells.
fn known_type(error: &(dyn Error + 'static)) -> Option<&'static str> {
    macro_rules! first_of {
        ($($known:ty),* $(,)?) => { $(
            if error.is::<$known>() {
                return Some(type_name::<$known>());
            }
        )* };
    }
    first_of!(
        std::io::Error,
        fmt::Error,
        std::num::ParseIntError,
        std::num::ParseFloatError,
        std::num::TryFromIntError,
        std::str::Utf8Error,
        std::str::ParseBoolError,
        std::string::FromUtf8Error,
        std::char::ParseCharError,
        std::net::AddrParseError,
        std::env::VarError,
        std::time::SystemTimeError,
        std::array::TryFromSliceError,
        std::alloc::LayoutError,
        std::sync::mpsc::RecvError,
        std::thread::AccessError,
        serde_json::Error,
    );
    None
}

/// `E` of `&E`, `Box<E>`, `Arc<E>`, `Rc<E>`, as often as it takes.
fn without_owners(mut path: &str) -> &str {
    const OWNERS: [&str; 3] = ["alloc::boxed::Box<", "alloc::sync::Arc<", "alloc::rc::Rc<"];
    loop {
        let inner = path.strip_prefix('&').or_else(|| {
            OWNERS.iter().find_map(|owner| path.strip_prefix(owner)).and_then(|rest| rest.strip_suffix('>'))
        });
        match inner {
            // The path of a boxed `dyn Error` alone would hide that it was boxed; `is_box` looks through it.
            Some(inner) => path = inner.trim_start_matches("mut "),
            None => return path,
        }
    }
}

/// `PaymentError` of `shop::PaymentError<u8>`.
fn last_segment(path: &str) -> &str {
    let path = path.split_once('<').map_or(path, |(path, _)| path);
    path.rsplit_once("::").map_or(path, |(_, last)| last)
}

/// The first word of a `Debug` text in the form that `derive(Debug)` writes: `Word`, `Word(..` or `Word { ..`.
fn first_word(value: &(impl Debug + ?Sized)) -> Option<Word> {
    let mut word = FirstWord { word: Word { bytes: [0; LONGEST_WORD + 4], len: 0 }, end: End::None };
    // Stops at the end of the word: the rest is not even formatted.
    let _stopped = write!(word, "{value:?}");
    let is_name = word.word.as_str().starts_with(char::is_uppercase);
    (is_name && matches!(word.end, End::None | End::Form)).then_some(word.word)
}

/// A word on the stack: metrics ask for it at every failure, and must not allocate.
struct Word {
    bytes: [u8; LONGEST_WORD + 4],
    len: usize,
}

impl Word {
    fn push(&mut self, c: char) {
        let end = self.len + c.len_utf8();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            c.encode_utf8(room);
            self.len = end;
        }
    }

    fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// Takes the first word and refuses the rest.
struct FirstWord {
    word: Word,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    None,
    /// A space: a brace must follow.
    Space,
    /// As `derive(Debug)` goes on.
    Form,
    /// A sentence, a path, or too long for a name.
    Other,
}

const LONGEST_WORD: usize = 80;

impl Write for FirstWord {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.end = match (self.end, c) {
                (End::None, c) if (c.is_alphanumeric() || c == '_') && self.word.len < LONGEST_WORD => {
                    self.word.push(c);
                    continue;
                }
                (End::None, ' ') => End::Space,
                (End::None, '(') | (End::Space, '{') => End::Form,
                _ => End::Other,
            };
            if self.end != End::Space {
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[allow(dead_code, reason = "only their Debug text is read")]
    enum Payment {
        Declined,
        Limit(u8),
        Code { code: u8 },
    }

    #[derive(Debug)]
    struct Plain;

    #[test]
    fn variants_are_appended() {
        for (error, class) in [
            (Payment::Declined, "shop::Payment::Declined"),
            (Payment::Limit(1), "shop::Payment::Limit"),
            (Payment::Code { code: 2 }, "shop::Payment::Code"),
        ] {
            assert_eq!(of_type("shop::Payment", Some(&error)), class);
        }
        assert_eq!(of_type("shop::Plain", Some(&Plain)), "shop::Plain");
        assert_eq!(of_type("alloc::boxed::Box<shop::Payment>", Some(&Payment::Declined)), "shop::Payment::Declined");
        assert_eq!(of_type("&shop::Plain", Some(&Plain)), "shop::Plain");
        assert_eq!(of_type("shop::Generic<a::B>", Some(&Plain)), "shop::Generic<a::B>::Plain");
    }

    #[test]
    fn texts_are_no_variants() {
        for text in ["Connection refused", "\"quoted\"", "lower", "a::B", ""] {
            assert_eq!(of_type("shop::Payment", Some(&format_args!("{text}"))), "shop::Payment", "{text}");
        }
        assert_eq!(of_type("alloc::string::String", Some(&format_args!("Boom"))), "alloc::string::String");
        assert_eq!(of_type("&str", Some(&format_args!("Boom"))), "&str");
    }

    #[test]
    fn known_types_have_their_path() {
        let error: Box<dyn Error> = "x".parse::<u8>().unwrap_err().into();
        assert_eq!(of_cause(&*error).as_deref(), Some("core::num::error::ParseIntError"));
        let text: Box<dyn Error> = "boom".into();
        assert_eq!(of_cause(&*text), None);
    }
}
