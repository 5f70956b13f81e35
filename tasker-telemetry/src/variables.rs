//! The standard environment variables of OpenTelemetry (`OTEL_*`): read once when a telemetry is built, checked, and never
//! written. A value that cannot be is an error that names the variable.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{Display, Write as _};
use std::str::FromStr;
use std::time::Duration;

/// Where variables are looked up.
#[derive(Debug, Clone, Default)]
pub(crate) enum Variables {
    /// The process's environment.
    #[default]
    Process,
    /// These, for programs and tests that want others.
    Given(HashMap<String, String>),
    /// The first, and the others where they say nothing.
    Above(Box<Self>, Box<Self>),
}

/// A variable whose value cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}={value}`: {problem}")]
pub struct InvalidVariable {
    name: String,
    value: String,
    problem: String,
}

impl InvalidVariable {
    /// The variable's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is wrong with its value, without the value.
    pub(crate) fn problem(&self) -> &str {
        &self.problem
    }

    pub(crate) fn new(name: &str, value: &str, problem: impl Into<String>) -> Self {
        // Headers hold credentials.
        let value = if name.ends_with("HEADERS") { "[FILTERED]".to_owned() } else { value.chars().take(200).collect() };
        Self { name: name.to_owned(), value, problem: problem.into() }
    }
}

impl Variables {
    /// The value of a variable; an empty one is as good as none, as the specification has it.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = match self {
            Self::Process => std::env::var(name).ok(),
            Self::Given(values) => values.get(name).cloned(),
            Self::Above(first, below) => first.get(name).or_else(|| below.get(name)),
        };
        value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// These, and the others where they say nothing.
    pub(crate) fn above(self, below: Self) -> Self {
        Self::Above(Box::new(self), Box::new(below))
    }

    /// Whether the process's environment is looked at.
    #[cfg_attr(not(feature = "config"), allow(dead_code, reason = "only files ask"))]
    pub(crate) const fn are_the_process(&self) -> bool {
        matches!(self, Self::Process)
    }

    /// All whose names begin so, by name; `None` for a value that is not UTF-8.
    pub(crate) fn starting_with(&self, prefix: &str) -> BTreeMap<String, Option<String>> {
        match self {
            Self::Process => std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())))
                .filter(|(name, _)| name.starts_with(prefix))
                .collect(),
            Self::Given(values) => values
                .iter()
                .filter(|(name, _)| name.starts_with(prefix))
                .map(|(name, value)| (name.clone(), Some(value.clone())))
                .collect(),
            Self::Above(first, below) => {
                let mut all = below.starting_with(prefix);
                all.extend(first.starting_with(prefix));
                all
            }
        }
    }

    /// The first that is set of those variables, with its name.
    pub(crate) fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, String)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    /// The value as a `T`.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, InvalidVariable> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|error: T::Err| InvalidVariable::new(name, &value, error.to_string()))
    }

    /// A duration in milliseconds.
    pub(crate) fn millis(&self, names: &[&str]) -> Result<Option<Duration>, InvalidVariable> {
        let Some((name, value)) = self.first(names) else { return Ok(None) };
        let millis = value.parse().map_err(|_| InvalidVariable::new(name, &value, "not a number of milliseconds"))?;
        Ok(Some(Duration::from_millis(millis)))
    }

    /// A number that must be at least 1.
    pub(crate) fn positive(&self, name: &str) -> Result<Option<usize>, InvalidVariable> {
        match self.parse::<usize>(name)? {
            Some(0) => Err(InvalidVariable::new(name, "0", "must be at least 1")),
            number => Ok(number),
        }
    }

    /// `true` or `false`; anything else is `false`, as the specification has it for booleans.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A list `key=value,key2=value2` whose values are percent-encoded.
    pub(crate) fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, InvalidVariable> {
        let Some(text) = self.get(name) else { return Ok(Vec::new()) };
        pairs(&text).map_err(|problem| InvalidVariable::new(name, &text, problem))
    }
}

/// A list `key=value,key2=value2` whose values are percent-encoded.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut pairs = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let Some((key, value)) = entry.split_once('=').filter(|(key, _)| !key.trim().is_empty()) else {
            return Err("not a list of `key=value`, separated by commas");
        };
        let value = percent_decoded(value.trim()).ok_or("a value is not percent-encoded UTF-8")?;
        pairs.push((key.trim().to_owned(), value));
    }
    Ok(pairs)
}

/// The text behind percent-encoding; a `%` that begins none stands for itself.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        let decoded = hex.filter(|_| byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(decoded.unwrap_or(byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).ok()
}

/// The text with everything percent-encoded that a header or a list of pairs may not hold.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b'!'..=b'~') && !matches!(byte, b'%' | b',' | b';' | b'=' | b'"' | b'\\') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Variables {
        Variables::Given(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn lists_are_percent_decoded() {
        let variables = given(&[("H", "a=1, authorization=Bearer%20x=y ,u=%C3%A4,p=100%")]);
        let pairs = [("a", "1"), ("authorization", "Bearer x=y"), ("u", "ä"), ("p", "100%")];
        assert_eq!(variables.pairs("H").unwrap(), pairs.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert!(given(&[("H", "novalue")]).pairs("H").is_err());
        assert!(given(&[("H", "a=%FF")]).pairs("H").is_err());
    }

    #[test]
    fn mistakes_name_the_variable_and_never_a_credential() {
        let error = given(&[("OTEL_BSP_SCHEDULE_DELAY", "5s")]).millis(&["OTEL_BSP_SCHEDULE_DELAY"]).unwrap_err();
        assert_eq!(error.to_string(), "`OTEL_BSP_SCHEDULE_DELAY=5s`: not a number of milliseconds");
        let error = given(&[("X_HEADERS", "s3cret")]).pairs("X_HEADERS").unwrap_err();
        assert!(!error.to_string().contains("s3cret"));
        assert!(given(&[("N", "0")]).positive("N").is_err());
    }

    #[test]
    fn empty_is_as_good_as_none() {
        assert_eq!(given(&[("A", "  "), ("B", "x")]).first(&["A", "B"]), Some(("B", "x".to_owned())));
        assert!(given(&[("F", "TRUE")]).flag("F") && !given(&[("F", "1")]).flag("F"));
    }

    #[test]
    fn encoding_and_decoding_agree() {
        for text in ["", "plain", "a=b,c;d %41 ä\n\"\\"] {
            assert_eq!(percent_decoded(&percent_encoded(text)).as_deref(), Some(text));
        }
    }
}
