//! The filter of sensitive values: which are masked, and with what.
//!
//! Applied once, where a payload is built; nothing behind that point holds the value. It is compiled when the telemetry is
//! built; what a schema tells (the names of a typed event's fields, of `fields(..)`, of labels) is judged once for each schema.
//! What cannot be looked through, because it is too deep, too large or panics, is masked.
//!
//! - `rule.rs`: a rule as it is written; `keys.rs`: the rules for keys, compiled; `texts.rs`: those for values
//! - `walk.rs`: through JSON; `scan.rs`, `top.rs`: through typed values
//! - `event.rs`, `fields.rs`: typed events, `fields(..)`
//! - `live.rs`: more rules while it is in use
//! - `secrets.rs`: what was masked, found again in the texts of errors

mod event;
mod fields;
mod keys;
mod live;
mod rule;
mod scan;
mod secrets;
mod texts;
mod top;
mod walk;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use serde::Serialize;
use serde_json::Value as Json;

pub(crate) use self::event::MaskedFields;
use self::keys::{Keys, Place, Verdict};
pub(crate) use self::live::Filters;
pub(crate) use self::rule::BadRule;
pub use self::rule::FilterRule;
use self::scan::{Scan, Stop};
pub(crate) use self::secrets::Secrets;
use self::texts::Texts;
use self::walk::Walk;
use crate::table::Table;

/// What is masked unless the builder says otherwise: a name that contains one of these, in any case.
pub const DEFAULT_FILTER_PARAMETERS: [&str; 10] =
    ["passw", "email", "secret", "token", "_key", "crypt", "salt", "certificate", "otp", "ssn"];

/// What stands in the place of a masked value.
pub const DEFAULT_FILTER_MASK: &str = "[FILTERED]";

/// A longer text of an error is not searched: it is masked as a whole where there is something to search for.
const LONGEST_ERROR: usize = 64 * 1024;

/// The rules, compiled, and what they decided so far.
pub(crate) struct Filter {
    rules: Rules,
    plans: Table<fields::Plan>,
    events: Table<event::Plan>,
    masks_messages: bool,
    masks_chains: bool,
}

/// The rules, compiled.
#[derive(Debug)]
struct Rules {
    keys: Keys,
    texts: Texts,
}

impl Filter {
    /// Compiles the rules.
    pub(crate) fn new(keys: &[FilterRule], values: &[FilterRule], mask: &str) -> Result<Self, BadRule> {
        Ok(Self::of(Rules { keys: Keys::new(keys)?, texts: Texts::new(values, mask.into())? }))
    }

    /// One that masks nothing.
    pub(crate) fn none() -> Self {
        Self::of(Rules::none())
    }

    fn of(rules: Rules) -> Self {
        let masks =
            |name: &str| matches!(rules.keys.judge(Place::default(), name, &mut String::new()), Verdict::Masked);
        let (masks_messages, masks_chains) = (masks("error_message"), masks("error_chain"));
        Self { rules, plans: Table::new(), events: Table::new(), masks_messages, masks_chains }
    }

    /// What stands in the place of a masked value.
    pub(crate) fn mask(&self) -> &str {
        self.rules.texts.mask()
    }

    /// The same, to be kept.
    pub(crate) fn shared_mask(&self) -> Arc<str> {
        Arc::clone(self.rules.texts.mask())
    }

    /// Whether a field, attribute or label of that name is masked.
    pub(crate) fn masks(&self, name: &str) -> bool {
        matches!(self.rules.keys.judge(Place::default(), name, &mut String::new()), Verdict::Masked)
    }

    /// Whether there is anything that values are searched for.
    pub(crate) const fn has_values(&self) -> bool {
        !self.rules.texts.is_empty()
    }

    /// A text with the parts masked that users' expressions for values match.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.rules.texts.shown(text).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// Masks inside a payload, in place; one that is too large becomes the mask.
    pub(crate) fn json(&self, json: &mut Json) {
        let mut walk = Walk::new(&self.rules);
        if walk.json(json, Place::default(), 0).is_err() {
            walk.mask(json);
        }
    }

    /// The same for the value of an attribute.
    pub(crate) fn attribute(&self, name: &str, value: &mut Json) {
        let mut walk = Walk::new(&self.rules);
        let masked = match walk.key(Place::default(), name) {
            Ok(Verdict::Below(place)) => walk.json(value, place, 0).is_err(),
            Ok(Verdict::Masked) | Err(_) => true,
        };
        if masked {
            walk.mask(value);
        }
    }

    /// The message of an error as it may be shown.
    pub(crate) fn message(&self, text: String, secrets: Option<&Secrets>) -> String {
        if self.masks_messages { self.mask().to_owned() } else { self.error_text(text, secrets) }
    }

