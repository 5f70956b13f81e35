//! A rule of the filter as a user writes it, and what it means.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

/// A rule of the filter: a name, a dotted path, or a regular expression.
///
/// | written | masks |
/// | --- | --- |
/// | `"token"` | every key that contains it, in any case |
/// | `"credit_card.number"` | every key whose path from the payload's root, in dots, contains it, in any case; lists do not count |
/// | `"/^pin$/i"` | every key that the expression matches; after the second `/` stand the flags `i`, `m`, `s`, `x`, `u` |
/// | `Regex` | the same, compiled by you |
///
/// A regular expression that contains an escaped dot, `\.`, is held against the path, any other against the key.
///
/// ```
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::{FilterRule, Regex};
///
/// let telemetry = Telemetry::builder()
///     .auto_subscribers(false)
///     .filter_parameters([
///         FilterRule::from("password"),
///         "credit_card.number".into(),
///         "/^pin$/i".into(),
///         Regex::new("^iban_[a-z]{2}$")?.into(),
///     ])
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FilterRule(Written);

#[derive(Debug, Clone)]
enum Written {
    Text(String),
    Regex(Regex),
}

/// What a rule means.
#[derive(Debug, Clone)]
pub(super) enum Meaning {
    /// A name or a path.
    Name(String),
    /// A regular expression, of limited size.
    Pattern(String),
    /// One that the user compiled.
    Compiled(Regex),
}

/// Why a rule cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("has the rule `{rule}`, which {problem}")]
pub(crate) struct BadRule {
    pub(crate) rule: String,
    pub(crate) problem: String,
}

/// A compiled expression takes no more memory than this: `a{1000}{1000}` is refused, not tried.
const LARGEST_PATTERN: usize = 256 * 1024;
/// The cache with which an expression is run, for each thread.
const LARGEST_CACHE: usize = 1024 * 1024;

impl FilterRule {
    /// What it means as a rule for keys; `None`: nothing.
    pub(super) fn for_keys(&self) -> Result<Option<Meaning>, BadRule> {
        match &self.0 {
            Written::Regex(regex) => Ok(Some(Meaning::Compiled(regex.clone()))),
            Written::Text(text) if text.is_empty() => Ok(None),
            Written::Text(text) => match slashed(text)? {
                Some(pattern) => Ok(Some(Meaning::Pattern(pattern))),
                None => Ok(Some(Meaning::Name(text.clone()))),
            },
        }
    }

    /// What it means as a rule for values: a text is an expression with or without slashes.
    pub(super) fn for_values(&self) -> Result<Option<Regex>, BadRule> {
        match &self.0 {
            Written::Regex(regex) => Ok(Some(regex.clone())),
            Written::Text(text) if text.is_empty() => Ok(None),
            Written::Text(text) => compile(&slashed(text)?.unwrap_or_else(|| text.clone()), text).map(Some),
        }
    }

    /// As it can be written in settings.
    pub(crate) fn written(&self) -> String {
        match &self.0 {
            Written::Text(text) => text.clone(),
            Written::Regex(regex) => format!("/{regex}/"),
        }
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        match &self.0 {
            Written::Text(text) => text,
            Written::Regex(regex) => regex.as_str(),
        }
    }
}

/// The expression between two slashes, its flags before it.
fn slashed(text: &str) -> Result<Option<String>, BadRule> {
    let Some((pattern, flags)) = text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) else {
        return Ok(None);
    };
    let bad = |problem: String| BadRule { rule: text.to_owned(), problem };
    if pattern.is_empty() {
        return Err(bad("is an empty expression, which would mask everything".to_owned()));
    }
    if let Some(flag) = flags.chars().find(|flag| !"imsxu".contains(*flag)) {
        return Err(bad(format!("has the flag `{flag}`; known are i, m, s, x, u")));
    }
    // A group, so that the flags hold for every alternative.
    Ok(Some(if flags.is_empty() { pattern.to_owned() } else { format!("(?{flags}:{pattern})") }))
}

/// Compiles an expression within the limits; `rule` is how the user wrote it.
pub(super) fn compile(pattern: &str, rule: &str) -> Result<Regex, BadRule> {
    RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).dfa_size_limit(LARGEST_CACHE).build().map_err(|error| {
        BadRule { rule: rule.to_owned(), problem: format!("is no regular expression to be used: {error}") }
    })
}

/// Whether an expression is meant for the path, not for the key.
pub(super) fn is_for_paths(pattern: &str) -> bool {
    pattern.contains(r"\.")
}

macro_rules! from_text {
    ($($from:ty),*) => { $(
        impl From<$from> for FilterRule {
            fn from(text: $from) -> Self {
                Self(Written::Text(text.into()))
            }
        }
    )* };
}
from_text!(&str, String, &String, Box<str>, Cow<'_, str>, char);

impl From<&&str> for FilterRule {
    fn from(text: &&str) -> Self {
        (*text).into()
    }
}

impl From<Regex> for FilterRule {
    fn from(regex: Regex) -> Self {
        Self(Written::Regex(regex))
    }
}

impl From<&Regex> for FilterRule {
    fn from(regex: &Regex) -> Self {
        Self(Written::Regex(regex.clone()))
    }
}

impl From<&Self> for FilterRule {
    fn from(rule: &Self) -> Self {
        rule.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_slashes_is_an_expression() {
        let pattern = |text: &str| slashed(text).unwrap();
        assert_eq!(pattern("/token/i").as_deref(), Some("(?i:token)"));
        assert_eq!(pattern("/a/b/").as_deref(), Some("a/b"));
        assert_eq!((pattern("token"), pattern("/token"), pattern("a/b/c")), (None, None, None));
        assert!(slashed("//").unwrap_err().problem.contains("mask everything"));
        assert!(slashed("/a/q").unwrap_err().problem.contains("`q`"));
    }

    #[test]
    fn an_expression_of_no_use_is_refused_and_named() {
        for bomb in ["(a{1000}){1000}", "((((((a{10}){10}){10}){10}){10}){10})", "(", "[a"] {
            let error = compile(bomb, bomb).unwrap_err();
            assert_eq!(error.rule, bomb);
        }
        assert!(compile("(a?){30}a{30}", "").is_ok());
    }
}
