//! The code of a task. Cannot fail: every mistake was found before.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::model::Model;
use crate::options::Number;
use crate::wrap::{self, Driver};

/// Expands to: the user's function, around the static below, its entry in the inventory, and what
/// [`wrap`](wrap::wrap) shows.
/// ```text
/// static __TASKER_SPEC: TaskSpec = TaskSpec { max_concurrent_steps: 3, ..declare_task("order_process", ..) };
/// inventory::submit! { TaskEntry(&__TASKER_SPEC) }
/// #[used] .. static __TASKER_RECORD: [u8; 98] = *b"..";           // see `Record`
/// ```
pub(super) fn expand(model: &Model) -> TokenStream {
    let private = &model.common.private;
    let bound = model.max_concurrent_steps.as_ref().map(|opt| match &opt.value {
        Number::Literal(count) => quote_spanned!(Span::mixed_site()=> max_concurrent_steps: #count,),
        Number::Const(expr) => quote_spanned!(Span::mixed_site()=> max_concurrent_steps: #expr,),
    });
    let names = (quote!(TaskSpec), quote!(declare_task));
    let spec = wrap::spec(&model.common, &names, &quote!(#bound));
    let mut record = wrap::record("task", &model.common);
    match model.max_concurrent_steps.as_ref().map(|opt| &opt.value) {
        None => {}
        Some(Number::Literal(count)) => record.json("max_concurrent_steps", &count.to_string()),
        Some(Number::Const(_)) => record.compiled_number(
            "max_concurrent_steps",
            &quote_spanned!(Span::mixed_site()=> __TASKER_SPEC.max_concurrent_steps),
        ),
    }
    let record = record.expand();
    // Inside the body, as for a step.
    let registration = quote_spanned! {Span::mixed_site()=>
        static __TASKER_SPEC: #private::TaskSpec = #spec;
        #private::inventory::submit! { #private::TaskEntry(&__TASKER_SPEC) }
        #record
    };
    wrap::wrap(
        &model.common,
        &registration,
        &Driver::Task { id: model.id.as_ref(), correlation_id: model.correlation_id.as_ref() },
    )
}
