//! `#[step]` on the `process` of a handler: it declares the step; the runtime's `handle` runs it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{FnArg, Receiver, ReceiverKind, Type};

use super::expand::registration;
use super::model::Model;
use crate::function::{Function, last_word, located};
use crate::wrap;

/// Whether the function is a handler's `process`: known by its signature, since an attribute on a method does not see which
/// `impl` it stands in.
///
/// Grammar: `async fn process(&self, pattern: &TaskScope, pattern: &StepScope) ..`
pub(super) fn is_process(function: &Function) -> bool {
    let sig = &function.sig;
    let inputs: Vec<_> = sig.inputs.iter().collect();
    let [FnArg::Receiver(receiver), FnArg::Typed(task), FnArg::Typed(step)] = inputs[..] else { return false };
    sig.asyncness.is_some()
        && sig.ident == "process"
        && is_shared(receiver)
        && is_reference_to(&task.ty, "TaskScope")
        && is_reference_to(&step.ty, "StepScope")
}

fn is_shared(receiver: &Receiver) -> bool {
    matches!(&receiver.kind, ReceiverKind::Reference(_, _, None))
}

fn is_reference_to(ty: &Type, name: &str) -> bool {
    match ty {
        Type::Reference(reference) if reference.mutability.is_none() => {
            matches!(&*reference.elem, Type::Path(path) if last_word(&path.path) == name)
        }
        _ => false,
    }
}

/// Expands to: the user's method as it was, and beside it
/// ```text
/// fn declared_by_step() -> DeclaredStep<Self> {
///     static __TASKER_SPEC: StepSpec = ..; inventory::submit! { .. }
///     DeclaredStep::new(&__TASKER_SPEC, classify!(Probe::<ResultOf<Self>>::OF_TYPE))
/// }
/// fn fields_of_step(&self) -> Fields { step_fields(|| [..]) }      // only with `fields(..)`
/// ```
pub(super) fn expand(model: &Model) -> TokenStream {
    let common = &model.common;
    let (private, function) = (&common.private, &common.function);
    let process = function.with_body(&function.sig, &function.body.stream());
    let cfg = function.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect::<Vec<_>>();
    let registration = registration(model);
    let retry_if = model.retry_if.as_ref().map(|opt| {
        let path = &opt.value;
        let private = located(private, path.span());
        let span = Span::mixed_site().located_at(path.span());
        quote_spanned!(span=> , |returned| #private::advice(returned, #path))
    });
    // At the name of the method: that is where an `impl` that is no handler's becomes an error.
    let span = Span::mixed_site().located_at(function.sig.ident.span());
    let at_name = located(private, function.sig.ident.span());
    let declared = quote_spanned!(span=> #at_name::DeclaredStep<Self>);
    let fields = (!common.fields.is_empty()).then(|| {
        let values = wrap::field_values(common, "step_fields");
        // `self` has the user's own span, as in the expressions that name it.
        let receiver = function.sig.receiver().map_or_else(|| quote!(&self), |receiver| quote!(#receiver));
        quote_spanned! {Span::mixed_site()=>
            #(#cfg)*
            #[doc(hidden)]
            fn fields_of_step(#receiver) -> #private::Fields {
                #values
                fields
            }
        }
    });
    let items = quote_spanned! {Span::mixed_site()=>
        #(#cfg)*
        #[doc(hidden)]
        fn declared_by_step() -> #declared {
            #registration
            let class = #private::classify!(#private::Probe::<#private::ResultOf<Self>>::OF_TYPE #retry_if);
            #private::DeclaredStep::new(&__TASKER_SPEC, class)
        }
        #fields
    };
    quote!(#process #items)
}
