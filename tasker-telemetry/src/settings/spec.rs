//! One option: all that parsing, the page, the template, the view and reloading have to know of it.

use std::time::Duration;

use super::value::{Kind, Value};
use crate::filter::FilterRule;
use crate::logs::LogLevel;
use crate::metrics::Format;
#[cfg(feature = "_store")]
use crate::store::Durability;
use crate::telemetry::{Builder, Core};
use crate::trace::TraceParenting;
use crate::variables::{InvalidVariable, Variables};

/// One option, as [`options`](super::options) lists them.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Its key in the section `[telemetry]` of `tasker.toml`: `service_name`, `otlp.traces.endpoint`.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What its numbers count; empty where there is nothing to say.
    pub unit: &'static str,
    /// What holds when nobody says anything, as it is written in `tasker.toml`.
    pub default: &'static str,
    /// A value other than the default, as it is written in `tasker.toml`.
    pub example: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Whether its value is shown nowhere.
    pub secret: bool,
    /// The cargo features of which it needs one; empty where it needs none.
    pub features: &'static [&'static str],
    pub(super) is_in_build: bool,
    pub(super) standard: Standard,
    pub(super) field: Option<Field>,
    pub(super) check: Option<Check>,
    pub(super) change: Change,
}

/// Where an option stands in the builder. One without goes by its standard variable to whoever reads that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// `None`: nobody has said anything yet.
    pub(super) get: fn(&Builder) -> Option<Value>,
    pub(super) set: fn(&mut Builder, &Value),
}

/// What is wrong with a value of the right kind.
pub(super) type Check = fn(&Value) -> Result<(), String>;

/// How a value is read from the environment, with the name of the variable that said it.
pub(super) type Read = fn(&Variables) -> Result<Option<(&'static str, Value)>, InvalidVariable>;

/// OpenTelemetry's variables for an option, and how they say it. The first of several that is set counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Standard {
    None,
    Text(&'static str),
    Millis(&'static str),
    Count(&'static str),
    List(&'static str),
    Pairs(&'static str),
    /// In a way of its own.
    Read(&'static [&'static str], Read),
}

/// Whether an option can change while the telemetry runs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// No, and why.
    Fixed(&'static str),
    /// Yes; an error says why not that value.
    Live(fn(&Core, &Value) -> Result<(), String>),
}

const BUILT: &str = "cannot change while the telemetry runs: it decides what is built at the start";

impl OptionSpec {
    pub(super) const fn new(
        key: &'static str,
        kind: Kind,
        default: &'static str,
        example: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            key,
            kind,
            unit: match kind {
                Kind::Time => "seconds",
                _ => "",
            },
            default,
            example,
            description,
            secret: false,
            features: &[],
            is_in_build: true,
            standard: Standard::None,
            field: None,
            check: None,
            change: Change::Fixed(BUILT),
        }
    }

    pub(super) const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(super) const fn standard(mut self, standard: Standard) -> Self {
        self.standard = standard;
        self
    }

    pub(super) const fn field(mut self, field: Field) -> Self {
        self.field = Some(field);
        self
    }

    pub(super) const fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    pub(super) const fn live(mut self, change: fn(&Core, &Value) -> Result<(), String>) -> Self {
        self.change = Change::Live(change);
        self
    }

    pub(super) const fn features(mut self, names: &'static [&'static str], is_in_build: bool) -> Self {
        self.features = names;
        self.is_in_build = is_in_build;
        self
    }

    /// The variable of ours: `TASKER_TELEMETRY__OTLP__TRACES__ENDPOINT`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}", super::PREFIX, self.key.to_ascii_uppercase().replace('.', "__"))
    }

    /// OpenTelemetry's variables that say the same, and are stronger.
    #[must_use]
    pub fn standard_variables(&self) -> Vec<&'static str> {
        match self.standard {
            Standard::None => Vec::new(),
            Standard::Text(name)
            | Standard::Millis(name)
            | Standard::Count(name)
            | Standard::List(name)
            | Standard::Pairs(name) => vec![name],
            Standard::Read(names, _) => names.to_vec(),
        }
    }

    /// Whether it can change while the telemetry runs ([`Telemetry::reload`](crate::Telemetry::reload)).
    #[must_use]
    pub const fn is_reloadable(&self) -> bool {
        matches!(self.change, Change::Live(_))
    }

    /// The default as a value.
    pub(super) fn default_value(&self) -> Option<Value> {
        self.kind.read_text(self.default.trim_matches('"')).ok()
    }

    /// `a`, or `a` or `b`; empty where it needs none.
    pub(super) fn one_of_its_features(&self) -> String {
        self.features.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
    }

    /// What is wrong with a value of the right kind.
    pub(super) fn refuse(&self, value: &Value) -> Result<(), String> {
        if !self.is_in_build {
            return Err(format!("needs the feature {} of tasker-telemetry", self.one_of_its_features()));
        }
        self.check.map_or(Ok(()), |check| check(value))
    }
}

