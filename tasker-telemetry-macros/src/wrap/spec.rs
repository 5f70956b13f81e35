//! The parts of the static spec, and the values of `fields(..)`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned as _;

use super::Common;
use crate::function::located;
use crate::options::Format;
use crate::record::Record;
use crate::source::place;

/// The value of a static spec: a call of the runtime's `declare`, which knows the defaults, under the fields that differ. One
/// call is cheaper to compile than the whole literal.
///
/// Expands to: `declare("name", "function", "description", (module_path!(), "src/shop.rs", 12))`, or, with other fields,
/// `Spec { publishes: &[..], .., ..declare(..) }`
pub(crate) fn spec(common: &Common, names: &(TokenStream, TokenStream), others: &TokenStream) -> TokenStream {
    let (spec, declare) = names;
    let Common { private, name, description, publishes, fields, function, .. } = common;
    let function_name = function.name();
    // The place of the function, not of the attribute; as literals, which are cheaper to compile than `file!()` and `line!()`,
    // and the same that the record has.
    let (file, line) = place(function.sig.ident.span());
    let source = quote_spanned!(Span::mixed_site()=> ::core::module_path!(), #file, #line);
    let declared = quote_spanned! {Span::mixed_site()=>
        #private::#declare(#name, #function_name, #description, (#source))
    };
    if publishes.is_empty() && fields.is_empty() && others.is_empty() {
        return declared;
    }
    let publishes = (!publishes.is_empty()).then(|| {
        let events = publishes.iter().map(|event| {
            // At the type: "`X` is not an event" then points at the word in `publishes(..)`.
            let private = located(private, event.span());
            let span = Span::mixed_site().located_at(event.span());
            quote_spanned!(span=> <#event as #private::Event>::SPEC)
        });
        quote_spanned!(Span::mixed_site()=> publishes: &[#(#events),*],)
    });
    let fields = (!fields.is_empty()).then(|| {
        let names = fields.iter().map(|field| &field.name);
        quote_spanned!(Span::mixed_site()=> fields: &[#(#names),*],)
    });
    quote_spanned!(Span::mixed_site()=> #private::#spec { #publishes #fields #others ..#declared })
}

/// What the record of a step or task says of it, but for the options that only one of them has.
pub(crate) fn record(kind: &str, common: &Common) -> Record {
    let Common { private, name, description, publishes, fields, function, .. } = common;
    let mut record = Record::new(kind, function.sig.ident.span(), private);
    // Not the module: only the compiler knows it, and asking it for one per step would cost 2 ms of compile time each.
    record.krate();
    record.text("name", name);
    let function_name = function.name();
    if function_name != *name {
        record.text("function", &function_name);
    }
    record.optional("description", description);
    record.texts("fields", fields.iter().map(|field| &*field.name));
    // By the spec: a type that is no event is one mistake, not two.
    record.compiled_texts(
        "publishes",
        (0..publishes.len()).map(|index| quote_spanned!(Span::mixed_site()=> __TASKER_SPEC.publishes[#index].name)),
    );
    record
}

/// The values of `fields(..)`. They borrow the arguments, so they are taken before the body owns them, and in a closure,
/// so they cost nothing when nobody listens.
///
/// Expands to: `let fields = ::tasker_telemetry::__private::step_fields(|| [capture!(value), ..]);`
pub(crate) fn field_values(common: &Common, function: &str) -> TokenStream {
    let private = &common.private;
    if common.fields.is_empty() {
        return TokenStream::new();
    }
    let values = common.fields.iter().map(|field| {
        let value = &field.value;
        let private = located(private, value.span());
        let span = Span::mixed_site().located_at(value.span());
        match field.format {
            Format::Typed => quote_spanned!(span=> #private::capture!(#value)),
            Format::Display => quote_spanned!(span=> #private::capture_display(&#value)),
            Format::Debug => quote_spanned!(span=> #private::capture_debug(&#value)),
        }
    });
    let function = Ident::new(function, Span::mixed_site());
    quote_spanned!(Span::mixed_site()=> let fields = #private::#function(|| [#(#values),*]);)
}

/// What [`field_values`] left behind, as an argument.
pub(super) fn taken_fields(common: &Common) -> TokenStream {
    if common.fields.is_empty() {
        quote_spanned!(Span::mixed_site()=> ::core::option::Option::None)
    } else {
        quote_spanned!(Span::mixed_site()=> fields)
    }
}
