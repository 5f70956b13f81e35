//! `crate = path`: where the generated code finds the runtime.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::{Path, Token};

/// The path of the runtime crate; `::tasker_telemetry` unless the user says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct CratePath(Path);

impl CratePath {
    /// `path::__private`, the only module generated code may name.
    pub(crate) fn private(&self) -> TokenStream {
        let path = &self.0;
        quote!(#path::__private)
    }
}

impl Default for CratePath {
    fn default() -> Self {
        // Spanned where the macro is called: `mixed_site` would look in the macro crate's own extern prelude.
        let name = Ident::new("tasker_telemetry", Span::call_site());
        Self(syn::parse_quote!(::#name))
    }
}

/// Grammar: `crate = ["::"] ident ("::" ident)*`, read from the `crate` on.
impl Parse for CratePath {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = input.call(Ident::parse_any)?;
        Self::parse_value(&key, input)
    }
}

impl CratePath {
    /// Grammar: `= ["::"] ident ("::" ident)*`, read behind the keyword `key`.
    ///
    /// A path that means something else in another module (`self::..`, `super::..`) is refused: the same
    /// attribute would break when its function moves.
    pub(crate) fn parse_value(key: &Ident, input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(Token![=]) {
            return Err(syn::Error::new(key.span(), "`crate` takes a path: write `crate = ::tasker_telemetry`"));
        }
        input.parse::<Token![=]>()?;
        if input.peek(syn::LitStr) {
            let text: syn::LitStr = input.parse()?;
            let path = text.value();
            return Err(syn::Error::new(
                text.span(),
                format!("`crate` takes a path, not a string: write `crate = {path}`"),
            ));
        }
        let path: Path = input.call(Path::parse_mod_style)?;
        if let Some(first) = path.segments.first()
            && (first.ident == "self" || first.ident == "super")
        {
            return Err(syn::Error::new(
                first.ident.span(),
                format!(
                    "`crate` takes a path that is the same in every module: start it with `::` or `crate`, not `{}`",
                    first.ident
                ),
            ));
        }
        Ok(Self(path))
    }
}

impl ToTokens for CratePath {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(tokens: TokenStream) -> Result<String, String> {
        syn::parse2::<CratePath>(tokens).map(|path| path.private().to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn paths() {
        assert_eq!(CratePath::default().private().to_string(), ":: tasker_telemetry :: __private");
        assert_eq!(parse(quote!(crate = ::telemetry)).as_deref(), Ok(":: telemetry :: __private"));
        assert_eq!(parse(quote!(crate = crate::re::telemetry)).as_deref(), Ok("crate :: re :: telemetry :: __private"));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        assert_eq!(
            parse(quote!(crate = "a::b")).unwrap_err(),
            "`crate` takes a path, not a string: write `crate = a::b`"
        );
        assert!(parse(quote!(crate = self::x)).unwrap_err().contains("not `self`"));
    }
}
