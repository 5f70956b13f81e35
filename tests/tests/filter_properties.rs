//! The filter against the plainest one that could be written: random payloads, random rules, the same answer.
//!
//! `scripts/fuzz-filter` runs these for as long as one likes.

use proptest::prelude::*;
use serde_json::{Map, Value as Json};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::Recording;
use tasker_telemetry::{FilterRule, Regex, declare_event};

declare_event!("properties.any", "Anything.");

const MASK: &str = "[FILTERED]";

/// A rule, as the plain filter takes it.
#[derive(Debug, Clone)]
enum Rule {
    /// A name or a path.
    Text(String),
    /// For the key, or the path when there is an escaped dot in it.
    Pattern(String, bool),
}

impl Rule {
    fn written(&self) -> FilterRule {
        match self {
            Self::Text(text) => text.into(),
            Self::Pattern(pattern, false) => format!("/{pattern}/").into(),
            Self::Pattern(pattern, true) => Regex::new(pattern).unwrap().into(),
        }
    }

    fn masks(&self, path: &[String]) -> bool {
        let (key, path) = (path.last().unwrap(), path.join("."));
        match self {
            Self::Text(text) if text.is_empty() => false,
            Self::Text(text) if text.contains('.') => lower(&path).contains(&lower(text)),
            // A key that has a dot itself is no path.
            Self::Text(text) => lower(key).contains(&lower(text)),
            Self::Pattern(pattern, _) if pattern.contains("\\.") => Regex::new(pattern).unwrap().is_match(&path),
            Self::Pattern(pattern, _) => Regex::new(pattern).unwrap().is_match(key),
        }
    }
}

/// Without regard to case; the Greek sigma has two lower-case forms.
fn lower(text: &str) -> String {
    text.to_lowercase().replace('ς', "σ")
}

/// The plain filter.
fn plainly_masked(json: &Json, rules: &[Rule], path: &mut Vec<String>) -> Json {
    match json {
        Json::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                path.push(key.clone());
                let masked = rules.iter().any(|rule| rule.masks(path));
                let value = if masked { MASK.into() } else { plainly_masked(value, rules, path) };
                path.pop();
                (key.clone(), value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Json::Array(items) => items.iter().map(|item| plainly_masked(item, rules, path)).collect::<Vec<_>>().into(),
        plain => plain.clone(),
    }
}

fn masked(recording: &Recording, payload: &Json) -> Json {
    recording.in_scope(|| publish_event("properties.any", serde_json::json!({"root": payload}))).unwrap();
    let header = ["event", "event_id", "event_type", "timestamp"];
    let events = recording.events();
    let shown = events.named("properties.any").last().unwrap().payload().as_object().unwrap().clone();
    // The key may be masked, too.
    shown.into_iter().find(|(key, _)| !header.contains(&key.as_str())).unwrap().1
}

fn recording(rules: &[Rule]) -> Recording {
    let rules = rules.iter().map(Rule::written);
    Recording::with(Telemetry::builder().auto_subscribers(false).filter_parameters(rules)).unwrap()
}

/// Few letters, so that rules hit: both cases, one of more than a byte, one that changes its length with its case, a dot.
fn word() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop::sample::select(vec!["a", "B", "b", "Å", "å", "İ", "σ", "Σ", "ς", "_", "."]), 0..5)
        .prop_map(|letters| letters.concat())
}

fn rule() -> impl Strategy<Value = Rule> {
    let pattern = prop::sample::select(vec!["^a", "B$", "a.b", r"a\.b", r"^root\.a", r"b\..*a", "å|_", "^$", "(?i)ab"]);
    prop_oneof![
        4 => word().prop_map(Rule::Text),
        1 => (pattern, any::<bool>()).prop_map(|(pattern, own)| Rule::Pattern(pattern.to_owned(), own)),
    ]
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        word().prop_map(Json::from)
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            proptest::collection::vec((word(), inner), 0..6)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn as_the_plainest_filter(payload in json(), rules in proptest::collection::vec(rule(), 0..4)) {
        let recording = recording(&rules);
        let root = rules.iter().any(|rule| rule.masks(&["root".to_owned()]));
        let expected =
            if root { MASK.into() } else { plainly_masked(&payload, &rules, &mut vec!["root".to_owned()]) };
        let once = masked(&recording, &payload);
        prop_assert_eq!(&once, &expected);
        prop_assert_eq!(&masked(&recording, &once), &once, "masked again is masked once");
    }

    #[test]
    fn no_rule_no_change(payload in json()) {
        prop_assert_eq!(masked(&recording(&[]), &payload), payload);
    }

    /// Of lists and texts: keys that become the same are numbered, and the number is a text like any other.
    #[test]
    fn values_masked_again_are_masked_once(
        texts in proptest::collection::vec(word(), 0..6),
        patterns in proptest::collection::vec("[ab_σ.*+\\[\\]]{1,4}", 1..3),
    ) {
        let patterns: Vec<String> = patterns.into_iter().filter(|pattern| Regex::new(pattern).is_ok()).collect();
        let builder = Telemetry::builder().auto_subscribers(false).filter_parameters([] as [&str; 0]);
        let recording = Recording::with(builder.filter_values(["^never$"]).filter_values(&patterns)).unwrap();
        let once = masked(&recording, &serde_json::json!([texts, [MASK, 7]]));
        prop_assert_eq!(&masked(&recording, &once), &once);
    }
}
