//! Telemetries that read their settings, and how a builder does.

#[cfg(feature = "config")]
use std::path::PathBuf;

use super::layers::{Layers, Sources};
use super::view::{Entry, Source};
use super::{SettingsError, Value};
use crate::telemetry::{BuildError, Builder, Telemetry};
use crate::trace::{SinkPlan, exporters, exports_logs, metric_exporters};
use crate::variables::Variables;

impl Telemetry {
    /// A builder that takes its settings from `tasker.toml` (the file that `TASKER_TELEMETRY__CONFIG_FILE` names, else the one
    /// where the program was started, if there is one), from the environment's `TASKER_TELEMETRY__..`, and from the standard
    /// variables of OpenTelemetry: `OTEL_SERVICE_NAME`, `OTEL_TRACES_EXPORTER` (`otlp` when nothing says otherwise),
    /// `OTEL_EXPORTER_OTLP_*`, and what else [`settings`](crate::settings) lists. Each is stronger than the one before; what is
    /// said in code is strongest.
    ///
    /// # Errors
    /// [`SettingsError`]: all mistakes, with file, line or variable, key and the nearest valid key.
    ///
    /// ```no_run
    /// use tasker_telemetry::Telemetry;
    /// let telemetry = Telemetry::from_env()?.install()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_env() -> Result<Builder, SettingsError> {
        Self::from_sources(Sources { file: None, environment: true }, Variables::Process)
    }

    /// The same with that file, which must be there.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env); also when the file cannot be read.
    ///
    /// ```no_run
    /// use tasker_telemetry::Telemetry;
    /// let telemetry = Telemetry::from_file("/etc/shop/tasker.toml")?.install()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "config")]
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Builder, SettingsError> {
        Self::from_sources(Sources { file: Some(path.into()), environment: true }, Variables::Process)
    }

    /// [`from_env`](Self::from_env) with these variables instead of the process's, and no file but the one that they name.
    ///
    /// # Errors
    /// As `from_env`.
    pub fn from_variables<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Builder, SettingsError> {
        let given = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self::from_sources(Sources { file: None, environment: true }, Variables::Given(given.collect()))
    }

    fn from_sources(sources: Sources, variables: Variables) -> Result<Builder, SettingsError> {
        let mut builder = Self::builder();
        builder.layers = Some(sources.read(&variables, true)?);
        builder.sources = sources;
        builder.variables = variables;
        builder.obeys_variables = true;
        Ok(builder)
    }
}

impl Builder {
    /// Takes settings from that file, section `[telemetry]`, where code says nothing. It must be there; it is read when the
    /// telemetry is built, and its mistakes are [`BuildError::Settings`].
    ///
    /// ```no_run
    /// use tasker_telemetry::Telemetry;
    /// let telemetry = Telemetry::builder().config_file("/etc/shop/tasker.toml").install()?;
    /// # Ok::<(), tasker_telemetry::BuildError>(())
    /// ```
    #[cfg(feature = "config")]
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.sources.file = Some(path.into());
        self.layers = None; // read again, with it
        self
    }

    /// Sets the option of that key, written as in an environment variable: for options without a method of their own, and for
    /// what a program takes from its command line. A method of its own is stronger. Mistakes are [`BuildError::Settings`].
    ///
    /// ```
    /// use tasker_telemetry::Telemetry;
    /// let telemetry = Telemetry::builder().auto_subscribers(false).option("spans.timeout", "3s").build()?;
    /// assert_eq!(telemetry.settings().get("spans.timeout").expect("an option").value, "\"3s\"");
    /// # Ok::<(), tasker_telemetry::BuildError>(())
    /// ```
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((key.into(), value.into()));
        self
    }

    /// Reads what is to be read, and fills in what code has left open.
    pub(crate) fn settle(mut self) -> Result<(Self, Layers, Vec<Entry>), BuildError> {
        let obeys = self.obeys_variables || self.has_way_by_variables();
        if !obeys {
            self.variables = Variables::Given(std::collections::HashMap::new());
        }
        let mut layers = match self.layers.take() {
            Some(layers) => layers,
            None => self.sources.read(&self.variables, obeys)?,
        };
        layers.read_code(&self.options)?;
        self.obeys_variables = obeys;
        let mut entries = layers.apply(&mut self);
        let by_code = self.exporter_names();
        let builder = self.with_named_exporters(&layers)?.with_named_pushes().map_err(|error| layers.blame(error))?;
        // Where code has set exporters up, or nobody has, the table's default is not what holds.
        if let Some(entry) = entries.iter_mut().find(|entry| entry.key() == "traces_exporter") {
            match builder.exporter_names() {
                names if !by_code.is_empty() => entry.hold(Value::List(names), Source::Code),
                names if names.is_empty() => entry.hold(Value::List(vec!["none".to_owned()]), entry.source()),
                _ => {}
            }
        }
        Ok((builder, layers, entries))
    }

    /// The exporters that the option knows.
    fn exporter_names(&self) -> Vec<String> {
        let names = self.span_sinks.iter().map(SinkPlan::name);
        names.filter(|name| matches!(*name, "otlp" | "console")).map(str::to_owned).collect()
    }

    /// Whether an exporter of code's asks for the standard variables.
    fn has_way_by_variables(&self) -> bool {
        self.log.otlp == Some(true)
            || self.span_sinks.iter().any(|sink| !matches!(sink, SinkPlan::Ready(..)))
            || self.pushes.iter().any(crate::metrics::push::PlannedPush::obeys_variables)
    }

    /// Adds the exporters that settings name, but none that code has set up itself.
    fn with_named_exporters(mut self, layers: &Layers) -> Result<Self, BuildError> {
        let reads = self.sources.are_read() || !self.options.is_empty();
        let named = reads && layers.says("traces_exporter");
        let by_default = self.sources.environment && cfg!(feature = "otlp");
        if named || by_default {
            for exporter in exporters(&self.variables)? {
                if self.span_sinks.iter().any(|sink| sink.name() == exporter) {
                    continue;
                }
                self = match exporter {
                    #[cfg(feature = "otlp")]
                    "otlp" => self.otlp(),
                    #[cfg(feature = "console")]
                    "console" => self.console(),
                    _ => self,
                };
            }
        }
        if reads && layers.says("metrics_exporter") {
            for exporter in metric_exporters(&self.variables)? {
                self = match exporter {
                    #[cfg(feature = "otlp")]
                    "otlp" if self.pushes.iter().all(|push| !push.obeys_variables()) => self.otlp_metrics(),
                    _ => self,
                };
            }
        }
        if reads && layers.says("logs_exporter") && self.log.otlp.is_none() {
            self.log.otlp = Some(exports_logs(&self.variables)?);
        }
        if self.traces.span_metrics == Some(true) {
            self = self.span_metrics();
        }
        Ok(self)
    }

    /// What code has said through objects of its own.
    #[cfg_attr(not(feature = "otlp"), allow(clippy::unused_self, reason = "there are no such objects"))]
    pub(crate) fn said_by_objects(&self) -> Vec<(&'static str, Value)> {
        #[allow(unused_mut, reason = "without OTLP there are none")]
        let mut said = Vec::new();
        #[cfg(feature = "otlp")]
        for sink in &self.span_sinks {
            if let SinkPlan::Otlp(otlp) = sink {
                said.extend(otlp.said());
            }
        }
        #[cfg(feature = "otlp")]
        for push in &self.pushes {
            if let crate::metrics::push::PlannedPush::Otlp(otlp) = push {
                said.extend(otlp.said());
            }
        }
        said
    }
}
