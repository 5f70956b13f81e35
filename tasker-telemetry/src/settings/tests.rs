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
