//! What a `#[task]` means: its options with their defaults, and the function's shape.

use syn::Expr;

use super::args::Args;
use crate::docs;
use crate::function::Function;
use crate::options::{Number, Opt};
use crate::wrap::{Common, Shape};

/// A task, ready for `validate` and `expand`.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) common: Common,
    pub(crate) id: Option<Expr>,
    pub(crate) correlation_id: Option<Expr>,
    pub(crate) max_concurrent_steps: Option<Opt<Number>>,
}

impl Model {
    pub(crate) fn new(args: Args, function: Function) -> Self {
        let Args { name, id, correlation_id, max_concurrent_steps, publishes, fields, crate_path } = args;
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
            id: id.map(|opt| opt.value),
            correlation_id: correlation_id.map(|opt| opt.value),
            max_concurrent_steps,
        }
    }
}
