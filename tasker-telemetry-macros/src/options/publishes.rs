//! `publishes(Type, ..)`: the events that the body may publish, for the catalog.

use proc_macro2::Ident;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{LitStr, Token, Type};

/// Grammar: `publishes(type ("," type)* [","])`
pub(crate) fn parse_publishes(key: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Type>> {
    let list = super::parse_list(key, "RiskFlagged", input)?;
    let one = |input: ParseStream<'_>| {
        if input.peek(LitStr) {
            let name: LitStr = input.parse()?;
            return Err(syn::Error::new(
                name.span(),
                "`publishes` takes event types, not names: write the type that derives `Event`",
            ));
        }
        input.parse::<Type>()
    };
    let types = |input: ParseStream<'_>| Punctuated::<Type, Token![,]>::parse_terminated_with(input, one);
    Ok(types.parse2(list)?.into_iter().collect())
}
