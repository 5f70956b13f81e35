//! The values that were masked in a task, kept to find them again in the texts of its errors, and for nothing else.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value as Json;

use super::texts::replace;
use crate::value::Value;

/// Shorter values are not searched for: a masked `no` or `42` would shred every text.
const SHORTEST: usize = 4;
/// A longer one fits no text of an error.
const LONGEST: usize = super::LONGEST_ERROR;
/// Of one task. Beyond that its errors show no text at all.
const MOST_VALUES: usize = 1_024;
const MOST_BYTES: usize = 256 * 1024;

/// The masked values of one task and its steps. Empty, it costs two words.
#[derive(Default)]
pub(crate) struct Secrets(Mutex<Option<Box<Kept>>>);

#[derive(Default)]
struct Kept {
    /// In lower case.
    values: HashSet<Box<str>>,
    bytes: usize,
    /// There were more than are kept.
    is_over: bool,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Keeps values that have just been masked.
    pub(crate) fn add(&self, masked: Found) {
        if masked.is_empty() {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get_or_insert_default();
        kept.is_over |= masked.is_over;
        for value in masked.values {
            if kept.values.contains(value.as_ref()) {
                continue;
            }
            if kept.values.len() == MOST_VALUES || kept.bytes + value.len() > MOST_BYTES {
                kept.is_over = true;
                break;
            }
            kept.bytes += value.len();
            kept.values.insert(value);
        }
    }

    /// The text as it may be shown; `None`: as it is.
    pub(super) fn shown(&self, text: &str, mask: &str) -> Option<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_deref()?;
        if kept.is_over || text.len() > LONGEST {
            return Some(mask.to_owned());
        }
        let lower = text.to_ascii_lowercase();
        let found: Vec<&str> = kept.values.iter().map(Box::as_ref).filter(|value| lower.contains(*value)).collect();
        if found.is_empty() {
            return None;
        }
        let mut search = AhoCorasick::builder();
        match search.ascii_case_insensitive(true).match_kind(MatchKind::LeftmostLongest).build(found) {
            // A value that is a part of the mask may remain.
            Ok(search) => replace(text, mask, search.find_iter(text).map(|found| found.range())),
            Err(_) => Some(mask.to_owned()),
        }
    }
}

/// Values as they are being masked, on their way into [`Secrets`].
#[derive(Default)]
pub(crate) struct Found {
    values: Vec<Box<str>>,
    is_over: bool,
    /// There was a value too long for any text but one that is masked as a whole.
    is_long: bool,
}

impl Found {
    pub(crate) const fn is_empty(&self) -> bool {
        self.values.is_empty() && !self.is_over && !self.is_long
    }

    /// A value of `fields(..)`.
    pub(super) fn value(&mut self, value: &Value) {
        match value {
            Value::Str(text) => self.text(text),
            Value::Bool(_) => {}
            Value::Json(json) => self.json(json),
            number => self.text(&number.to_json().to_string()),
        }
    }

    /// Every text and number in a JSON value.
    pub(super) fn json(&mut self, json: &Json) {
        let mut open = vec![json];
        while let Some(json) = open.pop() {
            match json {
                Json::Array(items) => open.extend(items),
                Json::Object(fields) => open.extend(fields.values()),
                Json::String(text) => self.text(text),
                Json::Number(number) => self.text(&number.to_string()),
                Json::Bool(_) | Json::Null => {}
            }
            if self.is_over || open.len() > 64 * MOST_VALUES {
                self.is_over = true;
                return;
            }
        }
    }

    /// A text, and the forms that it takes inside a quoted one.
    pub(super) fn text(&mut self, text: &str) {
        let text = text.trim();
        if text.len() > LONGEST {
            self.is_long = true;
            return;
        }
        if text.chars().take(SHORTEST).count() < SHORTEST {
            return;
        }
        let mut quoted = [format!("{text:?}"), Json::from(text).to_string()];
        quoted.sort();
        let inner = |quoted: &str| quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned();
        let mut forms = vec![text.to_owned(), inner(&quoted[0]), inner(&quoted[1])];
        forms.dedup();
        for form in forms {
            if self.values.len() == MOST_VALUES {
                self.is_over = true;
                return;
            }
            self.values.push(form.to_ascii_lowercase().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        let mut found = Found::default();
        for value in values {
            found.text(value);
        }
        let secrets = Secrets::default();
        secrets.add(found);
        secrets
    }

    fn shown(values: &[&str], text: &str) -> String {
        secrets(values).shown(text, "[FILTERED]").unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn masked_values_are_found_in_texts() {
        assert_eq!(shown(&["4111-1111"], "card 4111-1111 declined"), "card [FILTERED] declined");
        assert_eq!(shown(&["Ann@Example.org"], "no such user: ann@example.org"), "no such user: [FILTERED]");
        assert_eq!(shown(&["abcd", "abcdef"], "abcdefg"), "[FILTERED]g", "the longest first");
        assert_eq!(shown(&["pa\"ss\nword"], r#"Wrong("pa\"ss\nword")"#), r#"Wrong("[FILTERED]")"#);
        assert_eq!(shown(&[" padded "], "is padded?"), "is [FILTERED]?");
    }

    #[test]
    fn short_values_do_not_shred_texts() {
        assert_eq!(shown(&["no", "42", "the"], "no: the 42nd"), "no: the 42nd");
    }

    #[test]
    fn more_than_can_be_kept_hides_the_whole_text() {
        let values: Vec<String> = (0..2_000).map(|n| format!("value-{n}")).collect();
        let secrets = Secrets::default();
        for value in &values {
            let mut found = Found::default();
            found.text(value);
            secrets.add(found);
        }
        assert_eq!(secrets.shown("value-1999 is wrong", "*").as_deref(), Some("*"));
    }
}
