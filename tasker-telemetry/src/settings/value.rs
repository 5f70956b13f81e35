//! What an option can be set to: kinds of values, read from TOML and from the texts of variables, and written again.

use std::fmt;
use std::time::Duration;

use serde_json::Value as Json;

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of some of these words.
    Choices(&'static [&'static str]),
    /// A whole number of at least that.
    Count(u64),
    /// A number from 0 to 1.
    Share,
    /// A time: a number of seconds, or a text with a unit, `"250ms"`, `"5s"`, `"2m"`, `"24h"`.
    Time,
    /// A list of texts.
    List,
    /// Texts by name: `{ name = "value" }`.
    Pairs,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Of a [`Kind::Flag`].
    Flag(bool),
    /// Of a [`Kind::Text`] or [`Kind::Choice`].
    Text(String),
    /// Of a [`Kind::Count`].
    Count(u64),
    /// Of a [`Kind::Share`].
    Share(f64),
    /// Of a [`Kind::Time`].
    Time(Duration),
    /// Of a [`Kind::List`] or [`Kind::Choices`].
    List(Vec<String>),
    /// Of [`Kind::Pairs`].
    Pairs(Vec<(String, String)>),
}

/// A longer time is no time limit any more, and clocks cannot count it.
const LONGEST: Duration = Duration::from_hours(24 * 366 * 100);

impl Kind {
    /// What may be written, in words: `a whole number, at least 1`.
    #[must_use]
    pub fn expects(&self) -> String {
        match self {
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Choice(words) => format!("one of {}", quoted(words)),
            Self::Choices(words) => format!("a list of some of {}", quoted(words)),
            Self::Count(least) => format!("a whole number, at least {least}"),
            Self::Share => "a number from 0 to 1".to_owned(),
            Self::Time => "a time: a number of seconds, or a text like \"250ms\", \"5s\", \"2m\", \"24h\"".to_owned(),
            Self::List => "a list of texts".to_owned(),
            Self::Pairs => "texts by name: { name = \"value\" }".to_owned(),
        }
    }

