//! What a `#[step]` means: its options with their defaults, and the function's shape.

use proc_macro2::{Ident, TokenStream};
use syn::ExprPath;

use super::args::{Args, BackoffArg};
use crate::docs;
use crate::function::Function;
use crate::options::{Number, Opt};
use crate::wrap::{Common, Shape};

/// A step, ready for `validate` and `expand`.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) common: Common,
    pub(crate) retry_limit: Option<Opt<Number>>,
    pub(crate) backoff: Option<Opt<BackoffArg>>,
    pub(crate) retry_if: Option<Opt<ExprPath>>,
}

impl Model {
    pub(crate) fn new(args: Args, function: Function) -> Self {
        let Args { name, retry_limit, backoff, retry_if, publishes, fields, crate_path } = args;
        Self {
            common: Common {
                private: crate_path.map(|opt| opt.value).unwrap_or_default().private(),
                is_named: name.is_some(),
                name: name.map_or_else(|| function.name(), |opt| opt.value.value()),
                description: docs::description(&function.attrs),
                publishes: publishes.map(|opt| opt.value).unwrap_or_default(),
                fields: fields.map(|opt| opt.value).unwrap_or_default(),
                shape: Shape::of(&function),
                function,
            },
            retry_limit,
            backoff,
            retry_if,
        }
    }

    /// Whether the body may run more than once; a limit that only rustc knows counts as yes.
    pub(crate) fn retries(&self) -> bool {
        match &self.retry_limit {
            Some(limit) => !matches!(limit.value, Number::Literal(1)),
            None => false,
        }
    }

    /// The keyword and the written value of the limit, for errors about what it asks of the function.
    pub(crate) fn limit_as_written(&self) -> Option<(&Ident, String)> {
        self.retry_limit.as_ref().map(|limit| {
            let value = match &limit.value {
                Number::Literal(count) => count.to_string(),
                Number::Const(expr) => quote::quote!(#expr).to_string().replace(' ', ""),
            };
            (&limit.key, value)
        })
    }

    /// The expressions that end in the step's static spec.
    pub(crate) fn constants(&self) -> impl Iterator<Item = (&Ident, TokenStream)> {
        let limit = self.retry_limit.iter().filter_map(|opt| match &opt.value {
            Number::Const(expr) => Some((&opt.key, quote::quote!(#expr))),
            Number::Literal(_) => None,
        });
        let backoff = self.backoff.iter().filter_map(|opt| match &opt.value {
            BackoffArg::Const(expr) => Some((&opt.key, quote::quote!(#expr))),
            _ => None,
        });
        limit.chain(backoff)
    }
}