    /// The message of one of an error's causes, likewise.
    pub(crate) fn cause(&self, text: String, secrets: Option<&Secrets>) -> String {
        if self.masks_chains { self.mask().to_owned() } else { self.error_text(text, secrets) }
    }

    /// Any text of an error.
    pub(crate) fn error_text(&self, text: String, secrets: Option<&Secrets>) -> String {
        if self.has_values() && text.len() > LONGEST_ERROR {
            return self.mask().to_owned();
        }
        // What was masked before what looks like it: a value that an expression has cut is not found any more.
        let text = secrets.and_then(|secrets| secrets.shown(&text, self.mask())).unwrap_or(text);
        self.rules.texts.shown(&text).unwrap_or(text)
    }
}

impl Rules {
    fn none() -> Self {
        Self { keys: Keys::default(), texts: Texts::none(DEFAULT_FILTER_MASK.into()) }
    }
}

/// Whether a value is one that can be made JSON of: neither too deep nor too large. Nothing is made of it to find out.
pub(crate) fn fits<T: Serialize + ?Sized>(value: &T) -> bool {
    static NONE: LazyLock<Rules> = LazyLock::new(Rules::none);
    let scan = Scan { walk: &mut Walk::new(&NONE), at: Place::default(), depth: 0 };
    !matches!(value.serialize(scan), Err(Stop::TooMuch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(keys: &[&str]) -> Filter {
        let keys: Vec<FilterRule> = keys.iter().map(|rule| FilterRule::from(*rule)).collect();
        Filter::new(&keys, &[], DEFAULT_FILTER_MASK).unwrap()
    }

    fn masked(filter: &Filter, mut json: Json) -> Json {
        filter.json(&mut json);
        json
    }

    #[test]
    fn names_match_anywhere_in_any_case_and_depth() {
        let filter = filter(&DEFAULT_FILTER_PARAMETERS);
        assert!(filter.masks("userPassword") && filter.masks("API_KEY") && !filter.masks("keyboard"));
        assert_eq!(
            masked(&filter, json!({"a": [{"Token": {"x": 1}, "b": 2}], "email": null})),
            json!({"a": [{"Token": "[FILTERED]", "b": 2}], "email": "[FILTERED]"})
        );
    }

    #[test]
    fn paths_go_through_lists() {
        let filter = filter(&["card.number"]);
        assert_eq!(
            masked(&filter, json!({"card": [{"number": 1, "x": {"number": 2}}], "number": 3})),
            json!({"card": [{"number": "[FILTERED]", "x": {"number": 2}}], "number": 3})
        );
    }

    #[test]
    fn what_is_too_deep_to_look_at_is_masked() {
        for filter in [filter(&["x"]), Filter::none()] {
            let mut json = json!({"secret": 1});
            for _ in 0..100_000 {
                json = Json::Array(vec![json]);
            }
            assert!(!masked(&filter, json).to_string().contains("secret"));
        }
    }

    #[test]
    fn what_is_too_large_to_look_at_is_masked() {
        let wide = Json::Array(vec![Json::from(1); walk::LARGEST + 1]);
        let long = Json::from("x".repeat(walk::LARGEST + 1));
        let keys = Json::Object((0..walk::LARGEST / 8).map(|n| (format!("{n:08}"), Json::Null)).collect());
        for large in [wide, long, keys] {
            assert_eq!(masked(&filter(&["x"]), large), json!("[FILTERED]"));
        }
    }

    #[test]
    fn no_rule_no_change() {
        let json = json!({"password": {"token": ["a", 1, null]}, "": {"": ""}});
        assert_eq!(masked(&Filter::none(), json.clone()), json);
        assert!(!filter(&["", ""]).masks("password"), "an empty name is none");
    }

    #[test]
    fn values_are_masked_in_texts_numbers_and_keys() {
        let filter = Filter::new(&[], &[r"4\d{3}".into()], "*").unwrap();
        assert_eq!(
            masked(&filter, json!({"a": "x 4111 y", "b": [4111, 5111], "k4111": 1, "k4222": 2})),
            json!({"a": "x * y", "b": ["*", 5111], "k*": 1, "k* 2": 2})
        );
    }

    #[test]
    fn a_value_that_does_not_fit_is_not_made() {
        #[derive(Serialize)]
        struct Chain(Option<Box<Chain>>);

        let mut chain = Chain(None);
        for _ in 0..100 {
            chain = Chain(Some(Box::new(chain)));
        }
        assert!(!fits(&chain) && fits(&json!({"a": [1, "b", {"c": null}]})));
        assert!(!fits(&vec![0_u8; walk::LARGEST + 1]));
    }
}
