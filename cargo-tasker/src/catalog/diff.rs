//! What changed between two promises, and whether somebody who relies on the first is harmed.
//!
//! Harm is what makes a consumer's code wrong that was right: an event, a field, a metric or a label is gone, a field holds less
//! than it did, may be absent now, or is masked now. What is new harms nobody. Steps and tasks are names in values, not in schemas:
//! that one is gone is told, and no harm.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::promise::{Event, Field, Metric, Promise};
use crate::output::{ERROR, GOOD, painted};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    breaking: bool,
    /// What it is about: `payment.risk_flagged.score`.
    subject: String,
    what: String,
}

impl Change {
    pub(super) fn json(&self) -> Json {
        json!({"subject": self.subject, "change": self.what})
    }
}

/// All changes, breaking ones first.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<Change>);

impl Changes {
    pub(super) fn between(before: &Promise, after: &Promise) -> Self {
        let mut changes = Self::default();
        for (name, event) in &before.events {
            match after.events.get(name) {
                Some(now) => changes.event(name, event, now),
                None => changes.add(true, name, "the event is gone"),
            }
        }
        for name in after.events.keys().filter(|name| !before.events.contains_key(*name)) {
            changes.add(false, name, "the event is new");
        }
        for (name, metric) in &before.metrics {
            match after.metrics.get(name) {
                Some(now) => changes.metric(name, metric, now),
                None => changes.add(true, name, "the metric is gone"),
            }
        }
        for name in after.metrics.keys().filter(|name| !before.metrics.contains_key(*name)) {
            changes.add(false, name, "the metric is new");
        }
        for (what, before, after) in [("step", &before.steps, &after.steps), ("task", &before.tasks, &after.tasks)] {
            for name in before.iter().filter(|name| !after.contains(name)) {
                changes.add(false, name, &format!("the {what} is gone"));
            }
            for name in after.iter().filter(|name| !before.contains(name)) {
                changes.add(false, name, &format!("the {what} is new"));
            }
        }
        changes.0.sort_by_key(|change| !change.breaking);
        changes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn breaking(&self) -> impl Iterator<Item = &Change> {
        self.0.iter().filter(|change| change.breaking)
    }

    pub(super) fn compatible(&self) -> impl Iterator<Item = &Change> {
        self.0.iter().filter(|change| !change.breaking)
    }

    /// A line for each.
    pub(super) fn text(&self) -> String {
        if self.0.is_empty() {
            return "nothing changed".to_owned();
        }
        let mut text = String::new();
        for change in &self.0 {
            let label = if change.breaking { painted(ERROR, "breaking") } else { painted(GOOD, "compatible") };
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{label}: `{}`: {}", change.subject, change.what);
        }
        text
    }

    fn add(&mut self, breaking: bool, subject: &str, what: &str) {
        self.0.push(Change { breaking, subject: subject.to_owned(), what: what.to_owned() });
    }

    fn event(&mut self, name: &str, before: &Event, after: &Event) {
        for (field, was) in &before.fields {
            let subject = format!("{name}.{field}");
            match after.fields.get(field) {
                Some(now) => self.field(&subject, was, now),
                None => self.add(true, &subject, "the field is gone"),
            }
        }
        for (field, now) in after.fields.iter().filter(|(field, _)| !before.fields.contains_key(*field)) {
            let what = if now.optional { "the optional field is new" } else { "the field is new" };
            self.add(false, &format!("{name}.{field}"), what);
        }
    }

    fn field(&mut self, subject: &str, before: &Field, after: &Field) {
        match (before.optional, after.optional) {
            (false, true) => self.add(true, subject, "may be absent now"),
            (true, false) => self.add(false, subject, "is always there now"),
            _ => {}
        }
        match (before.sensitive, after.sensitive) {
            (false, true) => self.add(true, subject, "is masked now: its value no longer leaves the program"),
            (true, false) => self.add(false, subject, "is no longer masked"),
            _ => {}
        }
        let (was, now) = (required(&before.ty), required(&after.ty));
        if was != now {
            let fits = widens(was, &before.json_type, now, &after.json_type);
            let how = if fits { "holds all that it did" } else { "narrowed, or another type" };
            self.add(!fits, subject, &format!("`{}` became `{}`: {how}", before.ty, after.ty));
        }
    }

    fn metric(&mut self, name: &str, before: &Metric, after: &Metric) {
        if before.kind != after.kind {
            self.add(true, name, &format!("the {} became a {}", before.kind, after.kind));
        }
        for label in before.labels.iter().filter(|label| !after.labels.contains(label)) {
            self.add(true, name, &format!("the label `{label}` is gone"));
        }
        for label in after.labels.iter().filter(|label| !before.labels.contains(label)) {
            self.add(false, name, &format!("the label `{label}` is new"));
        }
    }
}

/// What stands in `Option<..>`: whether it may be absent is a change of its own. Paths are left out: they are a matter of imports.
fn required(ty: &str) -> &str {
    let inner = |ty: &str| -> Option<usize> {
        let (head, _) = ty.split_once('<')?;
        (head.rsplit("::").next() == Some("Option") && ty.ends_with('>')).then_some(head.len() + 1)
    };
    let ty = inner(ty).map_or(ty, |start| ty[start..].strip_suffix('>').unwrap_or(ty));
    if ty.contains('<') { ty } else { ty.rsplit("::").next().unwrap_or(ty) }
}

/// Whether every value of the first type is one of the second. Of types that only their names tell apart, nobody knows.
fn widens(was: &str, was_json: &str, now: &str, now_json: &str) -> bool {
    match (integer(was), integer(now)) {
        (Some((was_signed, was_bits)), Some((now_signed, now_bits))) => {
            return match (was_signed, now_signed) {
                (true, true) | (false, false) => now_bits >= was_bits,
                (false, true) => now_bits > was_bits,
                (true, false) => false,
            };
        }
        (Some((_, bits)), None) if now_json == "number" => return bits <= if now == "f32" { 24 } else { 53 },
        _ => {}
    }
    match (was, now) {
        ("f32", "f64") => true,
        ("f64", "f32") => false,
        // Two Rust types of one JSON type: `&'static str` and `String`.
        _ => was_json == now_json && matches!(was_json, "string" | "boolean"),
    }
}

/// Whether it is signed, and how many bits it has.
fn integer(ty: &str) -> Option<(bool, u32)> {
    let signed = match ty.as_bytes().first()? {
        b'i' => true,
        b'u' => false,
        _ => return None,
    };
    match &ty[1..] {
        "size" => Some((signed, 64)),
        bits => bits.parse().ok().filter(|bits| [8, 16, 32, 64, 128].contains(bits)).map(|bits| (signed, bits)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(fields: &str, rest: &str) -> Promise {
        Promise::parse(&format!(
            r#"{{"lock": 1, "events": {{"a.b": {{"fields": {{{fields}}}}}}}, "steps": [], "tasks": [], "metrics": {{{rest}}}}}"#
        ))
        .unwrap()
    }

    fn field(ty: &str, json: &str, more: &str) -> String {
        format!(r#""x": {{"type": "{ty}", "json_type": "{json}"{more}}}"#)
    }

    /// `Some(true)`: breaking, `Some(false)`: compatible, `None`: no change.
    fn verdict(before: &str, after: &str) -> Option<bool> {
        let changes = Changes::between(&promise(before, ""), &promise(after, ""));
        (!changes.is_empty()).then(|| changes.breaking().next().is_some())
    }

    #[test]
    fn fields() {
        let u32 = field("u32", "integer", "");
        assert_eq!(verdict(&u32, &u32), None);
        assert_eq!(verdict(&u32, ""), Some(true));
        assert_eq!(verdict("", &u32), Some(false));
        let optional = field("Option<u32>", "integer", r#", "optional": true"#);
        assert_eq!((verdict(&u32, &optional), verdict(&optional, &u32)), (Some(true), Some(false)));
        let masked = field("u32", "integer", r#", "sensitive": true"#);
        assert_eq!((verdict(&u32, &masked), verdict(&masked, &u32)), (Some(true), Some(false)));
        for (was, was_json, now, now_json, breaking) in [
            ("u32", "integer", "u64", "integer", false),
            ("u64", "integer", "u32", "integer", true),
            ("u32", "integer", "i64", "integer", false),
            ("i8", "integer", "u8", "integer", true),
            ("usize", "integer", "u64", "integer", false),
            ("u32", "integer", "f64", "number", false),
            ("u64", "integer", "f64", "number", true),
            ("f64", "number", "u64", "integer", true),
            ("f32", "number", "f64", "number", false),
            ("f64", "number", "f32", "number", true),
            ("String", "string", "u32", "integer", true),
            ("&'static str", "string", "String", "string", false),
            ("Money", "any", "Price", "any", true),
            ("Vec<u8>", "array", "Vec<u64>", "array", true),
        ] {
            assert_eq!(verdict(&field(was, was_json, ""), &field(now, now_json, "")), Some(breaking), "{was} -> {now}");
        }
        // What a `use` changes is no change.
        assert_eq!(verdict(&field("shop::Money", "any", ""), &field("Money", "any", "")), None);
    }

    #[test]
    fn metrics() {
        let verdict = |before: &str, after: &str| {
            let changes = Changes::between(&promise("", before), &promise("", after));
            (!changes.is_empty()).then(|| changes.breaking().next().is_some())
        };
        let plain = r#""m": {"kind": "counter", "labels": ["a"]}"#;
        let labelled = r#""m": {"kind": "counter", "labels": ["a", "b"]}"#;
        let gauge = r#""m": {"kind": "gauge", "labels": ["a"]}"#;
        assert_eq!((verdict(plain, labelled), verdict(labelled, plain)), (Some(false), Some(true)));
        assert_eq!(
            (verdict(plain, gauge), verdict(plain, ""), verdict("", plain)),
            (Some(true), Some(true), Some(false))
        );
    }

    #[test]
    fn steps_that_are_gone_are_told() {
        let with = |steps: &str| {
            Promise::parse(&format!(
                r#"{{"lock": 1, "events": {{}}, "metrics": {{}}, "steps": [{steps}], "tasks": []}}"#
            ))
            .unwrap()
        };
        let changes = Changes::between(&with(r#""charge""#), &with(r#""pay""#));
        assert_eq!((changes.breaking().count(), changes.compatible().count()), (0, 2));
    }

    #[test]
    fn a_later_lock_file_is_refused_with_words() {
        assert!(Promise::parse(r#"{"lock": 2}"#).unwrap_err().contains("version 2"));
        assert!(Promise::parse("[").is_err() && Promise::parse("{}").is_err());
    }
}
