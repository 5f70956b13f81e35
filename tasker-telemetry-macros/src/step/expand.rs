//! The code of a step. Cannot fail: every mistake was found before.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use super::args::BackoffArg;
use super::model::Model;
use crate::function::located;
use crate::options::Number;
use crate::record::Record;
use crate::wrap::{self, Driver};

/// Expands to: the user's function, around the static below, its entry in the inventory, and what
/// [`wrap`](wrap::wrap) shows.
/// ```text
/// static __TASKER_SPEC: StepSpec = StepSpec { retry_limit: 5, ..declare_step("charge", ..) };
/// inventory::submit! { StepEntry(&__TASKER_SPEC) }
/// #[used] .. static __TASKER_RECORD: [u8; 98] = *b"..";           // see `Record`
/// ```
pub(super) fn expand(model: &Model) -> TokenStream {
    let registration = registration(model);
    let driver = Driver::Step { retries: model.retries(), retry_if: model.retry_if.as_ref().map(|opt| &opt.value) };
    wrap::wrap(&model.common, &registration, &driver)
}

/// The step's static, and its entry in the inventory.
pub(super) fn registration(model: &Model) -> TokenStream {
    let private = &model.common.private;
    let retry_limit = match model.retry_limit.as_ref().map(|opt| &opt.value) {
        None | Some(Number::Literal(1)) => None,
        Some(Number::Literal(count)) => Some(quote_spanned!(Span::mixed_site()=> retry_limit: #count,)),
        Some(Number::Const(expr)) => {
            let private = located(private, expr.span());
            let span = Span::mixed_site().located_at(expr.span());
            Some(quote_spanned!(span=> retry_limit: #private::at_least_one(#expr),))
        }
    };
    let backoff = match model.backoff.as_ref().map(|opt| &opt.value) {
        None | Some(BackoffArg::None) => None,
        Some(BackoffArg::Fixed) => Some(quote_spanned!(Span::mixed_site()=> backoff: #private::Backoff::fixed(),)),
        Some(BackoffArg::Exponential) => {
            Some(quote_spanned!(Span::mixed_site()=> backoff: #private::Backoff::exponential(),))
        }
        Some(BackoffArg::Const(expr)) => Some(quote_spanned!(Span::mixed_site()=> backoff: #expr,)),
    };
    let names = (quote!(StepSpec), quote!(declare_step));
    let spec = wrap::spec(&model.common, &names, &quote!(#retry_limit #backoff));
    // Inside the body, since a method has no other place for items. That registers it whether or not the function is
    // generic, instantiated or ever called: a static does not depend on what surrounds it.
    let record = record(model).expand();
    quote_spanned! {Span::mixed_site()=>
        static __TASKER_SPEC: #private::StepSpec = #spec;
        #private::inventory::submit! { #private::StepEntry(&__TASKER_SPEC) }
        #record
    }
}

/// What `cargo tasker catalog` reads of the step.
fn record(model: &Model) -> Record {
    let mut record = wrap::record("step", &model.common);
    match model.retry_limit.as_ref().map(|opt| &opt.value) {
        None | Some(Number::Literal(1)) => {}
        Some(Number::Literal(count)) => record.json("retry_limit", &count.to_string()),
        Some(Number::Const(_)) => {
            record.compiled_number("retry_limit", &quote_spanned!(Span::mixed_site()=> __TASKER_SPEC.retry_limit));
        }
    }
    match model.backoff.as_ref().map(|opt| &opt.value) {
        None | Some(BackoffArg::None) => {}
        Some(BackoffArg::Fixed) => record.text("backoff", "fixed"),
        Some(BackoffArg::Exponential) => record.text("backoff", "exponential"),
        Some(BackoffArg::Const(_)) => {
            let strategy = quote_spanned!(Span::mixed_site()=> __TASKER_SPEC.backoff.strategy());
            record.compiled_text("backoff", &strategy);
        }
    }
    record
}