impl Standard {
    /// What the environment says, and which variable.
    pub(super) fn read(&self, variables: &Variables) -> Result<Option<(&'static str, Value)>, InvalidVariable> {
        let found = match *self {
            Self::None => None,
            Self::Text(name) => variables.get(name).map(|text| (name, Value::Text(text))),
            Self::Millis(name) => variables.millis(&[name])?.map(|time| (name, Value::Time(time))),
            Self::Count(name) => {
                let count = variables.positive(name)?.and_then(|count| u64::try_from(count).ok());
                count.map(|count| (name, Value::Count(count)))
            }
            Self::List(name) => variables.get(name).map(|text| {
                let list = text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned);
                (name, Value::List(list.collect()))
            }),
            Self::Pairs(name) => match variables.pairs(name)? {
                pairs if pairs.is_empty() => None,
                pairs => Some((name, Value::Pairs(pairs))),
            },
            Self::Read(_, read) => read(variables)?,
        };
        Ok(found)
    }

    /// The variable and its text that say that value.
    pub(super) fn written(&self, value: &Value) -> Option<(&'static str, String)> {
        let name = match *self {
            Self::None => return None,
            Self::Text(name) | Self::Millis(name) | Self::Count(name) | Self::List(name) | Self::Pairs(name) => name,
            Self::Read(names, _) => *names.first()?,
        };
        let text = match value {
            Value::Flag(flag) => flag.to_string(),
            Value::Text(text) => text.clone(),
            Value::Count(count) => count.to_string(),
            Value::Share(share) => share.to_string(),
            Value::Time(time) => time.as_millis().to_string(),
            Value::List(list) => list.join(","),
            Value::Pairs(pairs) => {
                let pair =
                    |(name, value): &(String, String)| format!("{name}={}", crate::variables::percent_encoded(value));
                pairs.iter().map(pair).collect::<Vec<_>>().join(",")
            }
        };
        Some((name, text))
    }
}

/// What stands in a field of the builder, as the value of an option.
pub(super) trait InBuilder: Sized {
    /// `None` where the value is of another kind, which reading has ruled out.
    fn from_value(value: &Value) -> Option<Self>;
    fn to_value(&self) -> Value;
}

macro_rules! in_builder {
    ($type:ty, $variant:ident) => {
        impl InBuilder for $type {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some(value.clone()),
                    _ => None,
                }
            }

            fn to_value(&self) -> Value {
                Value::$variant(self.clone())
            }
        }
    };
}
in_builder!(bool, Flag);
in_builder!(String, Text);
in_builder!(f64, Share);
in_builder!(Duration, Time);
in_builder!(Vec<String>, List);
in_builder!(Vec<(String, String)>, Pairs);

impl InBuilder for usize {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Count(count) => Some(Self::try_from(*count).unwrap_or(Self::MAX)),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::Count(u64::try_from(*self).unwrap_or(u64::MAX))
    }
}

impl InBuilder for u32 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Count(count) => Some(Self::try_from(*count).unwrap_or(Self::MAX)),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::Count(u64::from(*self))
    }
}

impl InBuilder for Vec<FilterRule> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::List(rules) => Some(rules.iter().map(FilterRule::from).collect()),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::List(self.iter().map(FilterRule::written).collect())
    }
}

impl InBuilder for Format {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(name) => name.parse().ok(),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::Text(self.name().to_owned())
    }
}

impl InBuilder for LogLevel {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(name) => Self::named(name),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::Text(self.name().to_owned())
    }
}

#[cfg(feature = "_store")]
impl InBuilder for Durability {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(name) => Self::named(name),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::Text(self.name().to_owned())
    }
}

impl InBuilder for TraceParenting {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(name) => Self::named(name),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::Text(self.name().to_owned())
    }
}
