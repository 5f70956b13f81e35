//! What the macros know about the program when it is compiled: plain, const-built data, one static per annotation.
//!
//! Nothing here looks anything up; [`Catalog`](crate::Catalog) gathers, sorts and checks.

use crate::retry::Backoff;

/// Where something stands in the user's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Source {
    /// The module path, `shop::payment`.
    pub module: &'static str,
    /// The file, as the compiler was given it.
    pub file: &'static str,
    /// The line of the annotated item, from 1.
    pub line: u32,
}

/// A step, as its `#[step]` declares it.
#[derive(Debug)]
pub struct StepSpec {
    /// The step's name in events, spans and metrics.
    pub name: &'static str,
    /// The function's own name.
    pub function: &'static str,
    /// The doc comment.
    pub description: &'static str,
    /// How many attempts it gets in all, at least 1.
    pub retry_limit: u32,
    /// How long it waits between two attempts.
    pub backoff: Backoff,
    /// The custom events it declares to publish.
    pub publishes: &'static [&'static EventSpec],
    /// The names of its `fields(..)`.
    pub fields: &'static [&'static str],
    /// Where it stands.
    pub source: Source,
}

/// A workflow, as its `#[task]` declares it.
#[derive(Debug)]
pub struct TaskSpec {
    /// The workflow's name in events, spans and metrics.
    pub name: &'static str,
    /// The function's own name.
    pub function: &'static str,
    /// The doc comment.
    pub description: &'static str,
    /// How many attempts of its steps may run at once; 0 is unbounded.
    pub max_concurrent_steps: u32,
    /// The custom events it declares to publish.
    pub publishes: &'static [&'static EventSpec],
    /// The names of its `fields(..)`.
    pub fields: &'static [&'static str],
    /// Where it stands.
    pub source: Source,
}

/// A step with nothing but a name and a place; what else it declares is set by the macro. One call in the generated code is
/// cheaper to compile than the whole literal.
#[must_use]
pub const fn declare_step(
    name: &'static str,
    function: &'static str,
    description: &'static str,
    (module, file, line): (&'static str, &'static str, u32),
) -> StepSpec {
    StepSpec {
        name,
        function,
        description,
        retry_limit: 1,
        backoff: Backoff::none(),
        publishes: &[],
        fields: &[],
        source: Source { module, file, line },
    }
}

/// The same for a task.
#[must_use]
pub const fn declare_task(
    name: &'static str,
    function: &'static str,
    description: &'static str,
    (module, file, line): (&'static str, &'static str, u32),
) -> TaskSpec {
    TaskSpec {
        name,
        function,
        description,
        max_concurrent_steps: 0,
        publishes: &[],
        fields: &[],
        source: Source { module, file, line },
    }
}

/// An event, as `#[derive(Event)]` (or the library, for system events) declares it.
#[derive(Debug, PartialEq, Eq)]
pub struct EventSpec {
    /// The event's name, `payment.risk_flagged`.
    pub name: &'static str,
    /// The doc comment.
    pub description: &'static str,
    /// Its payload's fields, in the order of the type.
    pub fields: &'static [FieldSpec],
    /// The payload's type, with its path.
    pub type_name: &'static str,
    /// Where it stands.
    pub source: Source,
}

/// One field of an event's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// The name as it is serialised.
    pub name: &'static str,
    /// The Rust type, as written.
    pub ty: &'static str,
    /// The doc comment.
    pub description: &'static str,
    /// Whether it may be absent (`Option`).
    pub optional: bool,
    /// Whether it is masked everywhere, whatever the filter says.
    pub sensitive: bool,
}

/// A subscriber, as `#[derive(Subscriber)]` declares it.
#[derive(Debug)]
pub struct SubscriberSpec {
    /// The type, with its path.
    pub name: &'static str,
    /// What it subscribes to: event names, `task.*`, `*`.
    pub patterns: &'static [&'static str],
    /// Whether its handlers run on the publishing thread.
    pub inline: bool,
    /// Where it stands.
    pub source: Source,
}
