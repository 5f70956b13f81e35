//! The call of one handler. Each error that rustc may find in it belongs to one subscription and is shown there.

use proc_macro2::{Ident, Literal, Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};

use super::model::{Model, Route, Target};
use crate::event_name::name_tag;

/// Expands to:
/// ```text
/// {
///     let __wildcard: for<'a> fn(..) = |subscriber, record| ..;   // once, however many wildcards there are
///     &[Route { pattern: __PATTERNS[0], call: |subscriber, record| .. }, Route { pattern: .., call: __wildcard }]
/// }
/// ```
/// A closure, because there both arguments are inferred: the handler is named once, and a missing one is one error.
pub(crate) fn routes(model: &Model<'_>, private: &TokenStream) -> TokenStream {
    let wildcard = model.routes.iter().find(|route| route.is_wildcard()).map(|route| {
        let call = call(route, "__record", &TokenStream::new(), model, private);
        quote! {
            let __wildcard: for<'__a> fn(&'__a Self, &'__a #private::EventRecord) -> #private::Dispatch<'__a> = #call;
        }
    });
    let routes = model.routes.iter().enumerate().map(|(index, route)| {
        let call = payload(index, route, private)
            .map_or_else(|| quote!(__wildcard), |payload| call(route, "__payload", &payload, model, private));
        let index = Literal::usize_unsuffixed(index);
        quote!(#private::Route { pattern: __PATTERNS[#index], call: #call })
    });
    quote! {
        {
            #wildcard
            &[#(#routes),*]
        }
    }
}

/// Expands to:
/// ```text
/// |subscriber, record| {
///     // see `payload`
///     let returned = returned(Self::handle_task_failed(subscriber, payload));
///     let errors = classify!(returned.probe().borrowed());    // their text only, never their type: so they may borrow
///     returned.dispatch(errors)
/// }
/// ```
fn call(route: &Route, argument: &str, payload: &TokenStream, model: &Model<'_>, private: &TokenStream) -> TokenStream {
    let at = route.shown_at();
    let private = &located_at(private, at);
    let (handler, argument) = (Ident::new(&route.handler, at), Ident::new(argument, at));
    let returned = Ident::new(if model.inline { "returned_inline" } else { "returned" }, at);
    quote_spanned! {at=>
        |__subscriber, __record| {
            #payload
            let __returned = #private::#returned(Self::#handler(__subscriber, #argument));
            let __errors = #private::classify!(__returned.probe().borrowed());
            __returned.dispatch(__errors)
        }
    }
}

/// From the record to the argument of the handler, the type of which is whatever the handler takes. `None`: the handler
/// takes the record.
///
/// Expands to:
/// ```text
/// let Some(payload) = payload_of_type::<event::task::Failed, _, _>(record) else { return Dispatch::Untyped };
/// let Some(payload) = payload_of_name::<0x2f.., _>(record) else { return Dispatch::Untyped };      // an event of the user's
/// ```
fn payload(index: usize, route: &Route, private: &TokenStream) -> Option<TokenStream> {
    let at = route.shown_at();
    let private = &located_at(private, at);
    let payload = match &route.target {
        Target::Wildcard(_) => return None,
        Target::System(event) => {
            let (module, payload) = (format_ident!("{}", event.module), format_ident!("{}", event.payload));
            quote_spanned!(at=> payload_of_type::<#private::event::#module::#payload, _, _>)
        }
        Target::Custom(name) => {
            let tag = Literal::u64_suffixed(name_tag(name));
            quote_spanned!(at=> payload_of_name::<#tag, _>)
        }
        Target::Type(_) => {
            let alias = alias(index, route);
            quote_spanned!(at=> payload_of_type::<#alias, _, _>)
        }
    };
    Some(quote_spanned! {at=>
        let ::core::option::Option::Some(__payload) = #private::#payload(__record) else {
            return #private::Dispatch::Untyped;
        };
    })
}

/// The same tokens, shown elsewhere. What they mean stays: a `$crate` among them is still that crate.
fn located_at(tokens: &TokenStream, at: Span) -> TokenStream {
    let move_there = |mut token: TokenTree| {
        token.set_span(token.span().located_at(at));
        token
    };
    tokens.clone().into_iter().map(move_there).collect()
}

/// The name of a type subscribed to by path, shown where the path is.
pub(crate) fn alias(index: usize, route: &Route) -> Ident {
    Ident::new(&format!("__Event{index}"), route.shown_at())
}
