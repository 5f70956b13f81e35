//! What `#[serde(..)]` does to the names and the shape of the payload. Mistakes in it are serde's to report, not ours.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned as _;
use syn::{Attribute, LitStr};

use super::rename::Rename;

/// What serde is told about the type.
#[derive(Debug, Default)]
pub(crate) struct TypeAttrs {
    pub(crate) rename_all: Option<Rename>,
    /// The words that make something else of the JSON than an object with the type's fields.
    pub(crate) reshaping: Vec<(&'static str, Span)>,
}

/// What serde is told about a field.
#[derive(Debug, Default)]
pub(crate) struct FieldAttrs {
    pub(crate) rename: Option<LitStr>,
    /// The word that leaves the field out.
    pub(crate) skip: Option<Span>,
    /// Whether the field may be left out, depending on its value.
    pub(crate) skip_if: bool,
    pub(crate) flatten: Option<Span>,
    /// Whether a function of the user's serialises it.
    pub(crate) with: bool,
}

impl TypeAttrs {
    pub(crate) fn parse(attrs: &[Attribute]) -> Self {
        let mut found = Self::default();
        each_word(attrs, |meta| {
            for word in ["transparent", "into", "tag"] {
                if meta.path.is_ident(word) {
                    found.reshaping.push((word, meta.path.span()));
                }
            }
            if meta.path.is_ident("rename_all") {
                found.rename_all = serialize_value(meta)?.and_then(|rule| Rename::of_name(&rule.value()));
                return Ok(());
            }
            skip_value(meta)
        });
        found
    }
}

impl FieldAttrs {
    pub(crate) fn parse(attrs: &[Attribute]) -> Self {
        let mut found = Self::default();
        each_word(attrs, |meta| {
            if meta.path.is_ident("rename") {
                found.rename = serialize_value(meta)?;
                return Ok(());
            }
            if meta.path.is_ident("skip") || meta.path.is_ident("skip_serializing") {
                found.skip = Some(meta.path.span());
            } else if meta.path.is_ident("flatten") {
                found.flatten = Some(meta.path.span());
            }
            found.with |= ["with", "serialize_with", "getter"].iter().any(|word| meta.path.is_ident(word));
            found.skip_if |= meta.path.is_ident("skip_serializing_if");
            skip_value(meta)
        });
        found
    }
}

/// Calls `read` for each word of each `#[serde(..)]`.
fn each_word(attrs: &[Attribute], mut read: impl FnMut(&ParseNestedMeta<'_>) -> syn::Result<()>) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
        // What cannot be read here, serde's own derive reports.
        let _ = attr.parse_nested_meta(|meta| read(&meta));
    }
}

/// The value for serialising in `word = ".."` or `word(serialize = "..", deserialize = "..")`.
fn serialize_value(meta: &ParseNestedMeta<'_>) -> syn::Result<Option<LitStr>> {
    if !meta.input.peek(syn::token::Paren) {
        return meta.value()?.parse().map(Some);
    }
    let mut value = None;
    meta.parse_nested_meta(|inner| {
        let text: LitStr = inner.value()?.parse()?;
        if inner.path.is_ident("serialize") {
            value = Some(text);
        }
        Ok(())
    })?;
    Ok(value)
}

/// Passes over `= ..` or `(..)` of a word that is of no interest.
fn skip_value(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if meta.input.peek(syn::token::Paren) {
        return meta.parse_nested_meta(|inner| skip_value(&inner));
    }
    if meta.input.peek(syn::Token![=]) {
        meta.value()?.parse::<syn::Expr>()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn fields() {
        let attrs: Vec<Attribute> = vec![
            parse_quote!(#[serde(with = "hex", bound(serialize = "T: A"))]),
            parse_quote!(#[serde(rename(deserialize = "b", serialize = "a"), skip_serializing_if = "Option::is_none")]),
        ];
        let found = FieldAttrs::parse(&attrs);
        assert_eq!(found.rename.map(|name| name.value()).as_deref(), Some("a"));
        assert!(found.skip_if && found.with && found.skip.is_none() && found.flatten.is_none());

        let found = FieldAttrs::parse(&[parse_quote!(#[serde(default, skip_serializing, flatten)])]);
        assert!(found.skip.is_some() && found.flatten.is_some());
    }

    #[test]
    fn types() {
        let found =
            TypeAttrs::parse(&[parse_quote!(#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "kind")])]);
        assert_eq!(found.rename_all, Some(Rename::Camel));
        assert_eq!(found.reshaping.iter().map(|(word, _)| *word).collect::<Vec<_>>(), ["tag"]);
    }

    #[test]
    fn what_cannot_be_read_is_serdes_to_report() {
        assert!(FieldAttrs::parse(&[parse_quote!(#[serde(rename = 3)])]).rename.is_none());
    }
}
