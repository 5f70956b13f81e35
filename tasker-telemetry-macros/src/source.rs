//! Where something stands in the user's source, as `Source` of the catalog.

use proc_macro2::{Span, TokenStream};
use quote::quote;

/// Expands to: `__private::Source { module: module_path!(), file: "src/shop.rs", line: 12 }`
///
/// File and line are literals, since `line!()` in the output of a derive is the line of the attribute.
pub(crate) fn source(private: &TokenStream, span: Span) -> TokenStream {
    let (file, line) = place(span);
    quote! {
        #private::Source { module: ::core::module_path!(), file: #file, line: #line }
    }
}

/// File and line, from 1. There is no span to ask in a unit test.
pub(crate) fn place(span: Span) -> (String, u32) {
    if proc_macro::is_available() {
        let span = span.unwrap();
        (span.file(), u32::try_from(span.line()).unwrap_or(u32::MAX))
    } else {
        (String::new(), 0)
    }
}
