//! What a program that is started here would be set to, and by whom: the places that the other checks look at.

use tasker_telemetry::Telemetry;

use super::export::Target;
use super::finding::Finding;
use crate::args::DoctorArgs;

/// The services to look at.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) targets: Vec<Target>,
    pub(super) statsd: Option<String>,
    pub(super) pushgateway: Option<String>,
    pub(super) store: Option<String>,
}

/// The plan, and what is wrong with the settings themselves. What is named on the command line goes before them.
pub(super) fn read(args: &DoctorArgs) -> (Plan, Vec<Finding>) {
    let mut plan = Plan {
        statsd: args.statsd.clone(),
        pushgateway: args.pushgateway.clone(),
        store: args.store.clone(),
        ..Plan::default()
    };
    let mut findings = Vec::new();
    if let Err(error) = Telemetry::from_env() {
        findings.push(Finding::broken("settings", error.to_string(), "correct the variable"));
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let named = |url: &str, grpc| Target { url: url.to_owned(), grpc, source: "named here".to_owned(), named: true };
    plan.targets.extend(args.otlp.iter().map(|url| named(url, false)));
    plan.targets.extend(args.otlp_grpc.iter().map(|url| named(url, true)));
    let exporters = variable("OTEL_TRACES_EXPORTER").unwrap_or_else(|| "otlp".to_owned());
    if plan.targets.is_empty() && exporters.split(',').any(|exporter| exporter.trim() == "otlp") {
        let protocol =
            ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"].into_iter().find_map(variable);
        let grpc = protocol.is_some_and(|protocol| protocol == "grpc");
        let default = if grpc { "http://localhost:4317" } else { "http://localhost:4318" };
        let said = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
            .into_iter()
            .find_map(|name| variable(name).map(|url| (url, name.to_owned())));
        let (url, source) = said.unwrap_or_else(|| (default.to_owned(), "default".to_owned()));
        plan.targets.push(Target { url, grpc, source, named: false });
    }
    if findings.is_empty() {
        findings.push(Finding::good("settings", "the environment makes sense"));
    }
    (plan, findings)
}
