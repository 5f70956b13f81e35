//! What is in force, and where it came from.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Serialize, Serializer};

use super::layers::Sources;
use super::spec::OptionSpec;
use super::value::Value;
use crate::credentials;
use crate::filter::Filter;
use crate::variables::Variables;

/// Who said what an option is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Nobody: it is the default.
    Default,
    /// A file, in that line.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A method of the [`Builder`](crate::Builder).
    Code,
    /// [`Telemetry::change`](crate::Telemetry::change).
    Changed,
}

impl Source {
    pub(super) fn is_variable(&self, name: &str) -> bool {
        matches!(self, Self::Variable(other) if other == name)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Code => f.write_str("code"),
            Self::Changed => f.write_str("changed at run time"),
        }
    }
}

impl Serialize for Source {
    /// As it is displayed.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An option and what holds for it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(super) option: &'static OptionSpec,
    /// `None`: the default.
    pub(super) said: Option<(Value, Source)>,
}

impl Entry {
    pub(super) const fn new(option: &'static OptionSpec, said: Option<(Value, Source)>) -> Self {
        Self { option, said }
    }

    pub(super) const fn key(&self) -> &'static str {
        self.option.key
    }

    pub(super) fn hold(&mut self, value: Value, source: Source) {
        self.said = Some((value, source));
    }

    pub(super) fn value(&self) -> Option<Value> {
        self.said.as_ref().map_or_else(|| self.option.default_value(), |(value, _)| Some(value.clone()))
    }

    pub(super) fn source(&self) -> Source {
        self.said.as_ref().map_or(Source::Default, |(_, source)| source.clone())
    }
}

/// What a telemetry keeps to tell and to reload.
#[derive(Debug)]
pub(crate) struct InForce {
    entries: Mutex<Vec<Entry>>,
    pub(super) sources: Sources,
    pub(super) variables: Variables,
    pub(super) obeys_standard: bool,
}

impl InForce {
    pub(crate) const fn new(entries: Vec<Entry>, sources: Sources, variables: Variables, obeys_standard: bool) -> Self {
        Self { entries: Mutex::new(entries), sources, variables, obeys_standard }
    }

    /// Code said it, through an object of its own.
    pub(crate) fn said_by_code(&self, key: &str, value: Value) {
        let mut entries = self.lock();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.option.key == key) {
            entry.said = Some((value, Source::Code));
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything, with what may not be shown masked.
    pub(crate) fn view(&self, filter: &Filter) -> Settings {
        let setting = |entry: &Entry| Setting {
            key: entry.option.key,
            value: entry.value().map_or_else(|| entry.option.default.to_owned(), |value| shown(entry, value, filter)),
            source: entry.source(),
            unit: entry.option.unit,
            reloadable: entry.option.is_reloadable(),
        };
        Settings { settings: self.lock().iter().map(setting).collect() }
    }
}

/// The value as it may be shown: secrets masked, also those that stand in addresses and under names that the filter masks.
fn shown(entry: &Entry, value: Value, filter: &Filter) -> String {
    let secret = entry.option.secret;
    let open = |text: &str| {
        let text = credentials::without(text, filter.mask());
        filter.text(&text).into_owned()
    };
    let value = match value {
        Value::Text(text) if secret && !text.is_empty() => Value::Text(filter.mask().to_owned()),
        Value::Text(text) => Value::Text(open(&text)),
        Value::Pairs(pairs) => {
            let pair = |(name, value): (String, String)| {
                let value = if secret || filter.masks(&name) { filter.mask().to_owned() } else { open(&value) };
                (name, value)
            };
            Value::Pairs(pairs.into_iter().map(pair).collect())
        }
        // The rules of the filter may be shown; what else is listed is names.
        other => other,
    };
    value.to_string()
}

/// What is in force for one option.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Setting {
    /// Its key: `service_name`, `otlp.endpoint`.
    pub key: &'static str,
    /// Its value, as it is written in `tasker.toml`; secrets are masked.
    pub value: String,
    /// Who said so.
    pub source: Source,
    /// What its numbers count; empty where there is nothing to say.
    pub unit: &'static str,
    /// Whether it can change while the telemetry runs.
    pub reloadable: bool,
}

/// What is in force: every option with its value and source. [`Display`](fmt::Display) writes it as a table.
///
/// ```
/// use tasker_telemetry::Telemetry;
///
/// let telemetry = Telemetry::builder().auto_subscribers(false).service_name("shop").build()?;
/// println!("{}", telemetry.settings());
/// assert_eq!(telemetry.settings().get("service_name").expect("an option").value, "\"shop\"");
/// # Ok::<(), tasker_telemetry::BuildError>(())
/// ```
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    settings: Vec<Setting>,
}

impl Settings {
    /// The option of that key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// All of them, in the order of [`options`](super::options).
    pub fn iter(&self) -> std::slice::Iter<'_, Setting> {
        self.settings.iter()
    }
}

impl<'s> IntoIterator for &'s Settings {
    type Item = &'s Setting;
    type IntoIter = std::slice::Iter<'s, Setting>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest =
            |text: fn(&Setting) -> &str| self.settings.iter().map(|setting| text(setting).chars().count()).max();
        let key = widest(|setting| setting.key).unwrap_or(0);
        let value = widest(|setting| &setting.value).unwrap_or(0).min(40);
        for setting in self {
            writeln!(f, "{:key$}  {:value$}  {}", setting.key, setting.value, setting.source)?;
        }
        Ok(())
    }
}
