//! A doc comment, as the description that the catalog shows.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The doc comment of an item: its lines joined with `\n`, one leading space of each removed, trimmed.
///
/// `#[doc = include_str!(..)]` and `#[doc(hidden)]` contribute nothing: their text is not known here.
pub(crate) fn description(attrs: &[Attribute]) -> String {
    let mut text = String::new();
    for attr in attrs {
        if let Meta::NameValue(meta) = &attr.meta
            && meta.path.is_ident("doc")
            && let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &meta.value
        {
            // A block comment (`/** .. */`) arrives as one literal of several lines.
            for line in line.value().lines() {
                text.push_str(line.strip_prefix(' ').unwrap_or(line).trim_end());
                text.push('\n');
            }
            if line.value().is_empty() {
                text.push('\n');
            }
        }
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn lines_are_joined() {
        let attrs: Vec<Attribute> = vec![
            parse_quote!(#[doc = " Charges the card."]),
            parse_quote!(#[allow(dead_code)]),
            parse_quote!(#[doc = ""]),
            parse_quote!(#[doc = "   indented  "]),
        ];
        assert_eq!(description(&attrs), "Charges the card.\n\n  indented");
    }

    #[test]
    fn other_doc_attributes_are_no_text() {
        let attrs: Vec<Attribute> = vec![parse_quote!(#[doc(hidden)]), parse_quote!(#[doc = include_str!("x.md")])];
        assert_eq!(description(&attrs), "");
    }
}
