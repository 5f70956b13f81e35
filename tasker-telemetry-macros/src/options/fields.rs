//! `fields(..)`: values of the arguments that are recorded with every run.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Expr, Token};

use crate::diagnostics::Diagnostics;

/// One recorded value.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Its name, `order.id`.
    pub(crate) name: String,
    /// The first word of the name, for errors.
    pub(crate) word: Ident,
    pub(crate) format: Format,
    /// An expression over the arguments.
    pub(crate) value: TokenStream,
}

/// How the value is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// With its type: numbers stay numbers, what is `Serialize` becomes JSON.
    Typed,
    /// `%`: as its `Display` text.
    Display,
    /// `?`: as its `Debug` text.
    Debug,
}

/// Grammar: `fields(field ("," field)* [","])`, where
/// `field` = `name "=" ["%" | "?"] expr | name` and `name` = `ident ("." ident)*`.
/// A name alone is its own value: `amount` = `amount = amount`, `cart.total` = `cart.total = cart.total`.
pub(crate) fn parse_fields(
    key: &Ident,
    input: ParseStream<'_>,
    diagnostics: &mut Diagnostics,
) -> syn::Result<Vec<Field>> {
    let list = super::parse_list(key, "amount = cart.total", input)?;
    let mut fields: Vec<Field> = Vec::new();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            if let Some(field) = diagnostics.take(input.parse::<Field>()) {
                if fields.iter().any(|other| other.name == field.name) {
                    diagnostics.error(&field.word, format!("field `{}` specified more than once", field.name));
                } else {
                    fields.push(field);
                }
            }
            while !input.is_empty() && !input.peek(Token![,]) {
                input.parse::<TokenTree>()?;
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    };
    parser.parse2(list)?;
    Ok(fields)
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Token![%]) || input.peek(Token![?]) {
            let sigil: TokenTree = input.parse()?;
            let example = match input.fork().parse::<Ident>() {
                Ok(word) => format!("{word} = {sigil}{word}"),
                Err(_) => format!("name = {sigil}value"),
            };
            return Err(syn::Error::new(sigil.span(), format!("a field needs a name: write `{example}`")));
        }
        if input.peek(syn::Lit) {
            let found: syn::Lit = input.parse()?;
            return Err(syn::Error::new(
                found.span(),
                "a field's name is a word without quotes, a field's value needs a name: write `name = value`",
            ));
        }
        let word = input.call(Ident::parse_any)?;
        let mut name = word.unraw().to_string();
        let mut path = quote!(#word);
        while input.peek(Token![.]) {
            let dot: Token![.] = input.parse()?;
            let next = input.call(Ident::parse_any).map_err(|_| unnamed(&word))?;
            name.push('.');
            name.push_str(&next.unraw().to_string());
            path.extend(quote!(#dot #next));
        }
        if input.is_empty() || input.peek(Token![,]) {
            if word == "self" {
                return Err(unnamed(&word));
            }
            return Ok(Self { name, word, format: Format::Typed, value: path });
        }
        if !input.peek(Token![=]) || input.peek(Token![==]) {
            return Err(unnamed(&word));
        }
        input.parse::<Token![=]>()?;
        let format = if input.parse::<Option<Token![%]>>()?.is_some() {
            Format::Display
        } else if input.parse::<Option<Token![?]>>()?.is_some() {
            Format::Debug
        } else {
            Format::Typed
        };
        if input.is_empty() || input.peek(Token![,]) {
            return Err(syn::Error::new(word.span(), format!("field `{name}` has no value: write `{name} = value`")));
        }
        let expr: Expr = input.parse()?;
        if !input.is_empty() && !input.peek(Token![,]) {
            return Err(input.error("expected `,` before the next field"));
        }
        Ok(Self { name, word, format, value: quote!(#expr) })
    }
}

/// For `fields(self.id)`, `fields(items.len())`, `fields(a + b)`.
fn unnamed(word: &Ident) -> syn::Error {
    syn::Error::new(word.span(), "a field that is an expression needs a name: write `name = ..`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(tokens: TokenStream) -> Result<Vec<String>, Vec<String>> {
        let mut diagnostics = Diagnostics::new();
        let key = Ident::new("fields", proc_macro2::Span::call_site());
        let parser = |input: ParseStream<'_>| parse_fields(&key, input, &mut diagnostics);
        let fields = parser.parse2(tokens);
        let fields = diagnostics.take(fields);
        match diagnostics.finish() {
            Ok(()) => Ok(fields
                .expect("no mistakes")
                .iter()
                .map(|f| format!("{} {:?} {}", f.name, f.format, f.value))
                .collect()),
            Err(error) => Err(error.into_iter().map(|e| e.to_string()).collect()),
        }
    }

    #[test]
    fn forms() {
        let fields =
            parse(quote!((amount = cart.total, r#type, order.id, who = %user, what = ?thing, n = a::<b, c>(1),)))
                .unwrap();
        assert_eq!(
            fields,
            [
                "amount Typed cart . total",
                "type Typed r#type",
                "order.id Typed order . id",
                "who Display user",
                "what Debug thing",
                "n Typed a :: < b , c > (1)",
            ]
        );
    }

    #[test]
    fn every_mistake_is_reported() {
        let errors = parse(quote!((a = , %b, self.id, items.len(), "x" = 1, c, c))).unwrap_err();
        assert_eq!(
            errors,
            [
                "field `a` has no value: write `a = value`",
                "a field needs a name: write `b = %b`",
                "a field that is an expression needs a name: write `name = ..`",
                "a field that is an expression needs a name: write `name = ..`",
                "a field's name is a word without quotes, a field's value needs a name: write `name = value`",
                "field `c` specified more than once",
            ]
        );
        assert_eq!(parse(quote!(())).unwrap_err(), ["`fields` takes a list: write `fields(amount = cart.total)`"]);
        assert_eq!(parse(quote!(= x)).unwrap_err(), ["`fields` takes a list: write `fields(amount = cart.total)`"]);
    }
}
