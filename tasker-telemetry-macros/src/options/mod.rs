//! The options that `#[step]` and `#[task]` share, and the loop that reads `option, option, ..`.
//!
//! Only syntax and what one value alone can get wrong; rules across options are in each macro's `validate`.

mod fields;
mod name;
mod number;
mod publishes;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{LitStr, Token};

pub(crate) use self::fields::{Field, Format, parse_fields};
pub(crate) use self::name::parse_name;
pub(crate) use self::number::{Number, parse_number};
pub(crate) use self::publishes::parse_publishes;
use crate::diagnostics::Diagnostics;

/// An option's value with its keyword, so that a later rule can point at either.
#[derive(Debug, Clone)]
pub(crate) struct Opt<T> {
    pub(crate) key: Ident,
    pub(crate) value: T,
}

/// Stores the value of an option, unless the option was given before.
pub(crate) fn store<T>(slot: &mut Option<Opt<T>>, key: Ident, value: T, diagnostics: &mut Diagnostics) {
    if slot.is_some() {
        diagnostics.duplicate(&key);
    } else {
        *slot = Some(Opt { key, value });
    }
}

/// Reads all options of an attribute.
///
/// `read` is called with the keyword, the input standing behind it. A mistake costs its own option only: reading goes on
/// behind the next comma, so that all mistakes are reported at once.
///
/// Grammar: `[option ("," option)* [","]]`, where `option` = `ident ...`
pub(crate) fn parse_options(
    tokens: TokenStream,
    diagnostics: &mut Diagnostics,
    mut read: impl FnMut(Ident, ParseStream<'_>, &mut Diagnostics) -> syn::Result<()>,
) {
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let result = parse_key(input).and_then(|key| {
                read(key, input, diagnostics)?;
                if input.is_empty() || input.peek(Token![,]) {
                    Ok(())
                } else {
                    Err(input.error("expected `,` before the next option"))
                }
            });
            if diagnostics.take(result).is_none() {
                while !input.is_empty() && !input.peek(Token![,]) {
                    input.parse::<TokenTree>()?;
                }
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    };
    let outcome = parser.parse2(tokens);
    diagnostics.take(outcome);
}

/// The keyword of an option; `crate` is one, so reserved words are fine.
fn parse_key(input: ParseStream<'_>) -> syn::Result<Ident> {
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        return Err(syn::Error::new(
            text.span(),
            format!("expected an option: for the name write `name = \"{}\"`", text.value()),
        ));
    }
    input
        .call(Ident::parse_any)
        .map_err(|error| syn::Error::new(error.span(), "expected an option, such as `name = \"..\"`"))
}

/// The `=` between an option and its value.
///
/// `example` is what a right value looks like, for who wrote `option(value)` or left the value out.
pub(crate) fn parse_equals(key: &Ident, example: &str, input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        if !input.is_empty() && !input.peek(Token![,]) {
            return Ok(());
        }
    }
    Err(syn::Error::new(key.span(), format!("`{key}` takes a value: write `{key} = {example}`")))
}

/// The content of an option's parentheses.
///
/// `example` is what a right list looks like, for who wrote `option = value` or left the list out.
pub(crate) fn parse_list(key: &Ident, example: &str, input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let error = || syn::Error::new(key.span(), format!("`{key}` takes a list: write `{key}({example})`"));
    if !input.peek(syn::token::Paren) {
        return Err(error());
    }
    let content;
    syn::parenthesized!(content in input);
    if content.is_empty() {
        return Err(error());
    }
    content.parse()
}
