//! The output of `#[derive(Event)]`: data for the catalog, and one call for each field that may have to be masked.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::DeriveInput;
use syn::ext::IdentExt as _;

use super::args::Args;
use super::model::{Field, Model};
use crate::event_name::name_tag;
use crate::record::{Object, Record};
use crate::source::source;

/// Expands to:
/// ```text
/// const _: () = {
///     static __SPEC: EventSpec = EventSpec { name: "payment.risk_flagged", fields: &[..], .. };
///     impl Event for RiskFlagged { const SPEC: &'static EventSpec = &__SPEC; fn __mask(..) -> bool { match index { .. } } .. }
///     impl ByHand for RiskFlagged {}
///     impl Named<0x2f..> for RiskFlagged {}       // what a subscription to the string finds the type by
///     inventory::submit! { EventEntry(&__SPEC) }
///     #[used] .. static __TASKER_RECORD: [u8; 98] = *b"..";   // see `Record`
/// };
/// ```
pub(crate) fn expand(model: &Model<'_>) -> TokenStream {
    let private = model.krate.private();
    let ident = model.ident;
    // Checked: there is a name. An empty one would be refused by the catalog too.
    let name = model.name.map(syn::LitStr::value).unwrap_or_default();
    let tag = Literal::u64_suffixed(name_tag(&name));
    let spec = spec(model, &name, &private);
    let record = record(model, &name, &private).expand();
    let mask = mask(model, &private);
    let shape = shape(model, &private);
    quote! {
        #[doc(hidden)]
        const _: () = {
            static __SPEC: #private::EventSpec = #spec;

            #[automatically_derived]
            #[allow(deprecated)]
            impl #private::Event for #ident {
                const SPEC: &'static #private::EventSpec = &__SPEC;
                #mask
                #shape
            }

            #[automatically_derived]
            #[allow(deprecated)]
            impl #private::ByHand for #ident {}

            #[automatically_derived]
            #[allow(deprecated)]
            impl #private::Named<#tag> for #ident {}

            #private::inventory::submit! { #private::EventEntry(&__SPEC) }
            #record
        };
    }
}

fn spec(model: &Model<'_>, name: &str, private: &TokenStream) -> TokenStream {
    let Model { ident, description, .. } = model;
    let type_name = ident.unraw().to_string();
    let source = source(private, ident.span());
    let fields = model.payload().map(|field| {
        let Field { name, description, optional, .. } = field;
        let (ty, sensitive) = (field.type_text(), field.sensitive.is_some());
        quote! {
            #private::FieldSpec { name: #name, ty: #ty, description: #description, optional: #optional, sensitive: #sensitive }
        }
    });
    quote! {
        #private::EventSpec {
            name: #name,
            description: #description,
            fields: &[#(#fields),*],
            type_name: ::core::concat!(::core::module_path!(), "::", #type_name),
            source: #source,
        }
    }
}

/// What `cargo tasker catalog` reads of the event.
fn record(model: &Model<'_>, name: &str, private: &TokenStream) -> Record {
    let mut record = Record::new("event", model.ident.span(), private);
    record.text("name", name);
    record.optional("description", &model.description);
    record.text("type", &model.ident.unraw().to_string());
    record.module();
    let mut fields = String::new();
    for field in model.payload() {
        fields.push(if fields.is_empty() { '[' } else { ',' });
        let mut written = Object::new();
        written.text("name", &field.name);
        written.text("type", &field.type_text());
        written.optional("description", &field.description);
        for (key, value) in [("optional", field.optional), ("sensitive", field.sensitive.is_some())] {
            if value {
                written.json(key, "true");
            }
        }
        fields.push_str(&written.finish());
    }
    if !fields.is_empty() {
        fields.push(']');
        record.json("fields", &fields);
    }
    record
}

/// Expands to: `fn __mask(..)` with one arm for each field: the filter may name any of them when the program runs.
fn mask(model: &Model<'_>, private: &TokenStream) -> TokenStream {
    let arms = model.payload().enumerate().map(|(index, field)| {
        let index = Literal::usize_suffixed(index);
        let ident = &field.ident;
        // An error about the type is shown at the type.
        let span = field.ty.to_token_stream().into_iter().next().map_or_else(Span::call_site, |token| token.span());
        let at = Span::call_site().located_at(span);
        let last = if field.sensitive.is_some() { quote!(MaskRequired) } else { quote!(MaskNone) };
        let call = quote_spanned!(at=> (&mut &mut &mut #private::Masked(&mut self.#ident)).mask(__mask));
        quote! {
            #index => {
                use #private::{MaskByDefault as _, MaskByMask as _, #last as _};
                #call
            }
        }
    });
    quote! {
        fn __mask(&mut self, __index: ::core::primitive::usize, __mask: &::core::primitive::str) -> ::core::primitive::bool {
            match __index {
                #(#arms)*
                _ => {
                    let _ = __mask;
                    false
                }
            }
        }
    }
}

/// Expands to: `fn __shape(..)` with one arm for each field whose type tells what the field may hold. Where the user says how it
/// is serialised, only a secret remains one.
fn shape(model: &Model<'_>, private: &TokenStream) -> TokenStream {
    let arms = model.payload().enumerate().map(|(index, field)| {
        let index = Literal::usize_suffixed(index);
        let ident = &field.ident;
        let custom = field.serde.with.then(|| quote!(.written_by_hand()));
        quote! {
            #index => {
                use #private::{ShapeAny as _, ShapeKnown as _};
                (&&#private::Shaped(&self.#ident)).shape()#custom
            }
        }
    });
    quote! {
        fn __shape(&self, __index: ::core::primitive::usize) -> #private::Shape {
            match __index {
                #(#arms)*
                _ => #private::Shape::Nested,
            }
        }
    }
}

/// What stands in for a wrong event, so that code that uses the type is no second error.
///
/// Expands to: the impls of an event without name and fields. The bounds of `Event` are repeated in a `where`, which is
/// taken on trust where the impl is generic, as a wrong event may be.
pub(crate) fn stub(input: &DeriveInput, args: &Args) -> TokenStream {
    let krate = args.krate.clone().unwrap_or_default();
    let private = krate.private();
    let ident = &input.ident;
    let mut generics = input.generics.clone();
    generics.make_where_clause().predicates.push(syn::parse_quote! {
        Self: #private::Serialize + ::core::marker::Send + ::core::marker::Sync + 'static
    });
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let mut named = generics.clone();
    named.params.push(syn::parse_quote!(const __TAG: ::core::primitive::u64));
    let (named_generics, _, _) = named.split_for_impl();
    quote! {
        #[doc(hidden)]
        const _: () = {
            #[automatically_derived]
            impl #impl_generics #private::Event for #ident #type_generics #where_clause {
                const SPEC: &'static #private::EventSpec = &#private::EventSpec {
                    name: "",
                    description: "",
                    fields: &[],
                    type_name: "",
                    source: #private::Source { module: "", file: "", line: 0 },
                };
                fn __mask(&mut self, _: ::core::primitive::usize, _: &::core::primitive::str) -> ::core::primitive::bool {
                    false
                }
            }
            #[automatically_derived]
            impl #impl_generics #private::ByHand for #ident #type_generics #where_clause {}
            #[automatically_derived]
            impl #named_generics #private::Named<__TAG> for #ident #type_generics #where_clause {}
        };
    }
}