    /// The type in a word or two, for tables.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Text => "text",
            Self::Choice(_) => "word",
            Self::Choices(_) => "list of words",
            Self::Count(_) => "number",
            Self::Share => "share",
            Self::Time => "time",
            Self::List => "list",
            Self::Pairs => "pairs",
        }
    }

    /// A plain value, as a file holds it.
    pub(super) fn read_json(&self, json: &Json) -> Result<Value, String> {
        let found = match (self, json) {
            (Self::Flag, Json::Bool(flag)) => Some(Value::Flag(*flag)),
            (Self::Text, Json::String(text)) => Some(Value::Text(text.clone())),
            (Self::Choice(words), Json::String(word)) => return choice(words, word).map(Value::Text),
            (Self::Choices(words), Json::Array(list)) => {
                let list = texts(list).ok_or_else(|| self.mismatch(json))?;
                let list = list.iter().map(|word| choice(words, word)).collect::<Result<_, _>>()?;
                Some(Value::List(list))
            }
            (Self::Count(least), Json::Number(number)) => match number.as_u64() {
                Some(count) if count >= *least => Some(Value::Count(count)),
                _ => return Err(format!("must be {}", self.expects())),
            },
            (Self::Share, Json::Number(number)) => return share(number.as_f64().unwrap_or(f64::NAN)),
            (Self::Time, Json::Number(number)) => return seconds(number.as_f64().unwrap_or(f64::NAN)),
            (Self::Time, Json::String(text)) => return time(text),
            (Self::List, Json::Array(list)) => texts(list).map(Value::List),
            (Self::Pairs, Json::Object(fields)) => {
                let pair = |(name, value): (&String, &Json)| Some((name.clone(), value.as_str()?.to_owned()));
                fields.iter().map(pair).collect::<Option<Vec<_>>>().map(Value::Pairs)
            }
            _ => None,
        };
        found.ok_or_else(|| self.mismatch(json))
    }

    /// The text of a variable. Lists are separated by commas, pairs are `name=value` separated by commas; what holds commas is
    /// written as JSON, `["/a{1,2}/"]`.
    pub(super) fn read_text(&self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        match self {
            Self::Flag => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(Value::Flag(true)),
                "false" | "0" | "no" | "off" => Ok(Value::Flag(false)),
                _ => Err(format!("must be {}", self.expects())),
            },
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Choice(words) => choice(words, text).map(Value::Text),
            Self::Count(least) => match text.replace('_', "").parse::<u64>() {
                Ok(count) if count >= *least => Ok(Value::Count(count)),
                _ => Err(format!("must be {}", self.expects())),
            },
            Self::Share => share(text.parse().unwrap_or(f64::NAN)),
            Self::Time => time(text),
            Self::List | Self::Choices(_) if text.starts_with('[') => self.read_as_json(text),
            Self::Pairs if text.starts_with('{') => self.read_as_json(text),
            Self::List => Ok(Value::List(split(text).map(str::to_owned).collect())),
            Self::Choices(words) => {
                let words = split(text).map(|word| choice(words, word)).collect::<Result<_, _>>()?;
                Ok(Value::List(words))
            }
            Self::Pairs => {
                let pairs = crate::variables::pairs(text).map_err(|problem| format!("is {problem}"))?;
                Ok(Value::Pairs(pairs))
            }
        }
    }

    fn read_as_json(&self, text: &str) -> Result<Value, String> {
        let json: Json = serde_json::from_str(text).map_err(|_| format!("must be {}, as JSON", self.expects()))?;
        self.read_json(&json)
    }

    /// Never the value itself, which may be a secret in the wrong place.
    pub(super) fn mismatch(&self, found: &Json) -> String {
        let found = match found {
            Json::Null => "nothing",
            Json::Bool(_) => "a flag",
            Json::Number(_) => "a number",
            Json::String(_) => "a text",
            Json::Array(_) => "a list",
            Json::Object(_) => "a table",
        };
        format!("must be {}, not {found}", self.expects())
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn texts(list: &[Json]) -> Option<Vec<String>> {
    list.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn choice(words: &[&str], word: &str) -> Result<String, String> {
    match words.iter().find(|known| known.eq_ignore_ascii_case(word)) {
        Some(known) => Ok((*known).to_owned()),
        None => match super::nearest::nearest(word, words.iter().copied()) {
            Some(near) => Err(format!("must be one of {}; did you mean `{near}`?", quoted(words))),
            None => Err(format!("must be one of {}", quoted(words))),
        },
    }
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

fn share(number: f64) -> Result<Value, String> {
    if (0.0..=1.0).contains(&number) {
        Ok(Value::Share(number))
    } else {
        Err(format!("must be {}", Kind::Share.expects()))
    }
}

fn seconds(number: f64) -> Result<Value, String> {
    match Duration::try_from_secs_f64(number) {
        Ok(time) if time <= LONGEST => Ok(Value::Time(time)),
        _ => Err(format!("must be {}, at most 100 years", Kind::Time.expects())),
    }
}

fn time(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => f64::NAN,
    };
    seconds(digits.trim().parse().unwrap_or(f64::NAN) * factor)
}

impl fmt::Display for Value {
    /// As it is written in `tasker.toml`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Text(text) => toml_text(f, text),
            Self::Count(count) => f.write_str(&grouped(*count)),
            Self::Share(share) => write!(f, "{share:?}"),
            Self::Time(time) => write!(f, "\"{}\"", Time(*time)),
            Self::List(list) => {
                f.write_str("[")?;
                for (at, item) in list.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    toml_text(f, item)?;
                }
                f.write_str("]")
            }
            Self::Pairs(pairs) => {
                f.write_str(if pairs.is_empty() { "{" } else { "{ " })?;
                for (at, (name, value)) in pairs.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    toml_text(f, name)?;
                    f.write_str(" = ")?;
                    toml_text(f, value)?;
                }
                f.write_str(if pairs.is_empty() { "}" } else { " }" })
            }
        }
    }
}

