//! Recorded events, and expectations of them whose failure shows expected beside seen.

use std::fmt::Write as _;
use std::ops::Deref;

use serde_json::Value as Json;

use crate::event::EventRecord;
use crate::subscriber::pattern;

/// Events in the order in which they happened. A slice of [`EventRecord`]s with questions of its own.
#[derive(Debug, Clone)]
#[must_use]
pub struct Events {
    events: Vec<EventRecord>,
}

impl Deref for Events {
    type Target = [EventRecord];

    fn deref(&self) -> &[EventRecord] {
        &self.events
    }
}

/// An event that is expected. Made by [`expect`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Expected {
    name: &'static str,
    fields: Vec<(&'static str, Json)>,
}

/// Expects an event of that name.
pub const fn expect(name: &'static str) -> Expected {
    Expected { name, fields: Vec::new() }
}

impl Expected {
    /// Expects that field to have that value.
    pub fn with(mut self, field: &'static str, value: impl Into<Json>) -> Self {
        self.fields.push((field, value.into()));
        self
    }

    /// What is wrong with the event, if anything.
    fn mismatch(&self, event: &EventRecord) -> Option<String> {
        if event.name() != self.name {
            return Some("another event".to_owned());
        }
        let wrong: Vec<_> = self
            .fields
            .iter()
            .filter(|(field, value)| event.payload().get(*field) != Some(value))
            .map(|(field, _)| match event.payload().get(*field) {
                Some(seen) => format!("{field} is {seen}"),
                None => format!("it has no {field}"),
            })
            .collect();
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)?;
        for (field, value) in &self.fields {
            write!(f, " {field}={value}")?;
        }
        Ok(())
    }
}

impl Events {
    pub(super) const fn new(events: Vec<EventRecord>) -> Self {
        Self { events }
    }

    /// The names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.events.iter().map(EventRecord::name).collect()
    }

    /// The events of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Vec<&EventRecord> {
        self.events.iter().filter(|event| event.name() == name).collect()
    }

    /// How many events of that name there are.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.named(name).len()
    }

    /// The events that match a subscription: a name, `step.*` or `*`.
    pub fn select(&self, subscription: &str) -> Self {
        Self::new(self.events.iter().filter(|event| pattern::matches(subscription, event.name())).cloned().collect())
    }

    /// The events of one task.
    pub fn of_task(&self, task_id: &str) -> Self {
        Self::new(self.events.iter().filter(|event| event.task_id() == Some(task_id)).cloned().collect())
    }

    /// Asserts that these are the events, one by one and no others.
    ///
    /// # Panics
    /// When they are not, with a table of what was expected and what was seen.
    #[track_caller]
    pub fn assert_sequence(&self, expected: impl IntoIterator<Item = Expected>) {
        let expected: Vec<_> = expected.into_iter().collect();
        let fits = expected.len() == self.len()
            && expected.iter().zip(self.iter()).all(|(e, seen)| e.mismatch(seen).is_none());
        assert!(fits, "the events are not the expected ones\n{}", self.comparison(&expected));
    }

    /// Asserts that these events happened in this order, whatever happened between them.
    ///
    /// # Panics
    /// When they did not, naming the first that is missing.
    #[track_caller]
    pub fn assert_contains(&self, expected: impl IntoIterator<Item = Expected>) {
        let mut rest = self.iter();
        for (number, wanted) in expected.into_iter().enumerate() {
            let found = rest.any(|event| wanted.mismatch(event).is_none());
            assert!(
                found,
                "expected event {} is missing (or stands too early): {wanted}\nseen:\n{}",
                number + 1,
                self.listing()
            );
        }
    }

    /// Expected beside seen, aligned so that one event too many or too few does not make all that follow look wrong.
    fn comparison(&self, expected: &[Expected]) -> String {
        let width =
            expected.iter().map(|e| e.to_string().chars().count()).max().unwrap_or(0).clamp("expected".len(), 70);
        let mut text = format!("    {:width$}  seen\n", "expected");
        let (mut i, mut j) = (0, 0);
        while i < expected.len() || j < self.len() {
            let (wanted, seen) = (expected.get(i), self.events.get(j));
            let row = match (wanted, seen) {
                (Some(wanted), Some(seen)) => match wanted.mismatch(seen) {
                    None => (" ", wanted.to_string(), describe(seen, wanted), (1, 1)),
                    Some(why) if seen.name() == wanted.name => {
                        ("≠", wanted.to_string(), format!("{}: {why}", seen.name()), (1, 1))
                    }
                    Some(_)
                        if self.events[j..].iter().any(|later| later.name() == wanted.name)
                            && !expected[i..].iter().any(|later| later.name == seen.name()) =>
                    {
                        ("+", String::new(), seen.name().to_owned(), (0, 1))
                    }
                    Some(_) if expected[i..].iter().any(|later| later.name == seen.name()) => {
                        ("-", wanted.to_string(), String::new(), (1, 0))
                    }
                    Some(_) => ("≠", wanted.to_string(), seen.name().to_owned(), (1, 1)),
                },
                (Some(wanted), None) => ("-", wanted.to_string(), String::new(), (1, 0)),
                (None, Some(seen)) => ("+", String::new(), seen.name().to_owned(), (0, 1)),
                (None, None) => break,
            };
            let (mark, left, right, (di, dj)) = row;
            let _ = writeln!(text, "  {mark} {left:width$}  {right}");
            i += di;
            j += dj;
        }
        text.push_str("  (- expected but not seen, + seen but not expected, ≠ different)");
        text
    }

    fn listing(&self) -> String {
        let mut text = String::new();
        for event in self {
            let _ = writeln!(text, "    {}", event.name());
        }
        text
    }
}

fn describe(seen: &EventRecord, wanted: &Expected) -> String {
    let mut text = seen.name().to_owned();
    for (field, _) in &wanted.fields {
        let _ = write!(text, " {field}={}", seen.payload().get(*field).unwrap_or(&Json::Null));
    }
    text
}

impl<'a> IntoIterator for &'a Events {
    type Item = &'a EventRecord;
    type IntoIter = std::slice::Iter<'a, EventRecord>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.iter()
    }
}
