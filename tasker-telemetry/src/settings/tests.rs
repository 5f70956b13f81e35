//! That no option goes nowhere. Those with a place in the builder: `tests/tests/settings_effects.rs`.

use super::layers::{Layers, read};
use super::options;
use crate::telemetry::Telemetry;
use crate::trace::{batching, exception_signals, exporters, exports_logs, metric_exporters};
use crate::variables::Variables;

/// Everything that is decided by variables.
fn decided(variables: &Variables) -> String {
    let common = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        exporters(variables),
        exports_logs(variables),
        metric_exporters(variables),
        exception_signals(variables),
        batching(variables),
        variables.pairs("OTEL_RESOURCE_ATTRIBUTES"),
    );
    #[cfg(feature = "otlp")]
    {
        use crate::metrics::otlp::OtlpMetrics;
        use crate::otlp::{Otlp, log_target};

        let spans = Otlp::new().resolve(variables).map(|target| target.everything());
        let metrics = OtlpMetrics::new().resolve(variables).map(|target| target.everything());
        let logs = log_target(variables).map(|target| target.everything());
        format!("{common} {spans:?} {metrics:?} {logs:?}")
    }
    #[cfg(not(feature = "otlp"))]
    common
}

#[test]
fn what_goes_by_a_standard_variable_decides_something() {
    let before = decided(&Variables::Given([].into()));
    let mut tried = 0;
    for option in options().iter().filter(|option| option.field.is_none() && option.is_in_build) {
        let text = option.example.trim_matches('"').replace(" = ", ": ");
        let mut layers = Layers::default();
        match layers.read_code(&[(option.key.to_owned(), text)]) {
            Ok(()) => {}
            Err(error) if error.to_string().contains("needs the feature") => continue,
            Err(error) => panic!("{error}"),
        }
        let mut builder = Telemetry::builder();
        builder.variables = Variables::Given([].into());
        layers.apply(&mut builder);
        let after = decided(&builder.variables);
        assert_ne!(before, after, "{} makes no difference", option.key);
        // What the options' own reader makes of it is the same again.
        let (_, again) = option.standard.read(&builder.variables).unwrap().expect(option.key);
        let value = layers.of(option).map(|(value, _)| value.to_string());
        assert_eq!(value, Some(again.to_string()), "{}", option.key);
        tried += 1;
    }
    assert!(tried > if cfg!(feature = "otlp") { 20 } else { 6 }, "{tried}");
}

#[test]
fn the_defaults_of_the_table_are_those_that_hold() {
    let variables = Variables::Given([].into());
    let mut builder = Telemetry::builder();
    builder.variables = Variables::Given([].into());
    let (mut layers, mut all) = (Layers::default(), Vec::new());
    for option in options().iter().filter(|option| option.field.is_none() && option.is_in_build) {
        // Not set, and set to what the table says, is the same; what is empty cannot be said.
        let text = option.default.trim_matches('"').to_owned();
        if !text.is_empty() && text != "{}" && !option.key.starts_with("otlp.") && option.key != "traces_exporter" {
            all.push((option.key.to_owned(), text));
        }
    }
    layers.read_code(&all).unwrap();
    layers.apply(&mut builder);
    assert_eq!(decided(&variables), decided(&builder.variables));
    for option in options().iter().filter(|option| option.field.is_some()) {
        assert!(
            read(option.key, option.default.trim_matches('"'), &super::error::Place::Code).is_ok()
                || !option.is_in_build
        );
    }
}

#[cfg(feature = "_store")]
#[test]
fn the_defaults_of_the_store_are_those_of_the_table() {
    let mut builder = Telemetry::builder();
    for option in options().iter().filter(|option| option.key.starts_with("store.") && option.key != "store.url") {
        (option.field.unwrap().set)(&mut builder, &option.default_value().unwrap());
    }
    let decided = |said: crate::store::StoreOptions| format!("{:?}", said.at("sqlite://a.db".to_owned()).decided());
    assert_eq!(decided(builder.store), decided(crate::store::StoreOptions::new()));
}

/// What is said of a store that this build cannot have.
#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
#[test]
fn a_store_without_its_feature_is_an_error_that_names_it() {
    let said = |url: &str| {
        let error = Telemetry::from_variables([("TASKER_TELEMETRY__STORE__URL", url)]).map(drop).err();
        error.map(|error| error.to_string())
    };
    let names = |feature: &str| {
        Some(format!("TASKER_TELEMETRY__STORE__URL: `store.url` needs the feature {feature} of tasker-telemetry"))
    };
    let has = (cfg!(feature = "sqlite"), cfg!(feature = "postgres"), cfg!(feature = "_settings"));
    let (sqlite, postgres) = match has {
        (_, _, true) => (None, None),
        (false, false, _) => (names("`sqlite` or `postgres`"), names("`sqlite` or `postgres`")),
        (with_sqlite, with_postgres, _) => {
            let other = |feature: &str| names(feature).map(|text| text + " for that database");
            let missing = |has: bool, feature: &str| if has { None } else { other(feature) };
            (missing(with_sqlite, "`sqlite`"), missing(with_postgres, "`postgres`"))
        }
    };
    assert_eq!((said("sqlite://a.db"), said("postgres://a/b")), (sqlite, postgres));
}
