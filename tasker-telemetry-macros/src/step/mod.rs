//! `#[step]`: tokens -> [`Args`](args::Args) and function -> [`Model`](model::Model) -> `validate` -> `expand`.

mod args;
mod expand;
mod handler;
mod model;
mod validate;

#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;

use crate::diagnostics::{Diagnostics, with_errors};
use crate::function::Function;

/// The function with its body wrapped; on mistakes the untouched function and all the errors.
pub(crate) fn step(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::new();
    let args = args::parse(args, &mut diagnostics);
    let model =
        Function::parse("step", item.clone(), &mut diagnostics).map(|function| model::Model::new(args, function));
    if let Some(model) = &model {
        validate::validate(model, &mut diagnostics);
    }
    match (diagnostics.finish(), model) {
        (Ok(()), Some(model)) if handler::is_process(&model.common.function) => handler::expand(&model),
        (Ok(()), Some(model)) => expand::expand(&model),
        (Ok(()), None) => item.clone(),
        (Err(error), _) => with_errors(item, &error),
    }
}
