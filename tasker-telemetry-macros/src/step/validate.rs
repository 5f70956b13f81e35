//! The rules of `#[step]`. Rules that `#[task]` shares are in [`wrap::validate`](crate::wrap).

use super::model::Model;
use crate::diagnostics::Diagnostics;
use crate::wrap::{self, Shape};

/// Reports every broken rule.
pub(crate) fn validate(model: &Model, diagnostics: &mut Diagnostics) {
    wrap::validate_common("step", &model.common, diagnostics);
    for (key, value) in model.constants() {
        wrap::refuse_self(&key.to_string(), &value, diagnostics);
    }
    if model.retries() {
        retried_body(model, diagnostics);
    } else {
        idle_retry_options(model, diagnostics);
    }
}

/// `backoff` and `retry_if` say something about a second attempt.
fn idle_retry_options(model: &Model, diagnostics: &mut Diagnostics) {
    let backoff = model.backoff.as_ref().map(|opt| &opt.key);
    let retry_if = model.retry_if.as_ref().map(|opt| &opt.key);
    for key in backoff.into_iter().chain(retry_if) {
        let advice = match &model.retry_limit {
            None => "add `retry_limit = 3`",
            Some(_) => "raise `retry_limit` above 1",
        };
        diagnostics.error(key, format!("`{key}` has no effect without a retry: {advice}"));
    }
}

/// What running the body again asks of the function.
fn retried_body(model: &Model, diagnostics: &mut Diagnostics) {
    let function = &model.common.function;
    let Some((key, limit)) = model.limit_as_written() else { return };
    for place in wrap::mutable_references(function) {
        diagnostics.error(
            place,
            format!(
                "`{key} = {limit}` would run the body again after it may have changed this `&mut` argument: \
                 pass it by value, or set `{key} = 1`"
            ),
        );
    }
    match &model.common.shape {
        Shape::Future(_) => diagnostics.error(
            key,
            format!(
                "`{key} = {limit}` needs the body, not a finished future: make `{}` an `async fn`",
                function.sig.ident
            ),
        ),
        Shape::Never => {
            diagnostics.error(key, format!("`{key} = {limit}` has no effect: `{}` never returns", function.sig.ident));
        }
        _ => {
            for text in wrap::self_in_strings(function) {
                diagnostics.error(
                    text,
                    format!("`{key} = {limit}` gives each attempt its own `self`, which a string cannot name: write `{{}}` and pass `self` behind the string"),
                );
            }
        }
    }
}
