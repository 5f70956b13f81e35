//! How a function runs its body, read from its signature and, for boxed futures, from the form of its body.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;
use syn::{GenericArgument, PathArguments, ReturnType, Type, TypeParamBound};

use super::hint::erase_impl;
use crate::function::{Function, last_word, regroup};

/// The forms that need different code around the body.
#[derive(Debug)]
pub(crate) enum Shape {
    /// `async fn`.
    Async,
    /// A plain `fn` whose whole body is one async block, bare or in `Box::pin(..)`. The block is the body that counts:
    /// wrapping it in place costs no second box. `#[async_trait]` turns each `async fn` into this before we see it.
    Block(AsyncBlock),
    /// A plain `fn` with `-> impl Future`: the returned future is wrapped. Holds the `Output`, where it is written.
    Future(Option<Type>),
    /// A plain `fn` that may return a boxed future: the compiler decides by type.
    MaybeFuture,
    /// A plain `fn` that returns a value.
    Plain,
    /// `-> !`, async or not.
    Never,
}

/// `before(async capture { body })`.
#[derive(Debug)]
pub(crate) struct AsyncBlock {
    /// `Box::pin` and the group of its argument, or nothing.
    before: Option<(TokenStream, Group)>,
    /// `async`, `async move`.
    pub(crate) keywords: TokenStream,
    /// The block with its braces.
    pub(crate) block: Group,
    /// The type of its value.
    pub(crate) output: TokenStream,
}

impl Shape {
    pub(crate) fn of(function: &Function) -> Self {
        let ReturnType::Type(_, output) = &function.sig.output else {
            return if function.sig.asyncness.is_some() { Self::Async } else { Self::Plain };
        };
        if matches!(**output, Type::Never(_)) {
            return Self::Never;
        }
        if function.sig.asyncness.is_some() {
            return Self::Async;
        }
        let value = match &**output {
            Type::ImplTrait(opaque) => match opaque.bounds.iter().find_map(future_bound) {
                Some(bound) => written_output(bound),
                None => return Self::Plain,
            },
            Type::Path(path) if may_be_future(&path.path) => {
                return AsyncBlock::find(function, || quote!(<#output as ::core::future::Future>::Output))
                    .map_or(Self::MaybeFuture, Self::Block);
            }
            _ => return Self::Plain,
        };
        let block = value.as_ref().and_then(|value| AsyncBlock::find(function, || erase_impl(value)));
        block.map_or(Self::Future(value), Self::Block)
    }
}

impl AsyncBlock {
    /// The async block that is all of the function's body.
    fn find(function: &Function, output: impl FnOnce() -> TokenStream) -> Option<Self> {
        let mut tokens: Vec<TokenTree> = function.body.stream().into_iter().collect();
        let mut before = None;
        if let Some(TokenTree::Group(argument)) = tokens.last()
            && argument.delimiter() == Delimiter::Parenthesis
        {
            let argument = argument.clone();
            tokens.pop();
            let is_pin = matches!(tokens.last(), Some(TokenTree::Ident(last)) if last == "pin");
            if !is_pin || !tokens.iter().all(is_path_token) {
                return None;
            }
            before = Some((tokens.into_iter().collect(), argument.clone()));
            tokens = argument.stream().into_iter().collect();
            if matches!(tokens.last(), Some(TokenTree::Punct(comma)) if comma.as_char() == ',') {
                tokens.pop();
            }
        }
        let Some(TokenTree::Group(block)) = tokens.pop() else { return None };
        let keywords: Vec<String> = tokens.iter().map(ToString::to_string).collect();
        let is_async =
            matches!(keywords.iter().map(String::as_str).collect::<Vec<_>>()[..], ["async"] | ["async", "move"]);
        (is_async && block.delimiter() == Delimiter::Brace).then(|| Self {
            before,
            keywords: tokens.into_iter().collect(),
            block,
            output: output(),
        })
    }

    /// The same expression around another body.
    ///
    /// Expands to: `Box::pin(async move { body })`
    pub(crate) fn with_body(&self, body: TokenStream) -> TokenStream {
        let keywords = &self.keywords;
        let block = regroup(&self.block, body);
        let block = quote!(#keywords #block);
        self.before.as_ref().map_or(block.clone(), |(path, argument)| {
            let argument = regroup(argument, block);
            quote!(#path #argument)
        })
    }
}

fn is_path_token(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(punct) => punct.as_char() == ':',
        _ => false,
    }
}

/// `Future<..>`, when the bound is that.
fn future_bound(bound: &TypeParamBound) -> Option<&syn::Path> {
    match bound {
        TypeParamBound::Trait(bound) if last_word(&bound.path) == "Future" => Some(&bound.path),
        _ => None,
    }
}

/// `T` of `Future<Output = T>`.
fn written_output(path: &syn::Path) -> Option<Type> {
    let PathArguments::AngleBracketed(arguments) = &path.segments.last()?.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(assoc) if assoc.ident == "Output" => Some(assoc.ty.clone()),
        _ => None,
    })
}

/// Whether it is worth asking the compiler if this type is a boxed future.
///
/// By name, but only to save compile time: these words are never used for one. What counts is decided by type.
fn may_be_future(path: &syn::Path) -> bool {
    const NEVER: [&str; 22] = [
        "Result", "Option", "String", "Vec", "Self", "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8",
        "i16", "i32", "i64", "i128", "isize", "f32", "f64", "HashMap",
    ];
    let word = last_word(path);
    !NEVER.contains(&word.as_str())
}
