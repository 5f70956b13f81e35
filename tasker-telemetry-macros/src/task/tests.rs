//! The options' mistakes, and what differs from a step's expansion.

use proc_macro2::TokenStream;
use quote::quote;

use super::task;

fn mistakes(options: TokenStream, item: &TokenStream) -> usize {
    task(options, item).to_string().matches("compile_error").count()
}

#[test]
fn right_options_are_no_mistakes() {
    let options = quote! {
        name = "order", id = format!("{}-{}", order.id, 1), correlation_id = order.request, max_concurrent_steps = 3, publishes(A), fields(order.id), crate = x
    };
    assert_eq!(
        mistakes(
            options,
            &quote!(
                async fn run(&mut self, order: Order) {}
            )
        ),
        0
    );
}

#[test]
fn every_mistake_is_reported() {
    let options = quote!(retry_limit = 3, id, max_concurrent_steps = 0, max_concurrent_steps = Self::A, nmae = "x");
    assert_eq!(
        mistakes(
            options,
            &quote!(
                const fn run(&self) {}
            )
        ),
        7
    );
}

#[test]
fn the_id_is_taken_before_the_body_owns_the_arguments() {
    let expanded = task(
        quote!(id = order.id),
        &quote!(
            fn f(order: Order) {
                drop(order)
            }
        ),
    )
    .to_string();
    let taken =
        expanded.find("task_id (|| :: tasker_telemetry :: __private :: display (& order . id))").expect("an id");
    assert!(taken < expanded.find("move ||").expect("a closure"));
    assert!(
        expanded.contains("run_task_sync (& __TASKER_SPEC , id , :: core :: option :: Option :: None , body , class)")
    );
}
