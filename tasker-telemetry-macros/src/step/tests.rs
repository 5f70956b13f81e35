//! The options' mistakes, and one whole expansion.

use proc_macro2::TokenStream;
use quote::quote;

use super::{args, step};
use crate::diagnostics::Diagnostics;
use crate::function::Function;

fn mistakes(options: TokenStream, item: TokenStream) -> Vec<String> {
    let mut diagnostics = Diagnostics::new();
    let args = args::parse(options, &mut diagnostics);
    let function = Function::parse("step", item, &mut diagnostics).expect("a function");
    super::validate::validate(&super::model::Model::new(args, function), &mut diagnostics);
    diagnostics.finish().err().into_iter().flatten().map(|error| error.to_string()).collect()
}

#[test]
fn right_options_are_no_mistakes() {
    let options = quote! {
        name = "charge", retry_limit = LIMIT + 1, backoff = Backoff::fixed(), retry_if = module::is_busy::<u8>,
        publishes(RiskFlagged, event::Other<u8>), fields(amount = cart.total), crate = ::telemetry,
    };
    assert_eq!(
        mistakes(
            options,
            quote!(
                async fn process(&self, cart: Cart) {}
            )
        ),
        [""; 0]
    );
    assert_eq!(
        mistakes(
            quote!(),
            quote!(
                fn f(a: &mut u8) {}
            )
        ),
        [""; 0]
    );
    assert_eq!(
        mistakes(
            quote!(retry_limit = 1),
            quote!(
                fn f(a: &mut u8) {}
            )
        ),
        [""; 0]
    );
}

#[test]
fn a_mistake_costs_its_own_option_only() {
    let options = quote!(nam = "a", retry_limit = 0, backoff = "exponental", name = "b c", name = "d", retry_if(x), 7);
    assert_eq!(
        mistakes(
            options,
            quote!(
                fn f() {}
            )
        ),
        [
            "unknown option `nam`; did you mean `name`?",
            "`retry_limit = 0` would never run the step: write 1 for one try",
            "unknown backoff \"exponental\"; did you mean \"exponential\"?",
            "' ' cannot stand in a name; allowed are letters, digits and `_ - . : /`: write \"b_c\"",
            "`retry_if` takes a value: write `retry_if = is_worth_a_retry`",
            "expected an option, such as `name = \"..\"`",
        ]
    );
}

#[test]
fn a_retry_asks_more_of_the_function() {
    let messages = mistakes(
        quote!(retry_limit = 3),
        quote!(
            fn f(&mut self, a: &mut u8, b: Pin<&mut u8>, c: fn(&mut u8)) {}
        ),
    );
    assert_eq!(messages.len(), 3);
    assert!(messages.iter().all(|message| message.starts_with("`retry_limit = 3` would run the body again")));
    assert_eq!(
        mistakes(
            quote!(backoff = "fixed", retry_if = p),
            quote!(
                fn f() {}
            )
        ),
        [
            "`backoff` has no effect without a retry: add `retry_limit = 3`",
            "`retry_if` has no effect without a retry: add `retry_limit = 3`",
        ]
    );
}

#[test]
fn a_wrong_item_is_kept_and_gets_one_error() {
    let expanded = step(
        quote!(retry_limit = 3),
        &quote!(
            struct Charge;
        ),
    )
    .to_string();
    assert!(expanded.starts_with("struct Charge ;"), "{expanded}");
    assert_eq!(expanded.matches("compile_error").count(), 1);
}

#[test]
fn the_expansion() {
    let expanded = step(
        quote!(),
        &quote! {
            /// Asks the shop.
            #[must_use]
            pub async fn fetch(id: u64) -> Result<u64, E> { get(id).await }
        },
    );
    let expected = quote! {
        #[doc = r" Asks the shop."]
        #[must_use]
        pub async fn fetch(id: u64) -> Result<u64, E> {
            static __TASKER_SPEC: ::tasker_telemetry::__private::StepSpec = ::tasker_telemetry::__private::declare_step(
                "fetch",
                "fetch",
                "Asks the shop.",
                (::core::module_path!(), "", 0u32)
            );
            ::tasker_telemetry::__private::inventory::submit! {
                ::tasker_telemetry::__private::StepEntry(&__TASKER_SPEC)
            }
            #[cfg(not(target_family = "wasm"))]
            #[used]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__tasker,regular,no_dead_strip"))]
            #[cfg_attr(windows, unsafe(link_section = ".tasker"))]
            #[cfg_attr(not(any(target_vendor = "apple", windows)), unsafe(link_section = "tasker_catalog"))]
            static __TASKER_RECORD: [::core::primitive::u8; 93] = *b"\n{\"tasker\":1,\"kind\":\"step\",\"file\":\"\",\"line\":0,\"name\":\"fetch\",\"description\":\"Asks the shop.\"}\n";
            ::tasker_telemetry::__private::run_step(
                &__TASKER_SPEC,
                ::tasker_telemetry::__private::classify!(type of_type Result<u64, E>),
                async move {
                    if false { return ::tasker_telemetry::__private::hint::<Result<u64, E> >(); }
                    get(id).await
                }
            ).await
        }
    };
    assert_eq!(expanded.to_string(), expected.to_string());
}
