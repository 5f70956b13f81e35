//! The options of `#[task(..)]`: syntax only.

use proc_macro2::TokenStream;
use syn::{Expr, LitStr, Type};

use crate::crate_path::CratePath;
use crate::diagnostics::{Diagnostics, unknown};
use crate::options::{
    Field, Number, Opt, parse_equals, parse_fields, parse_name, parse_number, parse_options, parse_publishes, store,
};

const KNOWN: [&str; 7] = ["name", "id", "correlation_id", "max_concurrent_steps", "publishes", "fields", "crate"];

/// What stands in the parentheses, each option with its keyword.
#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) name: Option<Opt<LitStr>>,
    pub(crate) id: Option<Opt<Expr>>,
    pub(crate) correlation_id: Option<Opt<Expr>>,
    pub(crate) max_concurrent_steps: Option<Opt<Number>>,
    pub(crate) publishes: Option<Opt<Vec<Type>>>,
    pub(crate) fields: Option<Opt<Vec<Field>>>,
    pub(crate) crate_path: Option<Opt<CratePath>>,
}

/// Grammar:
/// ```text
/// name = "..", id = EXPR, correlation_id = EXPR, max_concurrent_steps = COUNT, publishes(Type, ..), fields(field, ..), crate = path
/// ```
pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Args {
    let mut args = Args::default();
    parse_options(tokens, diagnostics, |key, input, diagnostics| {
        match key.to_string().as_str() {
            "name" => {
                let name = parse_name(&key, input)?;
                store(&mut args.name, key, name, diagnostics);
            }
            "id" => {
                parse_equals(&key, "order.id", input)?;
                let id: Expr = input.parse()?;
                store(&mut args.id, key, id, diagnostics);
            }
            "correlation_id" => {
                parse_equals(&key, "request.id", input)?;
                let id: Expr = input.parse()?;
                store(&mut args.correlation_id, key, id, diagnostics);
            }
            "max_concurrent_steps" => {
                let bound = parse_number(&key, "would let no step run: leave it out for no bound", input)?;
                store(&mut args.max_concurrent_steps, key, bound, diagnostics);
            }
            "publishes" => {
                let types = parse_publishes(&key, input)?;
                store(&mut args.publishes, key, types, diagnostics);
            }
            "fields" => {
                let fields = parse_fields(&key, input, diagnostics)?;
                store(&mut args.fields, key, fields, diagnostics);
            }
            "crate" => {
                let path = CratePath::parse_value(&key, input)?;
                store(&mut args.crate_path, key, path, diagnostics);
            }
            other => return Err(syn::Error::new(key.span(), advice(other))),
        }
        Ok(())
    });
    args
}

/// Words that belong elsewhere get an answer of their own.
fn advice(word: &str) -> String {
    match word {
        "retry_limit" | "backoff" | "retry_if" => {
            format!("`{word}` is an option of `#[step]`: a task is run again by who started it")
        }
        "skip" | "skip_all" => {
            format!("`{word}` is not needed: only the arguments named in `fields(..)` are recorded")
        }
        "task_id" => "unknown option `task_id`; did you mean `id`?".to_owned(),
        "correlation" => "unknown option `correlation`; did you mean `correlation_id`?".to_owned(),
        "max_concurrent" | "concurrency" => {
            format!("unknown option `{word}`; did you mean `max_concurrent_steps`?")
        }
        other => unknown("option", other, &KNOWN),
    }
}
