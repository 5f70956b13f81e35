//! `#[derive(Event)]`: tokens -> `Args` (syntax) -> `Model` (meaning) -> `validate` (rules) -> `expand`.

mod args;
mod expand;
mod model;
mod rename;
mod serde_attrs;
mod validate;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use self::args::Args;
use self::model::Model;
use crate::diagnostics::{Diagnostics, with_errors};

/// The output of `#[derive(Event)]`.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut diagnostics = Diagnostics::new();
    let args = Args::parse(&input.attrs, &model::example(&input.ident), &mut diagnostics);
    let model = Model::new(&input, &args, &mut diagnostics);
    if let Some(model) = &model {
        validate::validate(model, &mut diagnostics);
    }
    match (diagnostics.finish(), &model) {
        (Ok(()), Some(model)) => expand::expand(model),
        // No model without a mistake.
        (Ok(()), None) => expand::stub(&input, &args),
        (Err(error), _) => with_errors(&expand::stub(&input, &args), &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    /// The messages of all mistakes.
    pub(super) fn mistakes(input: TokenStream) -> Vec<String> {
        let input: DeriveInput = syn::parse2(input).expect("an item");
        let mut diagnostics = Diagnostics::new();
        let args = Args::parse(&input.attrs, &model::example(&input.ident), &mut diagnostics);
        if let Some(model) = Model::new(&input, &args, &mut diagnostics) {
            validate::validate(&model, &mut diagnostics);
        }
        match diagnostics.finish() {
            Ok(()) => Vec::new(),
            Err(error) => error.into_iter().map(|error| error.to_string()).collect(),
        }
    }

    fn only_mistake(input: TokenStream) -> String {
        let found = mistakes(input);
        assert_eq!(found.len(), 1, "{found:?}");
        found.concat()
    }

    #[test]
    fn a_right_event_has_no_mistake() {
        let input = quote! {
            #[event("payment.risk_flagged")]
            struct RiskFlagged { payment_id: String, #[event(sensitive)] card_number: String }
        };
        assert!(mistakes(input.clone()).is_empty());
        assert!(derive(input).to_string().contains("EventEntry"));
        assert!(
            mistakes(quote!(
                #[event("shop.opened", crate = crate::telemetry)]
                struct Opened;
            ))
            .is_empty()
        );
    }

    #[test]
    fn the_name_is_needed_once_and_right() {
        assert!(
            only_mistake(quote!(
                struct RiskFlagged {}
            ))
            .contains("#[event(\"namespace.risk_flagged\")]")
        );
        assert!(
            only_mistake(quote!(
                #[event]
                struct A {}
            ))
            .contains("write `#[event(\"namespace.a\")]`")
        );
        assert!(
            only_mistake(quote!(
                #[event()]
                struct A {}
            ))
            .contains("write `#[event(\"namespace.a\")]`")
        );
        assert!(
            only_mistake(quote!(
                #[event("a.b", "a.c")]
                struct A {}
            ))
            .contains("more than once")
        );
        assert!(
            only_mistake(quote!(
                #[event("a.b")]
                #[event("a.c")]
                struct A {}
            ))
            .contains("more than once")
        );
        assert!(
            only_mistake(quote!(
                #[event(name = "a.b")]
                struct A {}
            ))
            .contains("write `#[event(\"a.b\")]`")
        );
        assert!(
            only_mistake(quote!(
                #[event("Flagged")]
                struct A {}
            ))
            .contains("namespace")
        );
        assert!(
            only_mistake(quote!(
                #[event("a.b", sensitive)]
                struct A {}
            ))
            .contains("stands at a field")
        );
        assert!(
            only_mistake(quote!(
                #[event("a.b", crat = x)]
                struct A {}
            ))
            .contains("did you mean `crate`?")
        );
        assert!(
            only_mistake(quote!(
                #[event(a.b)]
                struct A {}
            ))
            .contains("write `#[event(\"a.b\")]`")
        );
    }

    #[test]
    fn an_event_is_a_plain_struct() {
        assert!(
            only_mistake(quote!(
                #[event("a.b")]
                enum A {
                    B,
                }
            ))
            .contains("one struct for each variant")
        );
        assert!(only_mistake(quote!(#[event("a.b")] union A { b: u8 })).contains("is a struct"));
        assert!(
            only_mistake(quote!(
                #[event("a.b")]
                struct A(u8);
            ))
            .contains("need names")
        );
        assert!(
            only_mistake(quote!(
                #[event("a.b")]
                struct A<T> {
                    b: T,
                }
            ))
            .contains("one type")
        );
    }

    #[test]
    fn every_mistake_is_reported() {
        let input = quote! {
            #[event("Flagged", colour = 3)]
            struct Flagged<T> {
                #[event(sensitve)] card: String,
                task_id: u64,
                #[serde(flatten)] rest: T,
            }
        };
        assert_eq!(mistakes(input).len(), 6);
    }

    #[test]
    fn errors_come_with_a_stub() {
        let output = derive(quote!(
            #[event("Flagged")]
            struct Flagged;
        ))
        .to_string();
        assert!(output.contains("compile_error"));
        assert!(output.contains("Event for Flagged"));
        assert!(!output.contains("EventEntry"));
    }
}
