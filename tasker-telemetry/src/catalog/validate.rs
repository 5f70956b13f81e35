//! Mistakes that only the finished program can show. Rules only: who is told, and how, is decided elsewhere.

use super::spec::Source;
use super::{Catalog, pattern};
use crate::metrics;

/// A mistake in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogProblem {
    /// Two types are events of one name: a subscriber cannot know which it gets.
    #[error("the event `{name}` is declared more than once: {}", types.join(", "))]
    DuplicateEvent {
        /// The event's name.
        name: &'static str,
        /// The types, with their paths.
        types: Vec<String>,
    },
    /// Two steps have one name: their figures cannot be told apart.
    #[error("the step `{name}` is declared more than once: {}", places.join(", "))]
    DuplicateStep {
        /// The step's name.
        name: &'static str,
        /// File and line of each.
        places: Vec<String>,
    },
    /// A subscription that no declared event matches.
    #[error("`{subscriber}` subscribes to `{pattern}`, which no event of this program matches{}", nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    DanglingSubscription {
        /// The subscriber.
        subscriber: &'static str,
        /// What it subscribes to.
        pattern: &'static str,
        /// The most similar event.
        nearest: Option<&'static str>,
    },
    /// Two handlers run steps of one name: an engine cannot know which it gets.
    #[error("the step `{name}` has more than one handler: {}", types.join(", "))]
    DuplicateHandler {
        /// The step's name.
        name: &'static str,
        /// The handlers' types, with the places where they were registered.
        types: Vec<String>,
    },
    /// A metric that cannot be exported: it has an impossible name, or that of another.
    #[error("{problem}")]
    Metric {
        /// The metric's name, as it was declared.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

pub(super) fn problems(catalog: &Catalog) -> Vec<CatalogProblem> {
    let mut problems = Vec::new();
    for same in catalog.registered.chunk_by(|a, b| a.name == b.name).filter(|same| same.len() > 1) {
        let types = same
            .iter()
            .map(|event| if event.type_name.is_empty() { place(event.source) } else { event.type_name.to_owned() });
        problems.push(CatalogProblem::DuplicateEvent { name: same[0].name, types: types.collect() });
    }
    for same in catalog.steps.chunk_by(|a, b| a.name == b.name).filter(|same| same.len() > 1) {
        let mut places: Vec<_> = same.iter().map(|step| place(step.source)).collect();
        places.dedup(); // a macro may make one function of several instances at one place
        if places.len() > 1 {
            problems.push(CatalogProblem::DuplicateStep { name: same[0].name, places });
        }
    }
    let handlers = &catalog.handlers;
    for same in handlers.chunk_by(|a, b| a.spec.name == b.spec.name).filter(|same| same.len() > 1) {
        let types = same.iter().map(|handler| format!("{} at {}", handler.type_name, place(handler.source)));
        problems.push(CatalogProblem::DuplicateHandler { name: same[0].spec.name, types: types.collect() });
    }
    for subscriber in &catalog.subscribers {
        for &pattern in subscriber.patterns {
            if !catalog.events.iter().any(|event| pattern::matches(pattern, event.name)) {
                let nearest = catalog.nearest(pattern);
                problems.push(CatalogProblem::DanglingSubscription { subscriber: subscriber.name, pattern, nearest });
            }
        }
    }
    problems.extend(
        metrics::problems_of(&catalog.declared)
            .into_iter()
            .map(|(name, problem)| CatalogProblem::Metric { name, problem }),
    );
    problems.sort();
    problems
}

fn place(source: Source) -> String {
    format!("{} ({}:{})", source.module, source.file, source.line)
}
