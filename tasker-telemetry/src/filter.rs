//! The filter of sensitive values: which names are masked, and with what.
//!
//! Applied once, where a payload is built; nothing behind that point holds the value.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::value::Value;

/// What is masked unless the builder says otherwise: a name that contains one of these, in any case.
pub const DEFAULT_FILTER_PARAMETERS: [&str; 10] =
    ["passw", "email", "secret", "token", "_key", "crypt", "salt", "certificate", "otp", "ssn"];

/// What stands in the place of a masked value.
pub const DEFAULT_FILTER_MASK: &str = "[FILTERED]";

/// Deeper than this a payload is masked as a whole: a filter that cannot look does not let through.
const DEEPEST: usize = 64;

/// The names that are masked, and the mask.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    names: Vec<String>,
    mask: Arc<str>,
}

impl Default for Filter {
    fn default() -> Self {
        Self::new(DEFAULT_FILTER_PARAMETERS, DEFAULT_FILTER_MASK)
    }
}

impl Filter {
    pub(crate) fn new(names: impl IntoIterator<Item = impl AsRef<str>>, mask: &str) -> Self {
        let names =
            names.into_iter().map(|name| name.as_ref().to_lowercase()).filter(|name| !name.is_empty()).collect();
        Self { names, mask: mask.into() }
    }

    /// What stands in the place of a masked value.
    pub(crate) fn mask(&self) -> Arc<str> {
        Arc::clone(&self.mask)
    }

    /// Whether a field of that name is masked.
    pub(crate) fn masks(&self, name: &str) -> bool {
        if self.names.is_empty() {
            return false;
        }
        let name = name.to_lowercase();
        self.names.iter().any(|part| name.contains(part.as_str()))
    }

    /// The value of a field of that name, masked where it must be, at any depth.
    pub(crate) fn value(&self, name: &str, value: Value) -> Value {
        if self.masks(name) {
            return Value::from(self.mask.to_string());
        }
        match value {
            Value::Json(mut json) => {
                self.json(&mut json, 0);
                Value::Json(json)
            }
            plain => plain,
        }
    }

    /// Masks inside a JSON value, in place.
    pub(crate) fn json(&self, json: &mut Json, depth: usize) {
        if self.names.is_empty() {
            return;
        }
        match json {
            Json::Object(fields) if depth < DEEPEST => {
                for (name, value) in fields {
                    if self.masks(name) {
                        *value = Json::from(&*self.mask);
                    } else {
                        self.json(value, depth + 1);
                    }
                }
            }
            Json::Array(items) if depth < DEEPEST => items.iter_mut().for_each(|item| self.json(item, depth + 1)),
            Json::Object(_) | Json::Array(_) => *json = Json::from(&*self.mask),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_anywhere_in_any_case_and_depth() {
        let filter = Filter::default();
        assert!(filter.masks("userPassword") && filter.masks("API_KEY") && !filter.masks("keyboard"));
        let mut json = serde_json::json!({"a": [{"Token": {"x": 1}, "b": 2}], "email": null});
        filter.json(&mut json, 0);
        assert_eq!(json, serde_json::json!({"a": [{"Token": "[FILTERED]", "b": 2}], "email": "[FILTERED]"}));
    }

    #[test]
    fn what_is_too_deep_to_look_at_is_masked() {
        let mut json = serde_json::json!({"secret": 1});
        for _ in 0..200 {
            json = serde_json::json!([json]);
        }
        Filter::default().json(&mut json, 0);
        assert!(!json.to_string().contains("secret"));
    }

    #[test]
    fn no_names_no_change() {
        let filter = Filter::new([] as [&str; 0], "x");
        assert_eq!(filter.value("password", Value::from(1)), Value::from(1));
    }
}
