//! `tasker.toml`: from its text to keys with values and lines (feature `config`).

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Number, Value as Json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Place, SettingsProblem};
use super::nearest::nearest;
use super::{OptionSpec, options};

/// The section that is ours; other tools may have theirs in the same file.
const SECTION: &str = "telemetry";
/// A larger file is none of ours.
const LARGEST: u64 = 1024 * 1024;

/// An option that the file sets.
pub(super) struct Found {
    pub(super) option: &'static OptionSpec,
    pub(super) line: usize,
    pub(super) value: Json,
}

/// Reads the file; all mistakes at once.
pub(super) fn read(path: &Path, found: &mut Vec<Found>, problems: &mut Vec<SettingsProblem>) {
    let problem = |problem: String| SettingsProblem {
        place: Place::File { path: path.to_owned(), line: 0 },
        key: String::new(),
        problem,
        nearest: None,
    };
    let text = match std::fs::metadata(path) {
        Ok(data) if data.len() > LARGEST => Err(format!("is larger than {LARGEST} bytes")),
        Ok(data) if !data.is_file() => Err("is no file".to_owned()),
        Ok(_) => std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}")),
        Err(error) => Err(format!("cannot be read: {error}")),
    };
    match text {
        Ok(text) => read_text(path, &text, found, problems),
        Err(what) => problems.push(problem(what)),
    }
}

/// The same of its text.
pub(super) fn read_text(path: &Path, text: &str, found: &mut Vec<Found>, problems: &mut Vec<SettingsProblem>) {
    let mut reader = Reader { path, text, found, problems };
    match DeTable::parse(text) {
        Ok(document) => reader.document(document.get_ref()),
        Err(error) => {
            // Not the error's own text: it shows the line, which may hold a secret.
            let what = format!("is no TOML: {}", error.message().lines().next().unwrap_or("it cannot be read"));
            reader.problem("", error.span().unwrap_or(0..0), what, None);
        }
    }
}

struct Reader<'r> {
    path: &'r Path,
    text: &'r str,
    found: &'r mut Vec<Found>,
    problems: &'r mut Vec<SettingsProblem>,
}

impl Reader<'_> {
    fn document(&mut self, document: &DeTable<'_>) {
        for (key, value) in document {
            if key.get_ref() == SECTION {
                match value.get_ref() {
                    DeValue::Table(table) => self.table("", table),
                    _ => self.problem(SECTION, key.span(), "must be a section: [telemetry]".to_owned(), None),
                }
            } else if strsim::damerau_levenshtein(key.get_ref(), SECTION) <= 2 {
                let name = key.get_ref().to_string();
                self.problem(&name, key.span(), "is no section that is known here".to_owned(), Some(SECTION));
            } else if option(key.get_ref()).is_some() {
                let name = key.get_ref().to_string();
                self.problem(&name, key.span(), "stands outside of the section [telemetry]".to_owned(), None);
            }
        }
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            if let Some(option) = option(&name) {
                let line = self.line(key.span());
                match json(value) {
                    Ok(value) => self.found.push(Found { option, line, value }),
                    Err(what) => self.problem(&name, key.span(), what, None),
                }
                continue;
            }
            let section = format!("{name}.");
            let is_section = options().iter().any(|option| option.key.starts_with(&section));
            match value.get_ref() {
                DeValue::Table(table) if is_section => self.table(&section, table),
                _ if is_section => {
                    self.problem(&name, key.span(), format!("must be a section: [telemetry.{name}]"), None);
                }
                _ => {
                    let near = nearest(&name, options().iter().map(|option| option.key));
                    self.problem(&name, key.span(), "is no option".to_owned(), near);
                }
            }
        }
    }

    fn problem(&mut self, key: &str, at: Range<usize>, problem: String, nearest: Option<&str>) {
        self.problems.push(SettingsProblem {
            place: Place::File { path: self.path.to_owned(), line: self.line(at) },
            key: key.to_owned(),
            problem,
            nearest: nearest.map(str::to_owned),
        });
    }

    fn line(&self, at: Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..at.start).unwrap_or_default();
        before.split(|byte| *byte == b'\n').count()
    }
}

fn option(key: &str) -> Option<&'static OptionSpec> {
    options().iter().find(|option| option.key == key)
}

/// The value without its places. Whether it fits is the kind's business.
fn json(value: &Spanned<DeValue<'_>>) -> Result<Json, String> {
    Ok(match value.get_ref() {
        DeValue::String(text) => Json::String(text.to_string()),
        DeValue::Boolean(flag) => Json::Bool(*flag),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
            Json::Number(parsed.map_err(|_| "is a number too large".to_owned())?.into())
        }
        DeValue::Float(number) => {
            let parsed: f64 = number.as_str().replace('_', "").parse().unwrap_or(f64::NAN);
            Json::Number(Number::from_f64(parsed).ok_or_else(|| "is no finite number".to_owned())?)
        }
        DeValue::Datetime(date) => {
            let mut text = String::new();
            let _ = write!(text, "{date}");
            Json::String(text)
        }
        DeValue::Array(list) => Json::Array(list.iter().map(json).collect::<Result<_, _>>()?),
        DeValue::Table(table) => {
            let mut fields = Map::new();
            for (key, value) in table {
                fields.insert(key.get_ref().to_string(), json(value)?);
            }
            Json::Object(fields)
        }
    })
}

/// The value of a key in the section, for tests.
#[cfg(test)]
pub(super) fn json_at(text: &str, key: &str) -> Option<Json> {
    let document = DeTable::parse(text).ok()?;
    let section = document.get_ref().get(SECTION)?.get_ref().as_table()?;
    section.get(key).and_then(|value| json(value).ok())
}
