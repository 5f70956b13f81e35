//! The syntax of `#[subscribe(..)]` and `#[subscriber(..)]`.

use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Attribute, LitStr, Path, Token};

use crate::crate_path::CratePath;
use crate::diagnostics::{Diagnostics, unknown};
use crate::event_name::read_unquoted;
use crate::separated::parse_separated;

const EXAMPLE: &str = "subscribe(\"task.failed\")";

const OPTIONS: [&str; 4] = ["manual", "inline", "filter", "crate"];

/// What the two attributes say.
#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) subscriptions: Vec<Subscription>,
    /// Whether a subscription was written wrong: it may have been the only one.
    pub(crate) wrong: bool,
    pub(crate) manual: Option<Ident>,
    pub(crate) inline: Option<Ident>,
    pub(crate) filter: Option<Path>,
    pub(crate) krate: Option<CratePath>,
}

/// One item of `#[subscribe(..)]`.
#[derive(Debug)]
pub(crate) enum Subscription {
    /// `"task.failed"`
    Text(LitStr),
    /// `RiskFlagged`
    Type(Path),
}

impl Args {
    /// Grammar: `#[subscribe(subscription ("," subscription)*)]`, any number of times, and
    /// `#[subscriber(option ("," option)*)]`
    pub(crate) fn parse(attrs: &[Attribute], diagnostics: &mut Diagnostics) -> Self {
        let mut args = Self::default();
        for attr in attrs {
            if attr.path().is_ident("subscribe") {
                let right = parse_separated(attr, EXAMPLE, diagnostics, |input, _| {
                    args.subscriptions.push(parse_subscription(input)?);
                    Ok(())
                });
                args.wrong |= !right;
            } else if attr.path().is_ident("subscriber") {
                parse_separated(attr, "subscriber(manual)", diagnostics, |input, diagnostics| {
                    args.read_option(input, diagnostics)
                });
            }
        }
        args
    }

    /// Grammar: `option` = `"manual" | "inline" | "filter" "=" path | "crate" "=" path`
    fn read_option(&mut self, input: ParseStream<'_>, diagnostics: &mut Diagnostics) -> syn::Result<()> {
        if input.peek(LitStr) {
            let text: LitStr = input.parse()?;
            self.wrong = true;
            let message =
                format!("a subscription stands in its own attribute: write `#[subscribe({})]`", text.to_token_stream());
            return Err(syn::Error::new(text.span(), message));
        }
        let key = input.fork().call(Ident::parse_any)?;
        let word = key.to_string();
        let is_second = match &*word {
            "crate" => {
                let path = input.parse()?;
                self.krate.replace(path).is_some()
            }
            "manual" | "inline" => {
                input.call(Ident::parse_any)?;
                if input.peek(Token![=]) || input.peek(syn::token::Paren) {
                    return Err(syn::Error::new(
                        key.span(),
                        format!("`{key}` takes no value: write `#[subscriber({key})]`"),
                    ));
                }
                let slot = if word == "manual" { &mut self.manual } else { &mut self.inline };
                slot.replace(key.clone()).is_some()
            }
            "filter" => {
                input.call(Ident::parse_any)?;
                let path = parse_filter(&key, input)?;
                self.filter.replace(path).is_some()
            }
            other => return Err(syn::Error::new(key.span(), unknown("option", other, &OPTIONS))),
        };
        if is_second {
            diagnostics.duplicate(&key);
        }
        Ok(())
    }
}

/// Grammar: `filter "=" path`, read from the `=` on.
fn parse_filter(key: &Ident, input: ParseStream<'_>) -> syn::Result<Path> {
    const TAKES: &str = "`filter` takes the path of a function `fn(&EventRecord) -> bool`";
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(key.span(), format!("{TAKES}: write `filter = path`")));
    }
    input.parse::<Token![=]>()?;
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        return Err(syn::Error::new(text.span(), format!("{TAKES}, not a string: write `filter = {}`", text.value())));
    }
    let start = input.span();
    input.parse().map_err(|_| syn::Error::new(start, format!("{TAKES}: write `filter = path`")))
}

/// Grammar: `subscription` = string `|` path
fn parse_subscription(input: ParseStream<'_>) -> syn::Result<Subscription> {
    if input.peek(LitStr) {
        return input.parse().map(Subscription::Text);
    }
    let expected = "expected an event's name in quotes, or the type of an event";
    let start = input.span();
    let Ok(path) = input.parse::<Path>() else {
        return Err(syn::Error::new(start, expected));
    };
    if input.peek(Token![.]) {
        let name = read_unquoted(&path.to_token_stream().to_string(), input)?;
        return Err(syn::Error::new_spanned(path, format!("an event's name goes in quotes: write \"{name}\"")));
    }
    if let Some(word) = path.get_ident() {
        let word = word.unraw().to_string();
        if OPTIONS.contains(&&*word) {
            let message = format!("`{word}` is an option of the subscriber: write `#[subscriber({word})]`");
            return Err(syn::Error::new_spanned(path, message));
        }
        // No event's type is written in lower case; somebody left the quotes out.
        if word.starts_with(char::is_lowercase) {
            return Err(syn::Error::new_spanned(path, format!("{expected}: write \"task.failed\" or `RiskFlagged`")));
        }
    }
    Ok(Subscription::Type(path))
}
