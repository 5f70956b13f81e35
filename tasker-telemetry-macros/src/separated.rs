//! The loop over `item, item, ..` inside a helper attribute of a derive.

use proc_macro2::TokenTree;
use quote::ToTokens as _;
use syn::parse::ParseStream;
use syn::{Attribute, Meta, Token};

use crate::diagnostics::Diagnostics;

/// Reads what stands in the parentheses of `attr`.
///
/// A mistake costs its own item only: reading goes on behind the next comma, so that all mistakes are reported at once.
/// `example` is what a right attribute looks like, for who wrote none of them. The answer says whether all items were right:
/// what is missing after a mistake may well be what was written wrong.
///
/// Grammar: `#[attr(item ("," item)* [","])]`
pub(crate) fn parse_separated(
    attr: &Attribute,
    example: &str,
    diagnostics: &mut Diagnostics,
    mut read: impl FnMut(ParseStream<'_>, &mut Diagnostics) -> syn::Result<()>,
) -> bool {
    let list = match &attr.meta {
        Meta::List(list) if !list.tokens.is_empty() => list,
        Meta::NameValue(meta) => {
            diagnostics.error(&meta.path, format!("expected parentheses: write `#[{example}]`"));
            return false;
        }
        meta => {
            let path = meta.path();
            diagnostics.error(path, format!("`{}` says nothing: write `#[{example}]`", path.to_token_stream()));
            return false;
        }
    };
    let mut all_right = true;
    let outcome = list.parse_args_with(|input: ParseStream<'_>| {
        while !input.is_empty() {
            let result = read(input, diagnostics).and_then(|()| {
                if input.is_empty() || input.peek(Token![,]) { Ok(()) } else { Err(input.error("expected `,`")) }
            });
            if diagnostics.take(result).is_none() {
                all_right = false;
                while !input.is_empty() && !input.peek(Token![,]) {
                    input.parse::<TokenTree>()?;
                }
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    });
    diagnostics.take(outcome).is_some() && all_right
}
