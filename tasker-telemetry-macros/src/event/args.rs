//! The syntax of `#[event(..)]`, on the type and on its fields.

use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Attribute, LitStr, Token};

use crate::crate_path::CratePath;
use crate::diagnostics::{Diagnostics, unknown};
use crate::event_name::read_unquoted;
use crate::separated::parse_separated;

/// What `#[event(..)]` on the type says.
#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) name: Option<LitStr>,
    pub(crate) krate: Option<CratePath>,
    /// Whether something was written wrong: it may have been the name.
    pub(crate) wrong: bool,
}

impl Args {
    /// Grammar: `#[event("namespace.name" ["," crate = path])]`
    pub(crate) fn parse(attrs: &[Attribute], example: &str, diagnostics: &mut Diagnostics) -> Self {
        let mut args = Self::default();
        for attr in attributes(attrs) {
            let right = parse_separated(attr, example, diagnostics, |input, diagnostics| args.read(input, diagnostics));
            args.wrong |= !right;
        }
        args
    }

    fn read(&mut self, input: ParseStream<'_>, diagnostics: &mut Diagnostics) -> syn::Result<()> {
        if input.peek(LitStr) {
            let name: LitStr = input.parse()?;
            if self.name.is_some() {
                diagnostics.error(&name, "the event's name is specified more than once");
            }
            self.name.get_or_insert(name);
        } else if input.peek(Token![crate]) {
            let key = input.fork().call(Ident::parse_any)?;
            let path: CratePath = input.parse()?;
            if self.krate.is_some() {
                diagnostics.duplicate(&key);
            }
            self.krate.get_or_insert(path);
        } else {
            return Err(not_an_argument(input));
        }
        Ok(())
    }
}

/// The `#[event(..)]` among the attributes.
fn attributes(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("event"))
}

/// What to say about something that is no argument of the type's `#[event(..)]`.
fn not_an_argument(input: ParseStream<'_>) -> syn::Error {
    let Ok(word) = input.call(Ident::parse_any) else {
        return input.error("expected the event's name: write `#[event(\"namespace.name\")]`");
    };
    let message = if input.peek(Token![=]) && input.peek2(LitStr) {
        let name = input.parse::<Token![=]>().and_then(|_| input.parse::<LitStr>());
        match name {
            Ok(name) if word == "name" => {
                format!("the name stands alone: write `#[event({})]`", name.to_token_stream())
            }
            _ => unknown("argument", &word.to_string(), &["crate"]),
        }
    } else if input.peek(Token![.]) {
        let name = read_unquoted(&word.to_string(), input).unwrap_or_default();
        format!("the event's name goes in quotes: write `#[event(\"{name}\")]`")
    } else if word == "sensitive" {
        "`sensitive` stands at a field: write `#[event(sensitive)]` above it".to_owned()
    } else {
        unknown("argument", &word.to_string(), &["crate"])
    };
    syn::Error::new(word.span(), message)
}

/// What `#[event(..)]` on a field says: the word `sensitive`, if it does.
///
/// Grammar: `#[event(sensitive)]`
pub(crate) fn parse_field(attrs: &[Attribute], diagnostics: &mut Diagnostics) -> Option<Ident> {
    let mut sensitive: Option<Ident> = None;
    for attr in attributes(attrs) {
        parse_separated(attr, "event(sensitive)", diagnostics, |input, diagnostics| {
            let word = input.call(Ident::parse_any).map_err(|error| {
                syn::Error::new(error.span(), "expected `sensitive`: the name stands above the struct")
            })?;
            if word != "sensitive" {
                return Err(syn::Error::new(word.span(), unknown("argument", &word.to_string(), &["sensitive"])));
            }
            if input.peek(Token![=]) || input.peek(syn::token::Paren) {
                return Err(syn::Error::new(word.span(), "`sensitive` takes no value: write `#[event(sensitive)]`"));
            }
            if sensitive.is_some() {
                diagnostics.duplicate(&word);
            }
            sensitive.get_or_insert(word);
            Ok(())
        });
    }
    sensitive
}
