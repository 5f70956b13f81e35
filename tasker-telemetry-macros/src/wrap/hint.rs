//! Tells the compiler what a wrapped body returns, since an async block, and a closure unless it says so, leaves that open.
//!
//! Without it `Ok(Box::new(|| 3))` would no longer become a `Result<Box<dyn Fn() -> u8>, _>`, and a type error would cover
//! the whole body instead of the wrong expression. A closure can declare its type. An async block cannot: there the
//! first statement is a `return` that is never executed. It goes *into* the user's block: another pair of braces would
//! trip `unused_braces` in the user's crate.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{ReturnType, Type};

use crate::function::located;

/// Expands to: `return ::tasker_telemetry::__private::hint::<T>();`, nothing when the type cannot be written there.
pub(super) fn returns(private: &TokenStream, output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Default => quote_spanned!(Span::mixed_site()=> return;),
        ReturnType::Type(_, ty) => match &**ty {
            Type::ImplTrait(_) | Type::Infer(_) => TokenStream::new(),
            Type::Never(_) => returns_type(private, &infallible(), ty.span()),
            _ => returns_type(private, &erase_impl(ty), ty.span()),
        },
    }
}

/// [`returns`] for a type that is known as tokens; `place` is where errors show that it was declared.
pub(super) fn returns_type(private: &TokenStream, ty: &TokenStream, place: Span) -> TokenStream {
    let private = located(private, place);
    quote_spanned!(Span::mixed_site().located_at(place)=> return #private::hint::<#ty>();)
}

/// Expands to: `-> T`, nothing when the type cannot be written there.
pub(super) fn closure_output(output: &ReturnType) -> TokenStream {
    match output {
        // Said even where it is the default: a body that never ends would otherwise be taken for whatever is asked first.
        ReturnType::Default => quote_spanned!(Span::mixed_site()=> -> ()),
        ReturnType::Type(arrow, ty) => match &**ty {
            Type::ImplTrait(_) | Type::Infer(_) => TokenStream::new(),
            Type::Never(_) => {
                let never = infallible();
                quote!(#arrow #never)
            }
            _ => {
                let ty = erase_impl(ty);
                quote!(#arrow #ty)
            }
        },
    }
}

/// Stands for `!`, which generic code cannot be asked for.
fn infallible() -> TokenStream {
    quote_spanned!(Span::mixed_site()=> ::core::convert::Infallible)
}

/// Expands to: `if false { statements }`, nothing for nothing; `body` is what follows.
pub(super) fn unreachable(statements: &TokenStream, body: &TokenStream) -> TokenStream {
    if statements.is_empty() {
        return TokenStream::new();
    }
    // Behind our statement the user's first items would trip `clippy::items_after_statements`, which looks no further
    // once it meets an item that a macro made.
    let item = starts_with_item(body).then(|| quote_spanned!(Span::mixed_site()=> const _: () = ();));
    quote_spanned! {Span::mixed_site()=>
        if false { #statements }
        #item
    }
}

/// Whether the first statement is an item, as far as its first words tell.
fn starts_with_item(body: &TokenStream) -> bool {
    const ALONE: [&str; 13] = [
        "use",
        "fn",
        "struct",
        "enum",
        "union",
        "impl",
        "trait",
        "const",
        "static",
        "type",
        "mod",
        "macro_rules",
        "pub",
    ];
    const BEFORE: [&str; 3] = ["async", "unsafe", "extern"];
    let mut words = body.clone().into_iter().skip_while(|tree| match tree {
        TokenTree::Punct(punct) => punct.as_char() == '#',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Bracket,
        _ => false,
    });
    match (words.next(), words.next()) {
        (Some(TokenTree::Ident(first)), second) => {
            ALONE.iter().any(|word| first == word)
                || (BEFORE.iter().any(|word| first == word)
                    && matches!(second, Some(TokenTree::Ident(second)) if second == "extern" || ALONE.iter().any(|word| second == word)))
        }
        _ => false,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_known_by_their_first_words() {
        for item in [
            quote!(use a::b;, 1),
            quote!(
                #[a]
                #[b]
                fn f() {}
            ),
            quote!(
                async fn f() {}
            ),
            quote!(
                unsafe impl A for B {}
            ),
        ] {
            assert!(starts_with_item(&item), "{item}");
        }
        for statement in [quote!(let a = 1;), quote!(async { 1 }), quote!(unsafe { a() }), quote!([1].len()), quote!()]
        {
            assert!(!starts_with_item(&statement), "{statement}");
        }
    }

    #[test]
    fn impl_trait_is_left_to_the_compiler() {
        let ty: Type = syn::parse_quote!(Result<Vec<impl Iterator<Item = impl Send>>, Box<dyn Fn(u8) -> u8>>);
        let expected: Type = syn::parse_quote!(Result<Vec<_>, Box<dyn Fn(u8) -> u8>>);
        assert_eq!(erase_impl(&ty).to_string(), quote!(#expected).to_string());
    }
}
