//! The statement that comes first in a wrapped body and is never executed: it tells the compiler what the body returns.
//!
//! A closure or an async block has no declared return type. Without the hint `Ok(Box::new(|| 3))` would no longer become
//! a `Result<Box<dyn Fn() -> u8>, _>`, and a type error would cover the whole body instead of the wrong expression.
//! It goes *into* the user's block: another pair of braces would trip `unused_braces` in the user's crate.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::visit_mut::{self, VisitMut};
use syn::{ReturnType, Type};

/// Expands to: `return ::tasker_telemetry::__private::hint::<T>();`, nothing when the type cannot be written there.
pub(super) fn returns(private: &TokenStream, output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Default => quote_spanned!(Span::mixed_site()=> return;),
        ReturnType::Type(_, ty) => match &**ty {
            Type::ImplTrait(_) | Type::Infer(_) => TokenStream::new(),
            Type::Never(_) => {
                let never = quote_spanned!(Span::mixed_site()=> ::core::convert::Infallible);
                returns_type(private, &never)
            }
            ty => returns_type(private, &erase_impl(ty)),
        },
    }
}

/// [`returns`] for a type that is known as tokens.
pub(super) fn returns_type(private: &TokenStream, ty: &TokenStream) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> return #private::hint::<#ty>();)
}

/// Expands to: `if false { statements }`, nothing for nothing.
pub(super) fn unreachable(statements: &TokenStream) -> TokenStream {
    if statements.is_empty() {
        return TokenStream::new();
    }
    // `unused` for what rustc has to say about code it knows to be dead, clippy for the user's names in it.
    quote_spanned! {Span::mixed_site()=>
        #[allow(unused, clippy::used_underscore_binding)]
        if false { #statements }
    }
}

/// The type with `_` for every `impl Trait`, which only a signature can name.
pub(crate) fn erase_impl(ty: &Type) -> TokenStream {
    struct Erase;
    impl VisitMut for Erase {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            if let Type::ImplTrait(_) = ty {
                *ty = Type::Verbatim(quote!(_));
            } else {
                visit_mut::visit_type_mut(self, ty);
            }
        }
    }
    let mut ty = ty.clone();
    Erase.visit_type_mut(&mut ty);
    ty.to_token_stream()
}
