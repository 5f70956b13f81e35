//! The category of an error for the label `error_type`, found without the allocations that a failure's event needs.

use std::fmt::{self, Write};

use crate::classify::ErrorView;
use crate::event;

/// The same category as the failure's event tells.
pub(crate) fn error_type(error: &ErrorView<'_>, kind: Option<&'static str>) -> &'static str {
    if let Some(kind) = kind.or_else(|| error.known_kind()) {
        return kind;
    }
    match by_class(error) {
        "other" => error.kind_of_causes().unwrap_or("other"),
        kind => kind,
    }
}

fn by_class(error: &ErrorView<'_>) -> &'static str {
    let mut class = Text { bytes: [0; 256], len: 0 };
    match error.write_class(&mut class) {
        Some(Ok(())) => event::error_type(class.as_str()),
        // In a box, or too long for the stack: the long way.
        _ => event::error_type(Some(&error.class())),
    }
}

/// A short text on the stack.
struct Text {
    bytes: [u8; 256],
    len: usize,
}

impl Text {
    fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..self.len)?).ok()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::ErrorText;

    #[derive(Debug)]
    #[allow(dead_code, reason = "only their Debug text is read")]
    enum Gateway {
        Timeout,
        NotFound(u8),
        Odd { code: u8 },
    }

    #[test]
    fn it_is_what_the_class_says() {
        for error in [Gateway::Timeout, Gateway::NotFound(4), Gateway::Odd { code: 1 }] {
            for type_name in
                ["shop::Gateway", "alloc::boxed::Box<shop::Gateway>", "&shop::Gateway", "alloc::string::String", "u8"]
            {
                let view = ErrorView { text: ErrorText::Debug(&error), type_name };
                assert_eq!(error_type(&view, None), event::error_type(Some(&view.class())), "{type_name} {error:?}");
                assert_eq!(error_type(&view, Some("mine")), "mine");
            }
        }
        let long: &'static str = Box::leak(format!("shop::{}Timeout", "a".repeat(300)).into_boxed_str());
        let view = ErrorView { text: ErrorText::Opaque, type_name: long };
        assert_eq!(error_type(&view, None), "timeout");
    }

    #[test]
    fn a_debug_that_panics_does_no_harm() {
        struct Bad;
        impl fmt::Debug for Bad {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("expected panic")
            }
        }
        let view = ErrorView { text: ErrorText::Debug(&Bad), type_name: "shop::Timeout" };
        assert_eq!(error_type(&view, None), "timeout");
    }
}
