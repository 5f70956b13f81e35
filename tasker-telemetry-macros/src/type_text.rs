//! A type's tokens as a person writes them: `Option<Vec<String>>`, where `to_string` says `Option < Vec < String > >`.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// The source text of a type.
pub(crate) fn type_text(ty: &syn::Type) -> String {
    let mut text = String::new();
    write(ty.to_token_stream(), &mut text);
    text
}

fn write(tokens: TokenStream, text: &mut String) {
    let mut before: Option<TokenTree> = None;
    // Whether the last sign belongs to the one to come: `::`, `->`.
    let mut joint = false;
    for token in tokens {
        if !joint && before.as_ref().is_some_and(|before| is_parted(before, &token, text)) {
            text.push(' ');
        }
        joint = matches!(&token, TokenTree::Punct(sign) if sign.spacing() == Spacing::Joint && matches!(sign.as_char(), ':' | '-' | '\''));
        match &token {
            TokenTree::Group(group) => write_group(group, text),
            other => text.push_str(&other.to_string()),
        }
        before = Some(token);
    }
}

fn write_group(group: &Group, text: &mut String) {
    let (open, close) = match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Brace => ("{ ", " }"),
        // Around what a `macro_rules!` put in: not seen in the source.
        Delimiter::None => ("", ""),
    };
    text.push_str(open);
    write(group.stream(), text);
    text.push_str(close);
}

/// Whether a space stands between two neighbours, `text` ending in the first.
fn is_parted(before: &TokenTree, after: &TokenTree, text: &str) -> bool {
    match (before, after) {
        (_, TokenTree::Punct(sign)) if matches!(sign.as_char(), '+' | '=' | '-') => true,
        (TokenTree::Punct(_), _) if text.ends_with("::") => false,
        (TokenTree::Punct(sign), after) => match sign.as_char() {
            ',' | ';' | ':' | '+' | '=' => true,
            // `-> u8`, `for<'a> fn`, but `Vec<Vec<u8>>` and `Vec<u8>::Item`.
            '>' => text.ends_with("->") || matches!(after, TokenTree::Ident(_)),
            _ => false,
        },
        (TokenTree::Ident(word), TokenTree::Group(_)) => {
            matches!(&*word.to_string(), "dyn" | "impl" | "mut" | "const" | "as" | "where") || is_lifetime(word, text)
        }
        (TokenTree::Ident(word), TokenTree::Punct(sign)) => {
            (matches!(sign.as_char(), '&' | '*')) || (is_lifetime(word, text) && sign.as_char() == '\'')
        }
        (
            TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Literal(_),
            TokenTree::Ident(_) | TokenTree::Literal(_),
        ) => true,
        _ => false,
    }
}

fn is_lifetime(word: &proc_macro2::Ident, text: &str) -> bool {
    text.strip_suffix(&word.to_string()).is_some_and(|rest| rest.ends_with('\''))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_as_written() {
        for text in [
            "u8",
            "String",
            "Option<Vec<String>>",
            "std::collections::HashMap<String, Vec<u8>>",
            "::std::string::String",
            "Cow<'static, str>",
            "&'static str",
            "&'static [u8]",
            "&'static mut [u8]",
            "[u8; 16]",
            "(u8, String)",
            "(u8,)",
            "()",
            "Box<dyn Fn(u8) -> u8 + Send + 'static>",
            "fn(&str, u8) -> Option<u8>",
            "for<'a> fn(&'a str) -> &'a str",
            "*const u8",
            "Box<dyn Iterator<Item = u8>>",
            "<Vec<u8> as IntoIterator>::Item",
            "[u8; { 2 + 2 }]",
            "r#type",
            "Vec<<A as B>::C>",
            "!",
        ] {
            let ty: syn::Type = syn::parse_str(text).expect(text);
            assert_eq!(type_text(&ty), text);
        }
    }
}
