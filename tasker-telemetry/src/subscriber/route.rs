//! Which handler a record goes to.

use super::{Dispatch, Subscriber, pattern};
use crate::catalog::SubscriberSpec;
use crate::event::EventRecord;

/// One subscription and the call of its handler.
#[derive(Debug)]
pub struct Route<S> {
    /// An event's name, `namespace.*` or `*`.
    pub pattern: &'static str,
    /// Calls the handler.
    pub call: for<'a> fn(&'a S, &'a EventRecord) -> Dispatch<'a>,
}

/// A subscriber of any type.
pub trait DynSubscriber {
    /// What the catalog knows of it.
    fn spec(&self) -> &'static SubscriberSpec;

    /// Hands the record to the handler it is for. `None`: no subscription matches, or the filter declined.
    fn dispatch<'a>(&'a self, record: &'a EventRecord) -> Option<Dispatch<'a>>;
}

impl<S: Subscriber> DynSubscriber for S {
    fn spec(&self) -> &'static SubscriberSpec {
        S::SPEC
    }

    fn dispatch<'a>(&'a self, record: &'a EventRecord) -> Option<Dispatch<'a>> {
        let route = choose(S::ROUTES, record.name())?;
        if let Some(wants) = S::FILTER
            && !wants(record)
        {
            return None;
        }
        Some((route.call)(self, record))
    }
}

/// The route that names the event, else the first wildcard that covers it: never two.
fn choose<'r, S>(routes: &'r [Route<S>], name: &str) -> Option<&'r Route<S>> {
    let exact = routes.iter().find(|route| route.pattern == name);
    exact.or_else(|| routes.iter().find(|route| pattern::matches(route.pattern, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(patterns: &[&'static str], name: &str) -> Option<&'static str> {
        let routes: Vec<Route<()>> =
            patterns.iter().map(|&pattern| Route { pattern, call: |(), _| Dispatch::Untyped }).collect();
        choose(&routes, name).map(|route| route.pattern)
    }

    #[test]
    fn the_exact_name_wins_wherever_it_stands() {
        assert_eq!(chosen(&["*", "task.*", "task.failed"], "task.failed"), Some("task.failed"));
    }

    #[test]
    fn else_the_first_wildcard() {
        assert_eq!(chosen(&["task.*", "*"], "task.failed"), Some("task.*"));
        assert_eq!(chosen(&["step.*", "*"], "task.failed"), Some("*"));
        assert_eq!(chosen(&["step.*", "step.failed"], "task.failed"), None);
    }
}
