//! How the spans of one task belong together: parents and links.

use std::collections::HashMap;

use super::check::Check;
use super::run::{AttemptId, Task};
use crate::span::ReceivedSpan;

impl<'a> Check<'a> {
    /// Attempt n > 1 links to attempt n - 1, and to nothing else.
    pub(super) fn link(
        &mut self,
        subject: &str,
        id: &AttemptId,
        task: &Task,
        span_of: &HashMap<AttemptId, usize>,
        span: &ReceivedSpan,
    ) {
        let before = AttemptId { step_id: id.step_id.clone(), number: id.number - 1 };
        let expected = match span_of.get(&before) {
            Some(index) => vec![(self.spans[*index].trace_id.as_str(), self.spans[*index].span_id.as_str())],
            // The one before was killed: it has no span, but it had an id.
            None if task.attempts.contains_key(&before) && span.links.len() == 1 => return,
            None => Vec::new(),
        };
        let seen: Vec<_> = span.links.iter().map(|link| (link.trace_id.as_str(), link.span_id.as_str())).collect();
        self.expects(subject, "links", &expected, &seen);
    }

    #[allow(clippy::too_many_arguments, reason = "all that a parent depends on")]
    pub(super) fn parent(
        &mut self,
        subject: &str,
        step_name: &str,
        task: &Task,
        roots: &[usize],
        by_span: &HashMap<&str, (&AttemptId, usize)>,
        parent_of_all: &mut Option<&'a str>,
        span: &'a ReceivedSpan,
    ) {
        let default = vec![String::new()];
        let outer = self.checker.nesting.get(step_name).unwrap_or(&default);
        let parent = span.parent_span_id.as_str();
        if let Some((id, index)) = by_span.get(parent) {
            let name = task.attempts.get(*id).map_or("", |attempt| attempt.step_name.as_str());
            if !outer.iter().any(|outer| outer == name) {
                self.says(subject, format!("parent: expected {}, seen step {name} {parent}", place(outer)));
            }
            let parent = &self.spans[*index];
            let lives = parent.start.saturating_sub(self.tolerance())..=parent.end + self.tolerance();
            if !lives.contains(&span.start) {
                self.says(subject, format!("parent: {parent} was not running when it started"));
            }
        } else if !outer.iter().any(String::is_empty) {
            self.says(subject, format!("parent: expected {}, seen {parent:?}", place(outer)));
        } else if roots.is_empty() && !parent.is_empty() {
            // The task has not ended, so its root is not there: but it has one, and only one.
            self.pending_roots.insert(parent);
            let first = *parent_of_all.get_or_insert(parent);
            self.expects(subject, "parent, the root that is not there yet", &first, &parent);
        } else if !roots.iter().any(|root| self.spans[*root].span_id == parent) {
            let ids: Vec<_> = roots.iter().map(|root| self.spans[*root].span_id.as_str()).collect();
            self.says(subject, format!("parent: expected the task's root {}, seen {parent:?}", ids.join(" or ")));
        } else if roots.len() > 1 {
            let root = roots.iter().map(|root| &self.spans[*root]).find(|root| root.span_id == parent);
            let lives = root.is_some_and(|root| {
                (root.start.saturating_sub(self.tolerance())..=root.end + self.tolerance()).contains(&span.start)
            });
            if !lives {
                self.says(subject, "parent: the root of another run of the task");
            }
        }
    }
}

fn place(outer: &[String]) -> String {
    let names: Vec<_> = outer.iter().map(|name| if name.is_empty() { "the task's root" } else { name }).collect();
    names.join(" or ")
}
