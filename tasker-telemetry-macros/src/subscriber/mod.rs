//! `#[derive(Subscriber)]`: tokens -> `Args` (syntax) -> `Model` (meaning) -> `validate` (rules) -> `expand`.

mod args;
mod expand;
mod model;
mod route;
mod validate;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use self::args::Args;
use self::model::Model;
use crate::diagnostics::{Diagnostics, with_errors};

/// The output of `#[derive(Subscriber)]`.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut diagnostics = Diagnostics::new();
    let args = Args::parse(&input.attrs, &mut diagnostics);
    let model = Model::new(&input, args, &mut diagnostics);
    validate::validate(&model, &mut diagnostics);
    match diagnostics.finish() {
        Ok(()) => expand::expand(&model),
        Err(error) => with_errors(&expand::stub(&model), &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn mistakes(input: TokenStream) -> Vec<String> {
        let input: DeriveInput = syn::parse2(input).expect("an item");
        let mut diagnostics = Diagnostics::new();
        let args = Args::parse(&input.attrs, &mut diagnostics);
        let model = Model::new(&input, args, &mut diagnostics);
        validate::validate(&model, &mut diagnostics);
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
    fn right_subscribers_have_no_mistake() {
        let input = quote! {
            #[subscribe("task.failed", "payment.risk_flagged", RiskFlagged, "step.*", "*",)]
            #[subscriber(inline, filter = shop::wanted, crate = crate::telemetry)]
            struct OnCall;
        };
        assert!(mistakes(input.clone()).is_empty());
        assert!(derive(input).to_string().contains("SubscriberEntry"));
        assert!(
            mistakes(quote!(
                #[subscribe("a.b")]
                #[subscribe("a.c")]
                enum E {
                    A,
                }
            ))
            .is_empty()
        );
        assert!(
            mistakes(quote!(
                #[subscribe("a.b")]
                #[subscriber(manual)]
                struct S<T: Clone>(T);
            ))
            .is_empty()
        );
    }

    #[test]
    fn there_must_be_a_subscription() {
        assert!(
            only_mistake(quote!(
                struct S;
            ))
            .contains("#[subscribe(\"task.failed\")]")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe]
                struct S;
            ))
            .contains("write `#[subscribe(\"task.failed\")]`")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe()]
                struct S;
            ))
            .contains("write `#[subscribe(\"task.failed\")]`")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe("task.faild")]
                struct S;
            ))
            .contains("did you mean \"task.failed\"?")
        );
    }

    #[test]
    fn subscriptions_are_strings_or_types() {
        assert!(
            only_mistake(quote!(
                #[subscribe(task.failed)]
                struct S;
            ))
            .contains("write \"task.failed\"")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe(3)]
                struct S;
            ))
            .contains("in quotes")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe("a.b" "a.c")]
                struct S;
            ))
            .contains("expected `,`")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe(EventRecord)]
                struct S;
            ))
            .contains("write \"*\"")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe(task_failed)]
                struct S;
            ))
            .contains("in quotes")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe("a.b", manual)]
                struct S;
            ))
            .contains("#[subscriber(manual)]")
        );
    }

    #[test]
    fn two_subscriptions_do_not_meet() {
        assert!(
            only_mistake(quote!(
                #[subscribe("a.b", "a.b")]
                struct S;
            ))
            .contains("more than once")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe("*", "*")]
                struct S;
            ))
            .contains("more than once")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe(A, A)]
                struct S;
            ))
            .contains("more than once")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe("a.b_c", "a.b.c")]
                struct S;
            ))
            .contains("`handle_a_b_c`")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe(x::A, y::A)]
                struct S;
            ))
            .contains("`handle_a`")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe("*", Event)]
                struct S;
            ))
            .contains("`handle_event`")
        );
    }

    #[test]
    fn options() {
        let with = |options: TokenStream| {
            only_mistake(quote!(
                #[subscribe("a.b")]
                #[subscriber(#options)]
                struct S;
            ))
        };
        assert!(with(quote!(manul)).contains("did you mean `manual`?"));
        assert!(with(quote!(manual, manual)).contains("more than once"));
        assert!(with(quote!(manual = true)).contains("takes no value"));
        assert!(with(quote!(filter)).contains("write `filter = path`"));
        assert!(with(quote!(filter = "wanted")).contains("write `filter = wanted`"));
        assert!(with(quote!(filter = |_| true)).contains("path of a function"));
        assert!(with(quote!("a.c")).contains("#[subscribe(\"a.c\")]"));
        assert!(with(quote!(crate = "x")).contains("write `crate = x`"));
    }

    #[test]
    fn what_cannot_register_itself_is_manual() {
        assert!(
            only_mistake(quote!(
                #[subscribe("a.b")]
                struct S<T>(T);
            ))
            .contains("#[subscriber(manual)]")
        );
        assert!(
            only_mistake(quote!(
                #[subscribe("a.b")]
                struct S<'a>(&'a str);
            ))
            .contains("cannot borrow")
        );
    }

    #[test]
    fn every_mistake_is_reported() {
        let input = quote! {
            #[subscribe("task.faild", "risk", "a.b", "a.b", task.failed)]
            #[subscriber(manul)]
            struct S;
        };
        assert_eq!(mistakes(input.clone()).len(), 5);
        let output = derive(input).to_string();
        assert!(output.contains("Subscriber for S") && !output.contains("SubscriberEntry"));
    }
}
