//! The rules of subscribers. What may be said where is checked by the parsers; here, what it may mean.

use syn::GenericParam;

use super::model::{Model, Route};
use crate::diagnostics::Diagnostics;

/// Checks all rules.
pub(crate) fn validate(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    check_presence(model, diagnostics);
    for (index, route) in model.routes.iter().enumerate() {
        check_route(route, &model.routes[..index], diagnostics);
    }
    check_generics(model, diagnostics);
}

/// There is something to subscribe to.
fn check_presence(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    if model.routes.is_empty() && !model.wrong {
        diagnostics.error(
            model.ident,
            "the subscriber has no subscription: write `#[subscribe(\"task.failed\")]`, or \"*\" for all events",
        );
    }
}

/// Each subscription stands once, and each has a handler of its own.
fn check_route(route: &Route, earlier: &[Route], diagnostics: &mut Diagnostics) {
    if earlier.iter().any(|other| other.is_same(route)) {
        diagnostics.error(&route.tokens, format!("`{}` specified more than once", route.tokens));
        return;
    }
    let rival = earlier.iter().find(|other| {
        // All wildcards share a handler, on purpose.
        other.handler == route.handler && !(other.is_wildcard() && route.is_wildcard())
    });
    if let Some(rival) = rival {
        diagnostics.error(
            &route.tokens,
            format!(
                "`{}` and `{}` would share the handler `{}`: handle one of them in another subscriber",
                rival.tokens, route.tokens, route.handler
            ),
        );
    }
}

/// A type that registers itself is one type, and no subscriber borrows.
fn check_generics(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    let params = &model.generics.params;
    let lifetimes: Vec<_> = params.iter().filter(|param| matches!(param, GenericParam::Lifetime(_))).collect();
    for lifetime in &lifetimes {
        diagnostics.error(
            lifetime,
            "a subscriber cannot borrow, since it lives as long as the telemetry: own the value, or share it by `Arc`",
        );
    }
    if !params.is_empty() && lifetimes.is_empty() && !model.manual {
        diagnostics.error(
            params,
            "a generic subscriber can't register itself: add `#[subscriber(manual)]`, and pass an instance to \
             `Telemetry::builder().subscriber(..)`",
        );
    }
}
