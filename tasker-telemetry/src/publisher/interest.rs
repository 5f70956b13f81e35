//! Which events a subscriber gets, decided once from its patterns.

use crate::event::EventKind;
use crate::subscriber::pattern;

/// The events that one subscriber subscribed to.
#[derive(Debug)]
pub(crate) struct Interest {
    mask: u32,
    patterns: &'static [&'static str],
}

impl Interest {
    pub(crate) fn new(patterns: &'static [&'static str]) -> Self {
        let covers = |name: &str| patterns.iter().any(|pattern| pattern::matches(pattern, name));
        let mut mask = 0;
        for kind in EventKind::ALL {
            let wanted = match kind {
                // A pattern of another namespace can only mean custom events; so can `*`.
                EventKind::Custom => patterns.iter().any(|pattern| *pattern == "*" || !is_system(pattern)),
                system => covers(system.name()),
            };
            if wanted {
                mask |= kind.bit();
            }
        }
        Self { mask, patterns }
    }

    /// All events of those kinds.
    pub(crate) const fn in_kinds(mask: u32) -> Self {
        Self { mask, patterns: &["*"] }
    }

    pub(crate) const fn mask(&self) -> u32 {
        self.mask
    }

    /// Whether the event is one of them. Only of a custom event the name is asked.
    #[inline]
    pub(crate) fn covers<'n>(&self, kind: EventKind, name: impl FnOnce() -> &'n str) -> bool {
        self.mask & kind.bit() != 0 && (kind != EventKind::Custom || self.covers_name(name()))
    }

    fn covers_name(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern::matches(pattern, name))
    }
}

fn is_system(pattern: &str) -> bool {
    matches!(pattern.split('.').next(), Some("task" | "step" | "workflow" | "observability"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_sets_the_bits_it_covers() {
        let interest = Interest::new(&["task.*", "step.failed", "payment.flagged"]);
        let covers = |kind, name: &'static str| interest.covers(kind, || name);
        assert!(covers(EventKind::TaskCancelled, "task.cancelled"));
        assert!(covers(EventKind::StepFailed, "step.failed"));
        assert!(!covers(EventKind::StepStarted, "step.started"));
        assert!(!covers(EventKind::ObservabilityTaskStart, "observability.task.start"));
        assert!(covers(EventKind::Custom, "payment.flagged"));
        assert!(!covers(EventKind::Custom, "payment.other"));
        assert_eq!(Interest::new(&["task.*"]).mask() & EventKind::Custom.bit(), 0);
        assert_eq!(Interest::new(&["*"]).mask().count_ones(), 25);
    }
}
