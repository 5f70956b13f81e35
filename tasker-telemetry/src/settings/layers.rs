//! The sources of settings, read into one value for each option: the strongest that says anything.

use std::collections::HashMap;
use std::path::PathBuf;

use super::error::{Place, SettingsError, SettingsProblem};
use super::nearest::nearest;
use super::spec::OptionSpec;
use super::value::Value;
use super::view::{Entry, Source};
use super::{FILE_VARIABLE, PREFIX, options};
#[cfg(feature = "_store")]
use crate::store::StoreError;
use crate::telemetry::{BuildError, Builder};
use crate::variables::{InvalidVariable, Variables};

/// Where settings are read from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// The file, whose absence is an error.
    pub(crate) file: Option<PathBuf>,
    /// Whether variables of ours are read, and the file that they name or that is there.
    pub(crate) environment: bool,
}

/// What the sources say.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    said: Vec<(&'static OptionSpec, Value, Source)>,
}

impl Sources {
    /// Whether settings come from elsewhere than from code.
    pub(crate) const fn are_read(&self) -> bool {
        self.environment || self.file.is_some()
    }

    /// Reads everything; all mistakes at once.
    pub(crate) fn read(&self, variables: &Variables, obeys_standard: bool) -> Result<Layers, SettingsError> {
        let (mut layers, mut problems) = (Layers::default(), Vec::new());
        let file = if self.environment { self.file_or_default(variables) } else { self.file.clone() };
        if let Some(path) = file {
            layers.read_file(&path, &mut problems);
        }
        if self.environment {
            layers.read_own(variables, &mut problems);
        }
        if obeys_standard || self.environment {
            layers.read_standard(variables, self.are_read(), &mut problems);
        }
        if problems.is_empty() { Ok(layers) } else { Err(SettingsError { problems }) }
    }

    /// The file that was named, else the one that stands where the program was started.
    fn file_or_default(&self, variables: &Variables) -> Option<PathBuf> {
        let named = || variables.get(FILE_VARIABLE).map(PathBuf::from);
        self.file.clone().or_else(named).or_else(|| default_file(variables))
    }
}

#[cfg(feature = "config")]
fn default_file(variables: &Variables) -> Option<PathBuf> {
    Some(PathBuf::from(super::DEFAULT_FILE)).filter(|path| variables.are_the_process() && path.is_file())
}

#[cfg(not(feature = "config"))]
const fn default_file(_: &Variables) -> Option<PathBuf> {
    None
}

impl Layers {
    #[cfg(feature = "config")]
    fn read_file(&mut self, path: &std::path::Path, problems: &mut Vec<SettingsProblem>) {
        let mut found = Vec::new();
        super::file::read(path, &mut found, problems);
        self.take_file(path, found, problems);
    }

    #[cfg(feature = "config")]
    fn take_file(
        &mut self,
        path: &std::path::Path,
        found: Vec<super::file::Found>,
        problems: &mut Vec<SettingsProblem>,
    ) {
        for super::file::Found { option, line, value } in found {
            let read = option.kind.read_json(&value);
            match read.and_then(|value| option.refuse(&value).map(|()| value)) {
                Ok(value) => self.say(option, value, Source::File { path: path.to_owned(), line }),
                Err(problem) => problems.push(SettingsProblem {
                    place: Place::File { path: path.to_owned(), line },
                    key: option.key.to_owned(),
                    problem,
                    nearest: None,
                }),
            }
        }
    }

    #[cfg(not(feature = "config"))]
    #[allow(clippy::unused_self, reason = "the feature's other half needs it")]
    fn read_file(&mut self, path: &std::path::Path, problems: &mut Vec<SettingsProblem>) {
        problems.push(SettingsProblem {
            place: Place::File { path: path.to_owned(), line: 0 },
            key: String::new(),
            problem: "files need the feature `config` of tasker-telemetry".to_owned(),
            nearest: None,
        });
    }

