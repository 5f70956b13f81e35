//! The record that an annotation leaves in the binary, for `cargo tasker catalog`: one line of JSON in a section of its own.
//!
//! It must cost next to nothing to compile, so what is known here is written here, as one literal.

use std::fmt::Write as _;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{quote, quote_spanned};

/// `RECORD_VERSION` of the runtime crate.
const VERSION: &str = "1";

/// A JSON object that is being written, all of which is known here. Keys whose value is the usual one are left out.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        quoted(&mut self.0, value);
    }

    /// The same, left out when empty.
    pub(crate) fn optional(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.text(key, value);
        }
    }

    pub(crate) fn json(&mut self, key: &str, value: &str) {
        self.key(key);
        self.0.push_str(value);
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn key(&mut self, key: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        quoted(&mut self.0, key);
        self.0.push(':');
    }
}

/// A record that is being written.
pub(crate) struct Record {
    /// The pieces so far, as values of `RecordPart`; what comes behind them is in `object`.
    parts: Vec<TokenStream>,
    object: Object,
    private: TokenStream,
}

impl Record {
    /// Begins the record of a `step`, `task`, `event` or `subscriber`. `span` is where it stands.
    pub(crate) fn new(kind: &str, span: Span, private: &TokenStream) -> Self {
        let (file, line) = crate::source::place(span);
        // A line break in front, too: whatever stands before it in the section, this line is its own.
        let mut record = Self { parts: Vec::new(), object: Object("\n{".to_owned()), private: private.clone() };
        record.json("tasker", VERSION);
        record.text("kind", kind);
        record.text("file", &file);
        record.json("line", &line.to_string());
        record
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.object.text(key, value);
    }

    /// The same, left out when empty.
    pub(crate) fn optional(&mut self, key: &str, value: &str) {
        self.object.optional(key, value);
    }

    pub(crate) fn json(&mut self, key: &str, value: &str) {
        self.object.json(key, value);
    }

    /// A list of texts, left out when empty.
    pub(crate) fn texts<'a>(&mut self, key: &str, values: impl IntoIterator<Item = &'a str>) {
        let mut list = String::new();
        for value in values {
            list.push(if list.is_empty() { '[' } else { ',' });
            quoted(&mut list, value);
        }
        if !list.is_empty() {
            list.push(']');
            self.json(key, &list);
        }
    }

    /// The crate in which it stands, as cargo tells it.
    pub(crate) fn krate(&mut self) {
        self.optional("crate", &std::env::var("CARGO_CRATE_NAME").unwrap_or_default());
    }

    /// The module in which it stands.
    pub(crate) fn module(&mut self) {
        self.compiled_text("module", &quote!(::core::module_path!()));
    }

    /// A text that only the compiler knows: a constant `&'static str`.
    pub(crate) fn compiled_text(&mut self, key: &str, value: &TokenStream) {
        self.object.json(key, "\"");
        self.compiled("Text", value);
        self.object.0.push('"');
    }

    /// A list of such texts, left out when empty.
    pub(crate) fn compiled_texts(&mut self, key: &str, values: impl IntoIterator<Item = TokenStream>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return;
        }
        self.object.json(key, "[\"");
        while let Some(value) = values.next() {
            self.compiled("Text", &value);
            self.object.0.push_str(if values.peek().is_some() { "\",\"" } else { "\"]" });
        }
    }

    /// A number that only the compiler knows: a constant `u32`.
    pub(crate) fn compiled_number(&mut self, key: &str, value: &TokenStream) {
        self.object.json(key, "");
        self.compiled("Number", value);
    }

    fn compiled(&mut self, part: &str, value: &TokenStream) {
        self.take_json();
        let (private, part) = (&self.private, Ident::new(part, Span::call_site()));
        self.parts.push(quote!(#private::RecordPart::#part(#value)));
    }

    fn take_json(&mut self) {
        let (private, json) = (&self.private, std::mem::take(&mut self.object.0));
        self.parts.push(quote!(#private::RecordPart::Json(#json)));
    }

    /// Expands to:
    /// ```text
    /// #[used] #[unsafe(link_section = "tasker_catalog")] static __TASKER_RECORD: [u8; 98] = *b"\n{..}\n";
    /// ```
    /// The tokens have no span of the user's: a `#![forbid(unsafe_code)]` of theirs is about code that they write, and nothing
    /// here can harm. `#[used]` keeps it though nothing names it. On WebAssembly a section is something else.
    pub(crate) fn expand(mut self) -> TokenStream {
        self.object.0.push_str("}\n");
        let span = Span::mixed_site();
        let (ty, value, parts) = if self.parts.is_empty() {
            let json = self.object.0.as_bytes();
            let (len, literal) = (Literal::usize_unsuffixed(json.len()), Literal::byte_string(json));
            (quote!([::core::primitive::u8; #len]), quote!(*#literal), None)
        } else {
            self.take_json();
            let (private, parts) = (&self.private, &self.parts);
            let parts = quote_spanned!(span=> const __TASKER_PARTS: &[#private::RecordPart] = &[#(#parts),*];);
            let names = quote_spanned!(span=> __TASKER_PARTS);
            (
                quote!([::core::primitive::u8; #private::record_len(#names)]),
                quote!(#private::record(#names)),
                Some(parts),
            )
        };
        quote_spanned! {span=>
            #parts
            #[cfg(not(target_family = "wasm"))]
            #[used]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__tasker,regular,no_dead_strip"))]
            #[cfg_attr(windows, unsafe(link_section = ".tasker"))]
            #[cfg_attr(not(any(target_vendor = "apple", windows)), unsafe(link_section = "tasker_catalog"))]
            static __TASKER_RECORD: #ty = #value;
        }
    }
}

/// The record of the library itself, which tells its version.
pub(crate) fn library() -> TokenStream {
    let mut object = Object("\n{".to_owned());
    object.json("tasker", VERSION);
    object.text("kind", "library");
    object.text("version", env!("CARGO_PKG_VERSION"));
    Record { parts: Vec::new(), object, private: TokenStream::new() }.expand()
}

/// A JSON string.
fn quoted(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                json.push('\\');
                json.push(character);
            }
            // Also the line break, which parts one record from the next.
            '\0'..='\u{1f}' => {
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            _ => json.push(character),
        }
    }
    json.push('"');
}
