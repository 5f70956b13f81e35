//! The function's arguments: their names, and the order in which they are dropped.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::quote_spanned;
use syn::ext::IdentExt as _;
use syn::punctuated::Punctuated;
use syn::{Attribute, FnArg, Pat, PatIdent, Receiver, ReceiverKind, Token, Type};

use crate::function::Function;

/// The variables that a pattern binds by value, in the order of declaration.
pub(super) fn bindings(pat: &mut Pat) -> Vec<&mut PatIdent> {
    let mut found = Vec::new();
    collect(pat, &mut found);
    found
}

fn collect<'a>(pat: &'a mut Pat, found: &mut Vec<&'a mut PatIdent>) {
    fn all<'a>(pats: &'a mut Punctuated<Pat, Token![,]>, found: &mut Vec<&'a mut PatIdent>) {
        pats.iter_mut().for_each(|pat| collect(pat, found));
    }
    match pat {
        // Behind `name @ ..` only copies can be bound again: the name alone stands for the value.
        Pat::Ident(pat) if is_variable(&pat.ident) && pat.by_ref.is_none() => found.push(pat),
        Pat::Paren(pat) => collect(&mut pat.pat, found),
        Pat::Reference(pat) => collect(&mut pat.pat, found),
        Pat::Type(pat) => collect(&mut pat.pat, found),
        Pat::Tuple(pat) => all(&mut pat.elems, found),
        Pat::TupleStruct(pat) => all(&mut pat.elems, found),
        Pat::Slice(pat) => all(&mut pat.elems, found),
        Pat::Struct(pat) => pat.fields.iter_mut().for_each(|field| collect(&mut field.pat, found)),
        // Or-patterns bind each name once per side; they are irrefutable only for `(A(x) | B(x))` of one type.
        Pat::Or(pat) => {
            if let Some(first) = pat.cases.first_mut() {
                collect(first, found);
            }
        }
        _ => {}
    }
}

/// `Unit` in `fn f(Unit: Unit)` names a type; variables do not start with a capital.
fn is_variable(ident: &Ident) -> bool {
    !ident.unraw().to_string().starts_with(char::is_uppercase)
}

/// The `#[cfg(..)]` of an argument, for the statements that name it.
pub(super) fn cfgs(attrs: &[Attribute]) -> Vec<&Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect()
}

/// Whether `self` is the value itself, not a reference to it.
pub(super) fn is_by_value(receiver: &Receiver) -> bool {
    match &receiver.kind {
        ReceiverKind::Value => true,
        ReceiverKind::Typed(_, ty) => !matches!(**ty, Type::Reference(_)),
        _ => false,
    }
}

/// Statements that name the arguments in reverse order, for the never executed start of the body.
///
/// A closure or an async block drops what it captured in the order of first mention; a function drops its arguments in
/// reverse order of declaration. Mentioning them in that order keeps the user's order of drops, at no cost at run time
/// (`let a = a;` in the block would do so as well, but stores each argument once more in the future).
/// Only for two or more arguments that may have something to drop.
///
/// Expands to: `let _ = &last; .. let _ = &first;`
pub(super) fn drop_order(function: &Function) -> TokenStream {
    let mut inputs = function.sig.inputs.clone();
    let mut names: Vec<(Vec<Attribute>, Ident)> = Vec::new();
    for input in &mut inputs {
        match input {
            FnArg::Receiver(receiver) if is_by_value(receiver) => {
                names.push((Vec::new(), Ident::new("self", receiver.self_token.span)));
            }
            FnArg::Typed(argument) if may_drop(&argument.ty) => {
                let attrs: Vec<Attribute> = cfgs(&argument.attrs).into_iter().cloned().collect();
                names.extend(bindings(&mut argument.pat).into_iter().map(|pat| (attrs.clone(), pat.ident.clone())));
            }
            _ => {}
        }
    }
    // What the body never mentions stays outside of it, so that `unused_variables` goes on telling the user.
    names.retain(|(_, name)| {
        let text = name.unraw().to_string();
        text.starts_with('_') || mentions(function.body.stream(), &text)
    });
    if names.len() < 2 {
        return TokenStream::new();
    }
    let statements = names.iter().rev().map(|(attrs, name)| {
        quote_spanned! {Span::mixed_site()=>
            #(#attrs)*
            #[allow(clippy::used_underscore_binding)]
            let _ = &#name;
        }
    });
    statements.collect()
}

/// Whether a value of this type may have something to drop; references and numbers have not.
fn may_drop(ty: &Type) -> bool {
    const PLAIN: [&str; 17] = [
        "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
        "f64", "str",
    ];
    match ty {
        Type::Reference(_) | Type::Ptr(_) | Type::FnPtr(_) | Type::Never(_) => false,
        Type::Path(path) => !path.path.get_ident().is_some_and(|word| PLAIN.iter().any(|plain| word == plain)),
        _ => true,
    }
}

/// Whether the tokens name a variable, be it inside a format string.
fn mentions(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Ident(word) => word.unraw() == name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        TokenTree::Literal(text) => text.to_string().contains(&format!("{{{name}")),
        TokenTree::Punct(_) => false,
    })
}