    fn read_own(&mut self, variables: &Variables, problems: &mut Vec<SettingsProblem>) {
        for (name, text) in variables.starting_with(PREFIX) {
            let key = name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
            let place = Place::Variable(name.clone());
            match text {
                _ if name == FILE_VARIABLE => {}
                // As good as none, as with the standard's variables.
                Some(text) if text.is_empty() => {}
                Some(text) => match read(&key, &text, &place) {
                    Ok((option, value)) => self.say(option, value, Source::Variable(name)),
                    Err(problem) => problems.push(problem),
                },
                None => {
                    problems.push(SettingsProblem { place, key, problem: "is not UTF-8".to_owned(), nearest: None });
                }
            }
        }
    }

    /// What code says by key.
    pub(super) fn read_code(&mut self, said: &[(String, String)]) -> Result<(), SettingsError> {
        let mut problems = Vec::new();
        for (key, text) in said {
            match read(key, text, &Place::Code) {
                Ok((option, value)) => self.say(option, value, Source::Code),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(SettingsError { problems }) }
    }

    /// Where nobody asked for settings to be read, variables for parts that are not in use may say what they like: whoever
    /// uses one of those reads it again.
    fn read_standard(&mut self, variables: &Variables, strict: bool, problems: &mut Vec<SettingsProblem>) {
        for option in options() {
            let mut problem = |name: &str, problem: String| {
                if strict || option.field.is_some() {
                    problems.push(SettingsProblem {
                        place: Place::Variable(name.to_owned()),
                        key: option.key.to_owned(),
                        problem,
                        nearest: None,
                    });
                }
            };
            match option.standard.read(variables) {
                Ok(None) => {}
                Ok(Some((name, value))) => match checked(option, value) {
                    Ok(value) => self.say(option, value, Source::Variable(name.to_owned())),
                    Err(what) => problem(name, what),
                },
                Err(error) => problem(error.name(), error.problem().to_owned()),
            }
        }
        // One variable may be read for two options.
        problems.dedup_by(|one, other| one.place == other.place && one.problem == other.problem);
    }

    fn say(&mut self, option: &'static OptionSpec, value: Value, source: Source) {
        self.said.retain(|(other, ..)| !std::ptr::eq(*other, option));
        self.said.push((option, value, source));
    }

    /// What they say of one option.
    pub(super) fn of(&self, option: &OptionSpec) -> Option<(&Value, &Source)> {
        let found = self.said.iter().find(|(other, ..)| std::ptr::eq(*other, option));
        found.map(|(_, value, source)| (value, source))
    }

    /// Whether anything is said of the option of that key.
    pub(crate) fn says(&self, key: &str) -> bool {
        self.said.iter().any(|(option, ..)| option.key == key)
    }

    /// Fills in what code has left open, and tells for each option what holds and why. The standard's variables stay as they
    /// are; what the other sources say of the same stands below them.
    pub(crate) fn apply(&self, builder: &mut Builder) -> Vec<Entry> {
        let (mut above, mut below) = (HashMap::new(), HashMap::new());
        let mut entries = Vec::new();
        for option in options() {
            let said = self.of(option);
            let Some(field) = option.field else {
                if let Some((value, source)) = said
                    && let Some((name, text)) = option.standard.written(value)
                {
                    let stands = if *source == Source::Code { &mut above } else { &mut below };
                    stands.insert(name.to_owned(), text);
                }
                entries.push(Entry::new(option, said.map(|(value, source)| (value.clone(), source.clone()))));
                continue;
            };
            if option.key == "enabled" && said.is_some_and(|(_, source)| source.is_variable("OTEL_SDK_DISABLED")) {
                builder.enabled = None; // a switch to be relied on, whatever code says
            }
            let by_code = (field.get)(builder).map(|value| (value, Source::Code));
            if by_code.is_none()
                && let Some((value, _)) = said
            {
                (field.set)(builder, value);
            }
            let holds = by_code.or_else(|| {
                let (value, source) = said?;
                Some(((field.get)(builder).unwrap_or_else(|| value.clone()), source.clone()))
            });
            entries.push(Entry::new(option, holds));
        }
        if !(above.is_empty() && below.is_empty()) {
            let standard = std::mem::take(&mut builder.variables);
            builder.variables = Variables::Given(above).above(standard.above(Variables::Given(below)));
        }
        entries
    }

    /// A mistake that came to light where a way out was built, told where it was made.
    pub(crate) fn blame(&self, error: BuildError) -> BuildError {
        let (key, problem) = match &error {
            BuildError::Exporter { exporter: "statsd", problem } => ("statsd.address", problem.clone()),
            BuildError::Exporter { exporter: "serve", problem } => ("serve.address", problem.clone()),
            #[cfg(feature = "_store")]
            BuildError::Store(StoreError::Address(problem)) => ("store.url", problem.clone()),
            _ => return error,
        };
        let said = self.said.iter().find(|(option, ..)| option.key == key);
        let place = match said.map(|(_, _, source)| source) {
            Some(Source::File { path, line }) => Place::File { path: path.clone(), line: *line },
            Some(Source::Variable(name)) => Place::Variable(name.clone()),
            _ => return error,
        };
        let problem = format!("cannot be used: {problem}");
        let problem = SettingsProblem { place, key: key.to_owned(), problem, nearest: None };
        BuildError::Settings(SettingsError { problems: vec![problem] })
    }

    /// What somebody read from a standard variable that another source stands for is a mistake in that source.
    pub(crate) fn explain(&self, error: &InvalidVariable) -> Option<SettingsError> {
        let names = |option: &OptionSpec| option.standard_variables().contains(&error.name());
        let (option, _, source) = self.said.iter().find(|(option, ..)| option.field.is_none() && names(option))?;
        let place = match source {
            Source::File { path, line } => Place::File { path: path.clone(), line: *line },
            Source::Variable(name) if name.starts_with(PREFIX) => Place::Variable(name.clone()),
            _ => return None,
        };
        let problem = error.problem().to_owned();
        Some(SettingsError {
            problems: vec![SettingsProblem { place, key: option.key.to_owned(), problem, nearest: None }],
        })
    }
}

/// Checks the text of a `tasker.toml` without building anything.
///
/// # Errors
/// [`SettingsError`]: all its mistakes; the file is called `tasker.toml` in them.
///
/// ```
/// let error = tasker_telemetry::settings::check("[telemetry]\nqueue_capacity = 0\n").unwrap_err();
/// assert_eq!(error.to_string(), "tasker.toml:2: `queue_capacity` must be a whole number, at least 1");
/// ```
#[cfg(feature = "config")]
pub fn check(toml: &str) -> Result<(), SettingsError> {
    let path = std::path::Path::new(super::DEFAULT_FILE);
    let (mut layers, mut found, mut problems) = (Layers::default(), Vec::new(), Vec::new());
    super::file::read_text(path, toml, &mut found, &mut problems);
    layers.take_file(path, found, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(SettingsError { problems }) }
}

/// The option of that key, and the value that a text stands for.
pub(super) fn read(key: &str, text: &str, place: &Place) -> Result<(&'static OptionSpec, Value), SettingsProblem> {
    let problem = |problem: String, nearest: Option<&str>| SettingsProblem {
        place: place.clone(),
        key: key.to_owned(),
        problem,
        nearest: nearest.map(str::to_owned),
    };
    let Some(option) = options().iter().find(|option| option.key == key) else {
        let near = nearest(key, options().iter().map(|option| option.key));
        return Err(problem("is no option".to_owned(), near));
    };
    let read = option.kind.read_text(text);
    let value = read.and_then(|value| option.refuse(&value).map(|()| value)).map_err(|what| problem(what, None))?;
    Ok((option, value))
}

/// The standard's words are checked as ours are.
fn checked(option: &OptionSpec, value: Value) -> Result<Value, String> {
    let value = match value {
        Value::Text(text) => option.kind.read_text(&text)?,
        Value::List(list) => option.kind.read_text(&list.join(","))?,
        other => other,
    };
    option.refuse(&value).map(|()| value)
}
