//! The options of `#[step(..)]`: syntax only.

use proc_macro2::TokenStream;
use syn::parse::ParseStream;
use syn::{Expr, ExprLit, ExprPath, Lit, LitStr, Type};

use crate::crate_path::CratePath;
use crate::diagnostics::{Diagnostics, nearest, unknown};
use crate::options::{
    Field, Number, Opt, parse_equals, parse_fields, parse_name, parse_number, parse_options, parse_publishes, store,
};

const KNOWN: [&str; 7] = ["name", "retry_limit", "backoff", "retry_if", "publishes", "fields", "crate"];

/// What stands in the parentheses, each option with its keyword.
#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) name: Option<Opt<LitStr>>,
    pub(crate) retry_limit: Option<Opt<Number>>,
    pub(crate) backoff: Option<Opt<BackoffArg>>,
    pub(crate) retry_if: Option<Opt<ExprPath>>,
    pub(crate) publishes: Option<Opt<Vec<Type>>>,
    pub(crate) fields: Option<Opt<Vec<Field>>>,
    pub(crate) crate_path: Option<Opt<CratePath>>,
}

/// The wait between two attempts.
#[derive(Debug, Clone)]
pub(crate) enum BackoffArg {
    None,
    Fixed,
    Exponential,
    /// A constant expression of type `Backoff`.
    Const(Box<Expr>),
}

/// Grammar:
/// ```text
/// name = "..", retry_limit = COUNT, backoff = "none" | "fixed" | "exponential" | CONST EXPR, retry_if = path,
/// publishes(Type, ..), fields(field, ..), crate = path
/// ```
pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Args {
    let mut args = Args::default();
    parse_options(tokens, diagnostics, |key, input, diagnostics| {
        match key.to_string().as_str() {
            "name" => {
                let name = parse_name(&key, input)?;
                store(&mut args.name, key, name, diagnostics);
            }
            "retry_limit" => {
                let limit = parse_number(&key, "would never run the step: write 1 for one try", input)?;
                store(&mut args.retry_limit, key, limit, diagnostics);
            }
            "backoff" => {
                parse_equals(&key, "\"exponential\"", input)?;
                let backoff = parse_backoff(input)?;
                store(&mut args.backoff, key, backoff, diagnostics);
            }
            "retry_if" => {
                parse_equals(&key, "is_worth_a_retry", input)?;
                let function = parse_retry_if(input)?;
                store(&mut args.retry_if, key, function, diagnostics);
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

/// Words that people bring along from other macros get an answer of their own.
fn advice(word: &str) -> String {
    match word {
        "skip" | "skip_all" => {
            format!("`{word}` is not needed: only the arguments named in `fields(..)` are recorded")
        }
        "err" | "ret" => format!("`{word}` is not needed: a `Result` is recognised by its type"),
        "retries" | "max_retries" | "attempts" | "max_attempts" | "retry" => {
            format!("unknown option `{word}`; did you mean `retry_limit` (the number of tries in all)?")
        }
        "id" => "`id` is an option of `#[task]`; a step gets its id from its task".to_owned(),
        "max_concurrent_steps" => "`max_concurrent_steps` is an option of `#[task]`".to_owned(),
        other => unknown("option", other, &KNOWN),
    }
}

/// Grammar: `"none" | "fixed" | "exponential" | const expression`
fn parse_backoff(input: ParseStream<'_>) -> syn::Result<BackoffArg> {
    const STRATEGIES: [&str; 3] = ["none", "fixed", "exponential"];
    let expr: Expr = input.parse()?;
    let Expr::Lit(ExprLit { lit, .. }) = &expr else {
        return Ok(BackoffArg::Const(Box::new(expr)));
    };
    let Lit::Str(text) = lit else {
        return Err(syn::Error::new(
            lit.span(),
            "`backoff` takes a strategy: \"none\", \"fixed\", \"exponential\", or a constant such as `Backoff::fixed()`",
        ));
    };
    match text.value().as_str() {
        "none" => Ok(BackoffArg::None),
        "fixed" => Ok(BackoffArg::Fixed),
        "exponential" => Ok(BackoffArg::Exponential),
        other => Err(syn::Error::new(
            text.span(),
            nearest(other, &STRATEGIES).map_or_else(
                || format!("unknown backoff \"{other}\"; known: \"none\", \"fixed\", \"exponential\""),
                |best| format!("unknown backoff \"{other}\"; did you mean \"{best}\"?"),
            ),
        )),
    }
}

/// Grammar: `path`
fn parse_retry_if(input: ParseStream<'_>) -> syn::Result<ExprPath> {
    match input.parse::<Expr>()? {
        Expr::Path(path) => Ok(path),
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Err(syn::Error::new(
            text.span(),
            format!("`retry_if` takes a path, not a string: write `retry_if = {}`", text.value()),
        )),
        other => Err(syn::Error::new_spanned(
            other,
            "`retry_if` takes the path of a `fn(&E) -> bool`: move this into a function and name it here",
        )),
    }
}
