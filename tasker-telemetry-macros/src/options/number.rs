//! Counts: `retry_limit = 3`, `max_concurrent_steps = LIMIT`.

use proc_macro2::Ident;
use syn::parse::ParseStream;
use syn::{Expr, ExprLit, ExprUnary, Lit, UnOp};

/// A count that is known now, or a constant expression whose value only rustc will know.
#[derive(Debug, Clone)]
pub(crate) enum Number {
    Literal(u32),
    Const(Box<Expr>),
}

/// Grammar: `key = integer | const expression`.
///
/// `zero` is what to write instead of a zero.
pub(crate) fn parse_number(key: &Ident, zero: &str, input: ParseStream<'_>) -> syn::Result<Number> {
    super::parse_equals(key, "3", input)?;
    let expr: Expr = input.parse()?;
    let wrong = |message: String| Err(syn::Error::new_spanned(&expr, message));
    match &expr {
        Expr::Lit(ExprLit { lit: Lit::Int(count), .. }) => match count.base10_parse::<u32>() {
            Ok(0) => wrong(format!("`{key} = 0` {zero}")),
            Ok(count) => Ok(Number::Literal(count)),
            Err(_) => wrong(format!("`{key}` is a `u32`: at most {}", u32::MAX)),
        },
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => wrong(format!(
            "`{key}` takes a number, not a string: write `{key} = {}`",
            text.value().trim().parse::<u32>().unwrap_or(3)
        )),
        Expr::Lit(_) => wrong(format!("`{key}` takes a whole number: write `{key} = 3`")),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), .. }) => {
            wrong(format!("`{key}` cannot be negative: write `{key} = 3`"))
        }
        _ => Ok(Number::Const(Box::new(expr))),
    }
}
