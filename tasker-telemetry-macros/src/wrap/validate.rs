//! The rules that hold for every wrapped function, and the questions about a function that rules ask.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote};
use syn::{FnArg, Receiver, ReceiverKind, Type};

use super::arguments::is_by_value;
use super::{Common, self_name};
use crate::diagnostics::Diagnostics;
use crate::function::{Function, find_self_type, last_word};

/// Method names that say nothing about what a step does.
const TELL_NOTHING: [&str; 4] = ["process", "call", "run", "handle"];

/// Reports what neither a step nor a task may be.
pub(crate) fn validate_common(attribute: &str, common: &Common, diagnostics: &mut Diagnostics) {
    let function = &common.function;
    let sig = &function.sig;
    if let Some(constness) = &sig.constness {
        diagnostics.error(constness, format!("`#[{attribute}]` cannot run at compile time: remove `const`"));
    }
    if let Some(variadic) = &sig.variadic {
        diagnostics.error(
            variadic,
            format!("`#[{attribute}]` cannot pass variable arguments on: call it from a function without `...`"),
        );
    }
    if !common.is_named && function.is_method() && TELL_NOTHING.contains(&common.name.as_str()) {
        diagnostics.error(
            &sig.ident,
            format!(
                "a method called `{name}` tells nothing in a trace, and its type is not known here: \
                 write `#[{attribute}(name = \"..\")]`",
                name = common.name
            ),
        );
    }
    for other in &function.attrs {
        let word = last_word(other.path());
        if word == attribute {
            diagnostics.error(other, format!("`#[{attribute}]` specified more than once"));
        } else if word == "step" || word == "task" {
            diagnostics.error(other, "a function is a task or a step, not both: let the `#[task]` call the `#[step]`");
        }
    }
    for event in &common.publishes {
        refuse_self("publishes", event, diagnostics);
    }
}

/// What ends in a static cannot name `Self`: rustc's own words for it (E0401) would not say why there is a static.
pub(crate) fn refuse_self(key: &str, tokens: &impl ToTokens, diagnostics: &mut Diagnostics) {
    if let Some(word) = find_self_type(tokens) {
        diagnostics.error(
            word,
            format!("`{key}` is part of the catalog, which is built before `Self` is known: name the type itself"),
        );
    }
}

/// The `&mut` receivers and arguments, as far as they are visible.
pub(crate) fn mutable_references(function: &Function) -> Vec<TokenStream> {
    let mut found = Vec::new();
    for input in &function.sig.inputs {
        match input {
            FnArg::Receiver(Receiver {
                kind: ReceiverKind::Reference(and, _, Some(mutability)), self_token, ..
            }) => {
                found.push(quote!(#and #mutability #self_token));
            }
            FnArg::Receiver(Receiver { kind: ReceiverKind::Typed(_, ty), .. }) => found.extend(mutable(ty)),
            FnArg::Receiver(_) => {}
            FnArg::Typed(argument) => found.extend(mutable(&argument.ty)),
        }
    }
    found
}

/// `&mut T`, `Pin<&mut T>`.
fn mutable(ty: &Type) -> Option<TokenStream> {
    match ty {
        Type::Reference(reference) => reference.mutability.map(|_| quote!(#ty)),
        Type::Group(group) => mutable(&group.elem),
        Type::Paren(paren) => mutable(&paren.elem),
        Type::Path(path) if last_word(&path.path) == "Pin" => match &path.path.segments.last()?.arguments {
            syn::PathArguments::AngleBracketed(arguments) => {
                arguments.args.iter().find_map(|argument| match argument {
                    syn::GenericArgument::Type(ty) => mutable(ty),
                    _ => None,
                })
            }
            _ => None,
        },
        _ => None,
    }
}

/// The `"{self}"` strings of a body whose `self` has to be renamed.
pub(crate) fn self_in_strings(function: &Function) -> Vec<Literal> {
    match function.sig.receiver() {
        Some(receiver) if is_by_value(receiver) => self_name::captured_in_strings(function.body.stream()),
        _ => Vec::new(),
    }
}
