//! The code of a step. Cannot fail: every mistake was found before.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned as _;

use super::args::BackoffArg;
use super::model::Model;
use crate::function::located;
use crate::options::Number;
use crate::wrap::{self, Driver};

/// Expands to: the user's function, around the static below, its entry in the inventory, and what
/// [`wrap`](wrap::wrap) shows.
/// ```text
/// static __TASKER_SPEC: StepSpec = StepSpec { name: "charge", .., retry_limit: 5, backoff: Backoff::exponential() };
/// inventory::submit! { StepEntry(&__TASKER_SPEC) }
/// ```
pub(super) fn expand(model: &Model) -> TokenStream {
    let private = &model.common.private;
    let common = wrap::common_spec(&model.common);
    let retry_limit = match model.retry_limit.as_ref().map(|opt| &opt.value) {
        None => quote_spanned!(Span::mixed_site()=> 1),
        Some(Number::Literal(count)) => quote_spanned!(Span::mixed_site()=> #count),
        Some(Number::Const(expr)) => {
            let private = located(private, expr.span());
            let span = Span::mixed_site().located_at(expr.span());
            quote_spanned!(span=> #private::at_least_one(#expr))
        }
    };
    let backoff = match model.backoff.as_ref().map(|opt| &opt.value) {
        None | Some(BackoffArg::None) => quote_spanned!(Span::mixed_site()=> #private::Backoff::none()),
        Some(BackoffArg::Fixed) => quote_spanned!(Span::mixed_site()=> #private::Backoff::fixed()),
        Some(BackoffArg::Exponential) => quote_spanned!(Span::mixed_site()=> #private::Backoff::exponential()),
        Some(BackoffArg::Const(expr)) => quote_spanned!(Span::mixed_site()=> #expr),
    };
    // Inside the body, since a method has no other place for items. That registers it whether or not the function is
    // generic, instantiated or ever called: a static does not depend on what surrounds it.
    let registration = quote_spanned! {Span::mixed_site()=>
        static __TASKER_SPEC: #private::StepSpec = #private::StepSpec {
            #common
            retry_limit: #retry_limit,
            backoff: #backoff,
        };
        #private::inventory::submit! { #private::StepEntry(&__TASKER_SPEC) }
    };
    let driver = Driver::Step { retries: model.retries(), retry_if: model.retry_if.as_ref().map(|opt| &opt.value) };
    wrap::wrap(&model.common, &registration, &driver)
}
