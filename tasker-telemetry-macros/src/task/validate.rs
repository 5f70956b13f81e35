//! The rules of `#[task]`. Rules that `#[step]` shares are in [`wrap`](crate::wrap).

use super::model::Model;
use crate::diagnostics::Diagnostics;
use crate::options::Number;
use crate::wrap;

/// Reports every broken rule.
pub(crate) fn validate(model: &Model, diagnostics: &mut Diagnostics) {
    wrap::validate_common("task", &model.common, diagnostics);
    if let Some(bound) = &model.max_concurrent_steps
        && let Number::Const(expr) = &bound.value
    {
        wrap::refuse_self(&bound.key.to_string(), expr, diagnostics);
    }
}
