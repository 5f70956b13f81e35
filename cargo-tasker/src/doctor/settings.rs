//! What a program that is started here would be set to, and by whom: the places that the other checks look at.

use tasker_telemetry::settings::Settings;
use tasker_telemetry::{Builder, Telemetry};

use super::export::Target;
use super::finding::Finding;
use crate::args::DoctorArgs;

const AREA: &str = "settings";

/// The services to look at.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) targets: Vec<Target>,
    pub(super) statsd: Option<String>,
    pub(super) pushgateway: Option<String>,
    pub(super) store: Option<String>,
    /// Where the program would serve its health.
    pub(super) serve: Option<String>,
}

/// The plan, and what there is to say of the settings themselves. What is named on the command line goes before them.
pub(super) fn read(args: &DoctorArgs) -> (Plan, Vec<Finding>) {
    let mut plan = Plan {
        statsd: args.statsd.clone(),
        pushgateway: args.pushgateway.clone(),
        store: args.store.clone(),
        ..Plan::default()
    };
    let named = |url: &str, grpc| Target { url: url.to_owned(), grpc, source: "named here".to_owned(), named: true };
    plan.targets.extend(args.otlp.iter().map(|url| named(url, false)));
    plan.targets.extend(args.otlp_grpc.iter().map(|url| named(url, true)));
    let findings = match in_force() {
        Ok((settings, enabled)) => {
            let findings = shown(&settings, enabled);
            if enabled {
                plan.take(&settings);
            }
            findings
        }
        Err(findings) => findings,
    };
    (plan, findings)
}

impl Plan {
    /// What the settings name, where the command line names nothing.
    fn take(&mut self, settings: &Settings) {
        let text = |key: &str| text(settings, key);
        let exporters = settings.get("traces_exporter").map_or("", |setting| setting.value.as_str());
        if self.targets.is_empty() && exporters.contains("otlp") {
            let own = |key: &str| {
                said(settings, &format!("otlp.traces.{key}")).or_else(|| said(settings, &format!("otlp.{key}")))
            };
            let grpc = own("protocol").is_some_and(|(protocol, _)| protocol == "grpc");
            let default = if grpc { "http://localhost:4317" } else { "http://localhost:4318" };
            let (url, source) = own("endpoint").unwrap_or_else(|| (default.to_owned(), "default".to_owned()));
            self.targets.push(Target { url, grpc, source, named: false });
        }
        self.statsd = self.statsd.take().or_else(|| text("statsd.address"));
        self.pushgateway = self.pushgateway.take().or_else(|| text("pushgateway.url"));
        self.store = self.store.take().or_else(|| text("store.url"));
        // A free port of the system's choice can only be told by the program.
        self.serve = text("serve.address").filter(|address| !address.ends_with(":0"));
    }
}

/// The settings, and whether telemetry is on. Nothing is started that a program here may have started.
fn in_force() -> Result<(Settings, bool), Vec<Finding>> {
    let off = Telemetry::from_env().map_err(|error| {
        let problems = error.problems().iter();
        problems
            .map(|problem| {
                Finding::broken(
                    AREA,
                    problem.to_string(),
                    "correct it; `cargo tasker init` writes every key with its meaning",
                )
            })
            .collect::<Vec<_>>()
    })?;
    let broken = |error: String| vec![Finding::broken(AREA, error, "correct the setting")];
    let off =
        off.auto_subscribers(false).option("enabled", "false").build().map_err(|error| broken(error.to_string()))?;
    let exporting =
        exporting().and_then(|builder| builder.build().map_err(|error| error.to_string())).map_err(broken)?;
    let enabled = exporting.settings().get("enabled").is_none_or(|setting| setting.value == "true");
    Ok((off.settings(), enabled))
}

/// A telemetry as a program here would have it, that exports spans and nothing else.
pub(super) fn exporting() -> Result<Builder, String> {
    let builder = Telemetry::from_env().map_err(|error| error.to_string())?.auto_subscribers(false);
    let others = ["serve.address", "statsd.address", "pushgateway.url", "store.url"];
    Ok(others.into_iter().fold(builder, |builder, key| builder.option(key, "")).option("metrics_exporter", "none"))
}

/// What differs from the defaults, with who said so.
fn shown(settings: &Settings, enabled: bool) -> Vec<Finding> {
    let said = settings.iter().filter(|setting| {
        !matches!(
            setting.source,
            tasker_telemetry::settings::Source::Default | tasker_telemetry::settings::Source::Code
        )
    });
    let mut findings: Vec<_> = said
        .map(|setting| Finding::good(AREA, format!("{} = {} ({})", setting.key, setting.value, setting.source)))
        .collect();
    if !enabled {
        findings.push(Finding::warning(
            AREA,
            "telemetry is off: `enabled` is false",
            "switch it on, or expect nothing",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::good(AREA, "nobody says anything: the defaults hold"));
    }
    findings
}

/// The text of a setting that somebody has set, with who.
fn said(settings: &Settings, key: &str) -> Option<(String, String)> {
    let setting = settings.get(key)?;
    if matches!(setting.source, tasker_telemetry::settings::Source::Default) {
        return None;
    }
    text(settings, key).map(|text| (text, setting.source.to_string()))
}

/// The text of a setting; `None` when it is empty.
fn text(settings: &Settings, key: &str) -> Option<String> {
    let value: toml_edit::Value = settings.get(key)?.value.parse().ok()?;
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
