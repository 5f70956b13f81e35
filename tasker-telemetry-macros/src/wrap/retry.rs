//! The code around a body that may run more than once: a loop with one copy of the body in it.
//!
//! Each attempt but the last works on clones of the arguments, the last one moves the originals. Without a retry none of
//! this is emitted, so nobody is asked for a `Clone` in vain.

use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, FnArg, Pat, ReceiverKind, ReturnType, Signature, Type};

use super::body::Wrapper;
use super::{Shape, arguments, class, self_name, spec};
use crate::function::located;

/// Expands to:
/// ```text
/// let mut retry = StepRetry::new(&__TASKER_SPEC, fields);
/// let mut kept_0 = Some(argument);
/// loop {
///     let last = retry.is_last();
///     let argument = keep(&mut kept_0, last);
///     let body = async move { .. };
///     let class = ..;
///     if let Some(value) = retry.attempt(body, class).await { break value; }
/// }
/// ```
pub(super) fn run_async(
    wrapper: &Wrapper<'_>,
    keywords: &TokenStream,
    block: &Group,
    sig: &mut Signature,
) -> TokenStream {
    let class = class::of_future(wrapper);
    let attempt = quote_spanned! {Span::mixed_site()=>
        let body = #keywords #block;
        #class
        if let ::core::option::Option::Some(value) = retry.attempt(body, class).await { break value; }
    };
    attempts(wrapper, sig, &attempt)
}

/// Expands to: as [`run_async`], with `let body = once(move || { .. });` and `attempt_sync`
pub(super) fn run_sync(wrapper: &Wrapper<'_>, sig: &mut Signature) -> TokenStream {
    let private = &wrapper.common.private;
    let (body, class) = (wrapper.closure(), class::of_call(wrapper));
    // A boxed future would count as completed when it is returned: refused, by type.
    let check = matches!(wrapper.common.shape, Shape::MaybeFuture).then(|| {
        let place = match &sig.output {
            ReturnType::Type(_, ty) => ty.span(),
            ReturnType::Default => sig.ident.span(),
        };
        let private = located(private, place);
        let span = Span::mixed_site().located_at(place);
        quote_spanned!(span=> {
            #[allow(unused_imports)]
            use #private::ReturnedValue as _;
            (&#private::Returned::of(&body)).is_retriable();
        })
    });
    let attempt = quote_spanned! {Span::mixed_site()=>
        #body
        #check
        #class
        if let ::core::option::Option::Some(value) = retry.attempt_sync(body, class) { break value; }
    };
    attempts(wrapper, sig, &attempt)
}

fn attempts(wrapper: &Wrapper<'_>, sig: &mut Signature, attempt: &TokenStream) -> TokenStream {
    let private = &wrapper.common.private;
    let (taken, fields) = (spec::field_values(wrapper.common, "step_fields"), spec::taken_fields(wrapper.common));
    let mut kept = Kept { private, before: TokenStream::new(), inside: TokenStream::new(), count: 0 };
    for input in &mut sig.inputs {
        kept.argument(input);
    }
    let Kept { before, inside, .. } = kept;
    let last = (!inside.is_empty()).then(|| quote_spanned!(Span::mixed_site()=> let last = retry.is_last();));
    quote_spanned! {Span::mixed_site()=>
        #taken
        let mut retry = #private::StepRetry::new(&__TASKER_SPEC, #fields);
        #before
        loop {
            #last
            #inside
            #attempt
        }
    }
}

/// The statements that give each attempt its own arguments.
struct Kept<'a> {
    private: &'a TokenStream,
    before: TokenStream,
    inside: TokenStream,
    count: usize,
}

impl Kept<'_> {
    fn argument(&mut self, input: &mut FnArg) {
        match input {
            FnArg::Receiver(receiver) if arguments::is_by_value(receiver) => {
                let span = receiver.self_token.span;
                // The attempt's binding is the mutable one, the signature's would be reported as `unused_mut`.
                let mutability = receiver.mutability.take();
                let whole = match &receiver.kind {
                    ReceiverKind::Typed(_, ty) => ty.span(),
                    _ => span,
                };
                self.keep(&[], &[], whole, (&receiver.self_token, &mutability, &self_name::attempt_self(span)));
            }
            FnArg::Receiver(_) => {}
            // A shared reference is `Copy`: each attempt captures it anew.
            FnArg::Typed(argument) if is_shared_reference(&argument.ty) && matches!(*argument.pat, Pat::Ident(_)) => {}
            FnArg::Typed(argument) => {
                let cfgs: Vec<_> = arguments::cfgs(&argument.attrs).into_iter().cloned().collect();
                // What the user wrote about lints of the argument is meant for the variable that the body sees.
                let (lints, others) = std::mem::take(&mut argument.attrs).into_iter().partition(is_lint_level);
                argument.attrs = others;
                for binding in arguments::bindings(&mut argument.pat) {
                    let name = binding.ident.clone();
                    let mutability = binding.mutability.take();
                    self.keep(&cfgs, &lints, name.span(), (&name, &mutability, &name));
                }
            }
        }
    }

    /// Expands to: `cfgs let mut kept_0 = Some(value);` and `cfgs lints let mut name = keep(&mut kept_0, last);`
    fn keep(
        &mut self,
        cfgs: &[Attribute],
        lints: &[Attribute],
        span: Span,
        (value, mutability, name): (&impl ToTokens, &impl ToTokens, &Ident),
    ) {
        let private = located(self.private, span);
        let slot = format_ident!("kept_{}", self.count, span = Span::mixed_site().located_at(span));
        self.count += 1;
        // At the argument: "must be `Clone`" then points at it.
        let keep = quote_spanned!(Span::mixed_site().located_at(span)=> #private::keep(&mut #slot, last));
        self.before.extend(quote_spanned! {Span::mixed_site()=>
            #(#cfgs)*
            let mut #slot = ::core::option::Option::Some(#value);
        });
        self.inside.extend(quote_spanned!(Span::mixed_site()=> #(#cfgs)* #(#lints)* let #mutability #name = #keep;));
    }
}

fn is_lint_level(attr: &Attribute) -> bool {
    ["allow", "expect", "warn", "deny", "forbid"].iter().any(|level| attr.path().is_ident(level))
}

fn is_shared_reference(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => reference.mutability.is_none(),
        Type::Group(group) => is_shared_reference(&group.elem),
        Type::Paren(paren) => is_shared_reference(&paren.elem),
        _ => false,
    }
}
