//! The output of `#[derive(Subscriber)]`: data for the catalog, and for each subscription the call of its handler.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::Generics;
use syn::ext::IdentExt as _;

use super::model::{Model, Target};
use super::route::{alias, routes};
use crate::record::Record;
use crate::source::source;

/// Expands to:
/// ```text
/// const _: () = {
///     const __PATTERNS: [&str; 2] = ["task.failed", "payment.risk_flagged"];
///     static __SPEC: SubscriberSpec = SubscriberSpec { patterns: &__PATTERNS, .. };
///     inventory::submit! { SubscriberEntry { spec: &__SPEC, make: Some(auto::<OnCall>) } }
///     #[used] .. static __TASKER_RECORD: [u8; 98] = *b"..";   // see `Record`
///     impl Subscriber for OnCall {
///         const SPEC: &'static SubscriberSpec = &__SPEC;
///         const ROUTES: &'static [Route<Self>] = &[Route { pattern: __PATTERNS[0], call: |subscriber, record| .. }, ..];
///         const FILTER: Option<fn(&EventRecord) -> bool> = Some(path);
///         type Place = Queued;
///     }
/// };
/// ```
pub(crate) fn expand(model: &Model<'_>) -> TokenStream {
    let private = model.krate.private();
    let aliases = aliases(model);
    let catalog = catalog(model, &private);
    let repetitions = repetitions(model, &private);
    let implementation = implementation(model, &routes(model, &private), &private);
    quote! {
        #[doc(hidden)]
        const _: () = {
            #aliases
            #catalog
            #repetitions
            #implementation
        };
    }
}

/// What stands in for a wrong subscriber, so that code that uses the type is no second error.
///
/// Expands to: the impl of a subscriber without routes, which is not in the catalog. Nothing for a type that borrows: no
/// impl of a `'static` trait would stand for it.
pub(crate) fn stub(model: &Model<'_>) -> TokenStream {
    if model.generics.lifetimes().next().is_some() {
        return TokenStream::new();
    }
    let private = model.krate.private();
    let spec = spec(model, &[], &private);
    let implementation = implementation(model, &quote!(&[]), &private);
    quote! {
        #[doc(hidden)]
        const _: () = {
            #spec
            #implementation
        };
    }
}

fn implementation(model: &Model<'_>, routes: &TokenStream, private: &TokenStream) -> TokenStream {
    let ident = model.ident;
    let generics = outliving(model.generics);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let filter = model.filter.as_ref().map(|path| {
        quote! {
            const FILTER: ::core::option::Option<fn(&#private::EventRecord) -> ::core::primitive::bool> =
                ::core::option::Option::Some(#path);
        }
    });
    let place = if model.inline { quote!(Inline) } else { quote!(Queued) };
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #private::Subscriber for #ident #type_generics #where_clause {
            const SPEC: &'static #private::SubscriberSpec = &__SPEC;
            const ROUTES: &'static [#private::Route<Self>] = #routes;
            #filter
            type Place = #private::#place;
        }
    }
}

/// The generics with `T: 'static` for each type: a subscriber is `'static`, and without it rustc would say so three times.
fn outliving(generics: &Generics) -> Generics {
    let mut generics = generics.clone();
    let types: Vec<Ident> = generics.type_params().map(|param| param.ident.clone()).collect();
    if !types.is_empty() {
        generics
            .make_where_clause()
            .predicates
            .extend(types.iter().map(|ty| -> syn::WherePredicate { syn::parse_quote!(#ty: 'static) }));
    }
    generics
}

fn catalog(model: &Model<'_>, private: &TokenStream) -> TokenStream {
    let patterns = model.routes.iter().enumerate().map(|(index, route)| match &route.target {
        Target::Wildcard(name) | Target::Custom(name) => name.to_token_stream(),
        Target::System(event) => event.name.to_token_stream(),
        Target::Type(_) => {
            let alias = alias(index, route);
            quote!(<#alias as #private::Event>::NAME)
        }
    });
    let spec = spec(model, &patterns.collect::<Vec<_>>(), private);
    let record = record(model, private).expand();
    let make = if model.manual {
        quote!(::core::option::Option::None)
    } else {
        let ident = model.ident;
        quote!(::core::option::Option::Some(#private::auto::<#ident>))
    };
    quote! {
        #spec
        #private::inventory::submit! {
            #private::SubscriberEntry { spec: &__SPEC, make: #make }
        }
        #record
    }
}

/// What `cargo tasker catalog` reads of the subscriber.
fn record(model: &Model<'_>, private: &TokenStream) -> Record {
    let mut record = Record::new("subscriber", model.ident.span(), private);
    record.text("name", &model.ident.unraw().to_string());
    record.module();
    let known: Option<Vec<&str>> = model
        .routes
        .iter()
        .map(|route| match &route.target {
            Target::Wildcard(name) | Target::Custom(name) => Some(name.as_str()),
            Target::System(event) => Some(event.name),
            Target::Type(_) => None,
        })
        .collect();
    if let Some(patterns) = known {
        record.texts("patterns", patterns);
    } else {
        let patterns = (0..model.routes.len()).map(|index| quote!(__PATTERNS[#index]));
        record.compiled_texts("patterns", patterns);
    }
    if model.inline {
        record.json("inline", "true");
    }
    record
}

fn spec(model: &Model<'_>, patterns: &[TokenStream], private: &TokenStream) -> TokenStream {
    let name = model.ident.unraw().to_string();
    let inline = model.inline;
    let source = source(private, model.ident.span());
    let count = Literal::usize_unsuffixed(patterns.len());
    quote! {
        const __PATTERNS: [&::core::primitive::str; #count] = [#(#patterns),*];
        static __SPEC: #private::SubscriberSpec = #private::SubscriberSpec {
            name: ::core::concat!(::core::module_path!(), "::", #name),
            patterns: &__PATTERNS,
            inline: #inline,
            source: #source,
        };
    }
}

/// Expands to: `type __Event2 = RiskFlagged;` for each subscription by path, so that a wrong path is named once.
fn aliases(model: &Model<'_>) -> TokenStream {
    let aliases = model.routes.iter().enumerate().filter_map(|(index, route)| {
        let Target::Type(path) = &route.target else { return None };
        let alias = alias(index, route);
        Some(quote!(type #alias = #path;))
    });
    aliases.collect()
}

/// The name of an event's type is only known to the compiler, so it is the compiler that looks for a repetition.
///
/// Expands to: `const _: () = assert!(!is_repeated(&__PATTERNS, 1), "..")` for each subscription that may repeat one by path.
fn repetitions(model: &Model<'_>, private: &TokenStream) -> TokenStream {
    let mut paths = 0;
    let mut checks = TokenStream::new();
    for (index, route) in model.routes.iter().enumerate() {
        paths += usize::from(matches!(route.target, Target::Type(_)));
        if index > 0 && paths > 0 && !route.is_wildcard() {
            let at = route.shown_at();
            let index = Literal::usize_unsuffixed(index);
            let message =
                format!("`{}` is the event of another subscription of this subscriber: leave one out", route.tokens);
            checks.extend(quote_spanned! {at=>
                const _: () = ::core::assert!(!#private::is_repeated(&__PATTERNS, #index), #message);
            });
        }
    }
    checks
}
