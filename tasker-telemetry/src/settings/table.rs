//! The table of all options. A new one is one entry here: parsing, the page, the template, the view and the tests follow.

mod logs;
mod metrics;
mod otlp;
mod store;
mod traces;

use std::sync::LazyLock;

use super::spec::{Field, InBuilder, OptionSpec, Standard};
use super::standard;
use super::value::{Kind, Value};
use crate::filter::{Filter, FilterRule};

/// The place of an option in the builder: an `Option` of a type that is [`InBuilder`].
macro_rules! field {
    ($($place:ident).+) => {
        Field {
            get: |builder| builder.$($place).+.as_ref().map(InBuilder::to_value),
            set: |builder, value| builder.$($place).+ = InBuilder::from_value(value),
        }
    };
}
use field;

/// All options, by subject.
pub(super) static OPTIONS: LazyLock<Vec<OptionSpec>> = LazyLock::new(|| {
    [GENERAL, logs::OPTIONS, traces::OPTIONS, otlp::OPTIONS, metrics::OPTIONS, store::OPTIONS].concat()
});

/// The service, the filter, events.
const GENERAL: &[OptionSpec] = &[
    OptionSpec::new("enabled", Kind::Flag, "true", "false", "Off, everything costs next to nothing and does nothing.")
        .standard(Standard::Read(&["OTEL_SDK_DISABLED"], standard::enabled))
        .field(field!(enabled)),
    OptionSpec::new("service_name", Kind::Text, "\"tasker\"", "\"shop\"", "The name of the service.")
        .standard(Standard::Read(&["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"], standard::service_name))
        .field(field!(service_name)),
    OptionSpec::new("service_version", Kind::Text, "\"\"", "\"1.4.0\"", "The version of the service; none when empty.")
        .standard(Standard::Read(&["OTEL_RESOURCE_ATTRIBUTES"], standard::service_version))
        .field(field!(service_version)),
    OptionSpec::new(
        "resource_attributes",
        Kind::Pairs,
        "{}",
        "{ \"deployment.environment.name\" = \"production\" }",
        "What tells this service, host or deployment from others.",
    )
    .standard(Standard::Pairs("OTEL_RESOURCE_ATTRIBUTES")),
    // What is masked.
    OptionSpec::new(
        "filter_parameters",
        Kind::List,
        r#"["passw", "email", "secret", "token", "_key", "crypt", "salt", "certificate", "otp", "ssn"]"#,
        r#"["passw", "email", "secret", "token", "_key", "crypt", "salt", "certificate", "otp", "ssn", "credit_card.number", "/^pin$/i"]"#,
        "The keys whose values are masked: names (a key that contains one of these, in any case), dotted paths, and regular expressions between slashes.",
    )
    .field(field!(filter_parameters))
    .check(|value| Filter::new(&rules(value), &[], "").map(drop).map_err(|bad| bad.to_string()))
    .live(|core, value| core.filters().grow_keys(&rules(value))),
    OptionSpec::new(
        "filter_values",
        Kind::List,
        "[]",
        r#"["\\b\\d{4}(?:[ -]?\\d{4}){3}\\b"]"#,
        "Regular expressions for what is masked wherever it stands. Unlike names, these cost time for every text.",
    )
    .field(field!(filter_values))
    .check(|value| Filter::new(&[], &rules(value), "").map(drop).map_err(|bad| bad.to_string()))
    .live(|core, value| core.filters().grow_values(&rules(value))),
    OptionSpec::new(
        "filter_mask",
        Kind::Text,
        "\"[FILTERED]\"",
        "\"***\"",
        "What stands in the place of a masked value.",
    )
    .field(field!(filter_mask)),
    // Events.
    OptionSpec::new(
        "auto_subscribers",
        Kind::Flag,
        "true",
        "false",
        "Whether the subscribers that register themselves take part.",
    )
    .field(field!(auto_subscribers)),
    OptionSpec::new(
        "strict_catalog",
        Kind::Flag,
        "false",
        "true",
        "Whether mistakes in the catalog are an error; otherwise they are logged and stand in `health()`.",
    )
    .field(field!(strict_catalog)),
    OptionSpec::new(
        "step_processing",
        Kind::Flag,
        "false",
        "true",
        "Whether each attempt also tells its resources, as `observability.step.processing`.",
    )
    .field(field!(step_processing)),
    OptionSpec::new(
        "queue_capacity",
        Kind::Count(1),
        "200_000",
        "50_000",
        "How many events may wait between the publishing threads and the router; what is over is dropped and counted.",
    )
    .unit("events")
    .field(field!(queue_capacity)),
    OptionSpec::new(
        "subscriber_capacity",
        Kind::Count(1),
        "400_000",
        "100_000",
        "How many events may wait for one subscriber; what is over is dropped for that one, and counted.",
    )
    .unit("events")
    .field(field!(subscriber_capacity)),
    OptionSpec::new(
        "handler_timeout",
        Kind::Time,
        "\"30s\"",
        "\"5s\"",
        "How long one async handler may take before it is dropped and counted as failed.",
    )
    .field(field!(handler_timeout)),
    OptionSpec::new(
        "shutdown_timeout",
        Kind::Time,
        "\"5s\"",
        "\"10s\"",
        "How long `shutdown`, `flush` and the drop of a telemetry may take.",
    )
    .field(field!(shutdown_timeout)),
];

fn rules(value: &Value) -> Vec<FilterRule> {
    InBuilder::from_value(value).unwrap_or_default()
}

/// Kept in sight of the table: what every option must say of itself.
#[cfg(test)]
mod tests {
    use super::super::spec::Change;
    use super::*;

    #[test]
    fn every_option_tells_all_of_itself() {
        let mut keys: Vec<_> = OPTIONS.iter().map(|option| option.key).collect();
        keys.sort_unstable();
        let all = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), all, "two options of one key");
        for option in OPTIONS.iter() {
            let OptionSpec { key, .. } = option;
            assert!(
                option.description.ends_with('.') && option.description.len() > 20,
                "{key}: {}",
                option.description
            );
            assert!(
                option.default_value().is_some_and(|value| value.to_string() == option.default),
                "{key}: the default is no value"
            );
            assert!(option.field.is_some() || !option.standard_variables().is_empty(), "{key} goes nowhere");
            if let Change::Fixed(why) = option.change {
                assert!(why.len() > 20, "{key} says not why it cannot change");
            }
        }
    }
}
