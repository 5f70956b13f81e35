//! The question "which returned value is a failure?", put to the compiler: by type, never by name.
//!
//! The answers are in the runtime's `classify`; here is only how the type gets there.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned as _;

use super::body::{Driver, Wrapper};
use super::{Shape, hint};
use crate::function::located;

/// For a finished future called `body`.
pub(super) fn of_future(wrapper: &Wrapper<'_>) -> TokenStream {
    let private = &wrapper.common.private;
    class(wrapper, &quote_spanned!(Span::mixed_site()=> #private::Probe::future(&body)))
}

/// For the type that an `async fn` names in its signature, before there is a body, as an expression; `None` when it cannot be
/// named there. One instance of the runtime's code then serves all functions that return this type; `of_future` needs one for
/// each body.
pub(super) fn of_output(wrapper: &Wrapper<'_>) -> Option<TokenStream> {
    if !matches!(wrapper.common.shape, Shape::Async) {
        return None;
    }
    let output = hint::nameable(&wrapper.common.function.sig.output)?;
    let of = Ident::new(if may_borrow(wrapper) { "of_borrowing_type" } else { "of_type" }, Span::mixed_site());
    Some(classify(wrapper, &quote_spanned!(Span::mixed_site()=> type #of #output)))
}

/// For a closure called `body`.
pub(super) fn of_call(wrapper: &Wrapper<'_>) -> TokenStream {
    let private = &wrapper.common.private;
    class(wrapper, &quote_spanned!(Span::mixed_site()=> #private::Probe::call(&body)))
}

/// For a `Returned` called `returned`.
pub(super) fn of_returned(wrapper: &Wrapper<'_>) -> TokenStream {
    class(wrapper, &quote_spanned!(Span::mixed_site()=> (&returned).probe()))
}

/// A boxed error can be asked for its concrete type only if it is `'static`, and no trait can tell lifetimes apart.
fn may_borrow(wrapper: &Wrapper<'_>) -> bool {
    has_lifetime(wrapper.common.function.sig.output.to_token_stream())
}

/// Expands to: `let class = classify!(probe);`
fn class(wrapper: &Wrapper<'_>, probe: &TokenStream) -> TokenStream {
    let borrowed = may_borrow(wrapper).then(|| quote_spanned!(Span::mixed_site()=> .borrowed()));
    let class = classify(wrapper, &quote_spanned!(Span::mixed_site()=> #probe #borrowed));
    quote_spanned!(Span::mixed_site()=> let class = #class;)
}

/// Expands to: `classify!(..)`
fn classify(wrapper: &Wrapper<'_>, probe: &TokenStream) -> TokenStream {
    let private = &wrapper.common.private;
    let retry_if = match wrapper.driver {
        Driver::Step { retry_if: Some(path), .. } => {
            // At the path: a function that takes another error, or a step that returns none, is an error there.
            let private = located(private, path.span());
            let span = Span::mixed_site().located_at(path.span());
            quote_spanned!(span=> , |returned| #private::advice(returned, #path))
        }
        _ => TokenStream::new(),
    };
    quote_spanned!(Span::mixed_site()=> #private::classify!(#probe #retry_if))
}

/// Whether the tokens hold a lifetime other than `'static`.
fn has_lifetime(tokens: TokenStream) -> bool {
    let mut after_quote = false;
    tokens.into_iter().any(|tree| {
        let is_name = std::mem::replace(&mut after_quote, false);
        match tree {
            TokenTree::Punct(punct) => {
                after_quote = punct.as_char() == '\'';
                false
            }
            TokenTree::Ident(name) => is_name && name != "static",
            TokenTree::Group(group) => has_lifetime(group.stream()),
            TokenTree::Literal(_) => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn lifetimes() {
        assert!(has_lifetime(quote!(-> Result<u8, Box<dyn Error + 'a>>)));
        assert!(has_lifetime(quote!(-> (u8, [E<'_>; 2]))));
        assert!(!has_lifetime(quote!(-> Result<&'static str, Box<dyn Error>>)));
    }
}
