//! `name = ".."`: the name in events, spans and metrics.

use proc_macro2::Ident;
use syn::LitStr;
use syn::parse::ParseStream;

/// Grammar: `name = "letters, digits, _ - . : /"`
pub(crate) fn parse_name(key: &Ident, input: ParseStream<'_>) -> syn::Result<LitStr> {
    super::parse_equals(key, "\"..\"", input)?;
    if !input.peek(LitStr) {
        let found: proc_macro2::TokenTree = input.parse()?;
        return Err(syn::Error::new(
            found.span(),
            format!("`name` takes a string: write `name = \"{}\"`", sanitised(&found.to_string())),
        ));
    }
    let name: LitStr = input.parse()?;
    let text = name.value();
    if text.is_empty() {
        return Err(syn::Error::new(name.span(), "`name` is empty: leave it out to use the function's name"));
    }
    // Names become metric labels and parts of routes; a space or a quote there is a mistake found too late.
    if let Some(wrong) = text.chars().find(|c| !is_allowed(*c)) {
        return Err(syn::Error::new(
            name.span(),
            format!(
                "{wrong:?} cannot stand in a name; allowed are letters, digits and `_ - . : /`: write \"{}\"",
                sanitised(&text)
            ),
        ));
    }
    Ok(name)
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || "_-.:/".contains(c)
}

/// The text with `_` for every character that is not allowed.
fn sanitised(text: &str) -> String {
    text.trim().chars().map(|c| if is_allowed(c) { c } else { '_' }).collect()
}
