//! What `#[step]` and `#[task]` have in common: how a body of any shape is put under the runtime's eyes.
//!
//! Nothing here knows what a run means. The generated code names a static spec, builds the body as a future or a closure,
//! and hands both to one call of the runtime.

mod arguments;
mod body;
mod class;
mod hint;
mod retry;
mod self_name;
mod shape;
mod spec;
mod validate;

#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use syn::Type;

pub(crate) use self::body::{Driver, wrap};
pub(crate) use self::shape::Shape;
pub(crate) use self::spec::{field_values, record, spec};
pub(crate) use self::validate::{mutable_references, refuse_self, self_in_strings, validate_common};
use crate::function::Function;
use crate::options::Field;

/// What every wrapped function has, be it a task or a step.
#[derive(Debug)]
pub(crate) struct Common {
    /// `krate::__private`.
    pub(crate) private: TokenStream,
    pub(crate) name: String,
    /// Whether `name` was written, or is the function's.
    pub(crate) is_named: bool,
    pub(crate) description: String,
    pub(crate) publishes: Vec<Type>,
    pub(crate) fields: Vec<Field>,
    pub(crate) shape: Shape,
    pub(crate) function: Function,
}