/// A basic string of TOML; an expression keeps its backslashes in a literal one.
fn toml_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if text.contains('\\') && !text.chars().any(|c| c == '\'' || c.is_control()) {
        return write!(f, "'{text}'");
    }
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

/// `200_000`
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

/// `250ms`, `5s`, `2m`, `24h`: the largest unit that leaves a whole number.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.as_millis());
        if !self.0.subsec_nanos().is_multiple_of(1_000_000) {
            write!(f, "{}s", self.0.as_secs_f64())
        } else if self.0.subsec_millis() != 0 {
            write!(f, "{millis}ms")
        } else if seconds >= 3_600 && seconds.is_multiple_of(3_600) {
            write!(f, "{}h", seconds / 3_600)
        } else if seconds >= 60 && seconds.is_multiple_of(60) {
            write!(f, "{}m", seconds / 60)
        } else {
            write!(f, "{seconds}s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_again() {
        let text = |text: &str| Value::Text(text.to_owned());
        let values = [
            (Kind::Flag, Value::Flag(true)),
            (Kind::Text, text("a \"b\" \\ \n ä")),
            (Kind::Count(0), Value::Count(1_234_567)),
            (Kind::Share, Value::Share(0.25)),
            (Kind::Time, Value::Time(Duration::from_millis(1_500))),
            (Kind::Time, Value::Time(Duration::from_hours(24))),
            (Kind::Time, Value::Time(Duration::from_micros(10))),
            (Kind::List, Value::List(vec!["/a{1,2}/".to_owned(), "b\\d".to_owned()])),
            (Kind::Pairs, Value::Pairs(vec![("x-y".to_owned(), "1, 2".to_owned())])),
        ];
        for (kind, value) in values {
            let written = value.to_string();
            #[cfg(feature = "config")]
            {
                let document = format!("[telemetry]\nx = {written}\n");
                let read = super::super::file::json_at(&document, "x").unwrap();
                assert_eq!(kind.read_json(&read).unwrap(), value, "{written}");
            }
            assert!(!written.is_empty() && !kind.expects().is_empty());
        }
    }

    #[test]
    fn variables_hold_lists_and_pairs() {
        let list = |texts: &[&str]| Value::List(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(Kind::List.read_text(" a, b ,").unwrap(), list(&["a", "b"]));
        assert_eq!(Kind::List.read_text(r#"["/a{1,2}/", "b"]"#).unwrap(), list(&["/a{1,2}/", "b"]));
        let pairs = Value::Pairs(vec![("a".to_owned(), "b c".to_owned())]);
        assert_eq!(Kind::Pairs.read_text("a=b%20c").unwrap(), pairs);
        assert_eq!(Kind::Pairs.read_text(r#"{"a": "b c"}"#).unwrap(), pairs);
        assert_eq!(Kind::Time.read_text("250ms").unwrap(), Value::Time(Duration::from_millis(250)));
        assert_eq!(Kind::Time.read_text("1.5").unwrap(), Value::Time(Duration::from_millis(1_500)));
    }

    #[test]
    fn what_cannot_be_says_what_could() {
        for (kind, text, says) in [
            (Kind::Flag, "maybe", "`true` or `false`"),
            (Kind::Count(1), "0", "at least 1"),
            (Kind::Count(1), "-3", "a whole number"),
            (Kind::Share, "1.5", "from 0 to 1"),
            (Kind::Share, "nan", "from 0 to 1"),
            (Kind::Time, "5 parsecs", "250ms"),
            (Kind::Time, "-1s", "a time"),
            (Kind::Time, "1e300h", "100 years"),
            (Kind::Choice(&["link", "child"]), "chlid", "did you mean `child`?"),
            (Kind::Pairs, "novalue", "key=value"),
            (Kind::List, "[1]", "a list of texts"),
        ] {
            let error = kind.read_text(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
