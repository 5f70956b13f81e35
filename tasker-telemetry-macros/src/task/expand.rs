//! The code of a task. Cannot fail: every mistake was found before.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::model::Model;
use crate::options::Number;
use crate::wrap::{self, Driver};

/// Expands to: the user's function, around the static below, its entry in the inventory, and what
/// [`wrap`](wrap::wrap) shows.
/// ```text
/// static __TASKER_SPEC: TaskSpec = TaskSpec { name: "order_process", .., max_concurrent_steps: 0 };
/// inventory::submit! { TaskEntry(&__TASKER_SPEC) }
/// ```
pub(super) fn expand(model: &Model) -> TokenStream {
    let private = &model.common.private;
    let common = wrap::common_spec(&model.common);
    let bound = match model.max_concurrent_steps.as_ref().map(|opt| &opt.value) {
        None => quote_spanned!(Span::mixed_site()=> 0),
        Some(Number::Literal(count)) => quote_spanned!(Span::mixed_site()=> #count),
        Some(Number::Const(expr)) => quote_spanned!(Span::mixed_site()=> #expr),
    };
    // Inside the body, as for a step.
    let registration = quote_spanned! {Span::mixed_site()=>
        static __TASKER_SPEC: #private::TaskSpec = #private::TaskSpec {
            #common
            max_concurrent_steps: #bound,
        };
        #private::inventory::submit! { #private::TaskEntry(&__TASKER_SPEC) }
    };
    wrap::wrap(&model.common, &registration, &Driver::Task { id: model.id.as_ref() })
}
