//! A subscriber as it is meant: for each subscription, which events it stands for and which method handles them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::{DeriveInput, Generics, Path};

use super::args::{Args, Subscription};
use crate::crate_path::CratePath;
use crate::diagnostics::Diagnostics;
use crate::event_name::{self, read_subscription};
use crate::snake_case::snake_case;
use crate::system_events::SystemEvent;

/// A subscriber.
pub(crate) struct Model<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) generics: &'a Generics,
    /// Those that make sense; the others were reported.
    pub(crate) routes: Vec<Route>,
    /// Whether any subscription was reported.
    pub(crate) wrong: bool,
    pub(crate) manual: bool,
    pub(crate) inline: bool,
    pub(crate) filter: Option<Path>,
    pub(crate) krate: CratePath,
}

/// One subscription.
pub(crate) struct Route {
    /// As written.
    pub(crate) tokens: TokenStream,
    /// Where it is written: errors about the handler are shown there.
    pub(crate) span: Span,
    pub(crate) target: Target,
    /// The name of the method, `handle_task_failed`.
    pub(crate) handler: String,
}

/// What a subscription stands for.
pub(crate) enum Target {
    /// `"*"`, `"task.*"`
    Wildcard(String),
    /// `"task.failed"`
    System(&'static SystemEvent),
    /// `"payment.risk_flagged"`
    Custom(String),
    /// `RiskFlagged`
    Type(Path),
}

/// The handler of all wildcards.
pub(crate) const WILDCARD_HANDLER: &str = "handle_event";

impl<'a> Model<'a> {
    pub(crate) fn new(input: &'a DeriveInput, args: Args, diagnostics: &mut Diagnostics) -> Self {
        let written = args.subscriptions.len();
        let routes: Vec<Route> = args
            .subscriptions
            .into_iter()
            .filter_map(|subscription| diagnostics.take(Route::new(subscription)))
            .collect();
        Self {
            ident: &input.ident,
            generics: &input.generics,
            wrong: args.wrong || routes.len() < written,
            routes,
            manual: args.manual.is_some(),
            inline: args.inline.is_some(),
            filter: args.filter,
            krate: args.krate.unwrap_or_default(),
        }
    }
}

impl Route {
    fn new(subscription: Subscription) -> syn::Result<Self> {
        match subscription {
            Subscription::Text(text) => {
                let name = text.value();
                let read = read_subscription(&name).map_err(|message| syn::Error::new(text.span(), message))?;
                let handler = format!("handle_{}", name.replace('.', "_"));
                let (target, handler) = match read {
                    event_name::Subscription::Wildcard => (Target::Wildcard(name), WILDCARD_HANDLER.to_owned()),
                    event_name::Subscription::System(event) => (Target::System(event), handler),
                    event_name::Subscription::Custom => (Target::Custom(name), handler),
                };
                Ok(Self { tokens: text.to_token_stream(), span: text.span(), target, handler })
            }
            Subscription::Type(path) => {
                let last = path.segments.last().map(|last| &last.ident);
                let name = last.map(|last| last.unraw().to_string()).unwrap_or_default();
                if name == "EventRecord" {
                    let message = "every event comes as an `EventRecord`: for all events write \"*\"";
                    return Err(syn::Error::new_spanned(path, message));
                }
                Ok(Self {
                    tokens: path.to_token_stream(),
                    span: last.map_or_else(Span::call_site, Ident::span),
                    handler: format!("handle_{}", snake_case(&name)),
                    target: Target::Type(path),
                })
            }
        }
    }

    /// The span for what is generated for the subscription: shown where it is written, but known as generated, so that lints
    /// leave it alone.
    pub(crate) fn shown_at(&self) -> Span {
        Span::call_site().located_at(self.span)
    }

    /// Whether both are the same subscription, as far as can be seen here.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.target, &other.target) {
            (Target::Wildcard(a), Target::Wildcard(b)) | (Target::Custom(a), Target::Custom(b)) => a == b,
            (Target::System(a), Target::System(b)) => a == b,
            (Target::Type(a), Target::Type(b)) => a == b,
            _ => false,
        }
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        matches!(self.target, Target::Wildcard(_))
    }
}
