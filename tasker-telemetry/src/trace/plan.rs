//! From what the builder was told, and the standard variables for the rest, to what is built.

use std::time::Duration;

use super::export::Batching;
use super::{Sampling, SpanSink};
use crate::filter::Filter;
use crate::metrics::push::Push;
#[cfg(feature = "otlp")]
use crate::otlp::{self, Otlp};
use crate::resource::Resource;
use crate::telemetry::{BuildError, Builder};
use crate::variables::{InvalidVariable, Variables};

/// An exporter that is wanted.
pub(crate) enum SinkPlan {
    /// As it is.
    Ready(Box<dyn SpanSink>, Batching),
    /// In batches as the standard variables say (`OTEL_BSP_*`).
    Batched(Box<dyn SpanSink>),
    /// OTLP, once the variables have been read.
    #[cfg(feature = "otlp")]
    Otlp(Otlp),
}

impl SinkPlan {
    /// As what it will stand in the books.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ready(sink, _) | Self::Batched(sink) => sink.name(),
            #[cfg(feature = "otlp")]
            Self::Otlp(_) => "otlp",
        }
    }
}

/// What the variables and the builder together say.
pub(crate) struct Resolved {
    pub(crate) enabled: bool,
    pub(crate) service_name: String,
    pub(crate) service_version: String,
    pub(crate) sinks: Vec<(Box<dyn SpanSink>, Batching)>,
    pub(crate) pushes: Vec<(Box<dyn Push>, Duration)>,
    /// Where log lines go.
    #[cfg(feature = "otlp")]
    pub(crate) logs: Option<(otlp::LogSink, Batching)>,
    /// Whether exceptions are events of their spans.
    pub(crate) exception_events: bool,
}

/// The exporters that `OTEL_TRACES_EXPORTER` names; `otlp` when it is not set, as the standard has it.
pub(crate) fn exporters(variables: &Variables) -> Result<Vec<&'static str>, InvalidVariable> {
    const NAME: &str = "OTEL_TRACES_EXPORTER";
    let value = variables.get(NAME).unwrap_or_else(|| "otlp".to_owned());
    let mut exporters = Vec::new();
    for exporter in value.split(',').map(str::trim).filter(|exporter| !exporter.is_empty()) {
        match exporter {
            "none" => {}
            "otlp" if cfg!(feature = "otlp") => exporters.push("otlp"),
            "otlp" => return Err(InvalidVariable::new(NAME, &value, "needs the feature `otlp` of tasker-telemetry")),
            "console" if cfg!(feature = "console") => exporters.push("console"),
            "console" => {
                return Err(InvalidVariable::new(NAME, &value, "needs the feature `console` of tasker-telemetry"));
            }
            _ => return Err(InvalidVariable::new(NAME, &value, "known are `otlp`, `console` and `none`")),
        }
    }
    Ok(exporters)
}

/// The exporters of metrics that `OTEL_METRICS_EXPORTER` names. None when it is not set, other than the standard has it: here metrics
/// are asked for (`/metrics`) unless somebody says that they are sent.
pub(crate) fn metric_exporters(variables: &Variables) -> Result<Vec<&'static str>, InvalidVariable> {
    const NAME: &str = "OTEL_METRICS_EXPORTER";
    let value = variables.get(NAME).unwrap_or_default();
    let mut exporters = Vec::new();
    for exporter in value.split(',').map(str::trim).filter(|exporter| !exporter.is_empty()) {
        match exporter {
            "none" => {}
            "otlp" if cfg!(feature = "otlp") => exporters.push("otlp"),
            "otlp" => return Err(InvalidVariable::new(NAME, &value, "needs the feature `otlp` of tasker-telemetry")),
            _ => return Err(InvalidVariable::new(NAME, &value, "known are `otlp` and `none`")),
        }
    }
    Ok(exporters)
}

/// Whether `OTEL_LOGS_EXPORTER` names OTLP. When it is not set it does not, other than the standard has it: logs go where the
/// program's own `tracing` subscriber has them go.
pub(crate) fn exports_logs(variables: &Variables) -> Result<bool, InvalidVariable> {
    const NAME: &str = "OTEL_LOGS_EXPORTER";
    let value = variables.get(NAME).unwrap_or_default();
    let mut exports = false;
    for exporter in value.split(',').map(str::trim).filter(|exporter| !exporter.is_empty()) {
        match exporter {
            "none" => {}
            "otlp" if cfg!(feature = "otlp") => exports = true,
            "otlp" => return Err(InvalidVariable::new(NAME, &value, "needs the feature `otlp` of tasker-telemetry")),
            _ => return Err(InvalidVariable::new(NAME, &value, "known are `otlp` and `none`")),
        }
    }
    Ok(exports)
}

/// What the standard's samplers are here. A task's own trace has no parent, so `parentbased_..` differs only where a task goes
/// on in its caller's trace.
pub(crate) fn sampler(variables: &Variables) -> Result<Option<Sampling>, InvalidVariable> {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let Some(name) = variables.get(NAME) else { return Ok(None) };
    let ratio = || match variables.parse::<f64>(ARGUMENT)? {
        None => Ok(1.0),
        Some(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        Some(ratio) => Err(InvalidVariable::new(ARGUMENT, &ratio.to_string(), "must be from 0 to 1")),
    };
    let (own, parent_based) = match name.strip_prefix("parentbased_") {
        Some(own) => (own, true),
        None => (name.as_str(), false),
    };
    let sampling = match own {
        "always_on" => Sampling::all(),
        "always_off" => Sampling::none(),
        "traceidratio" => Sampling::ratio(ratio()?),
        _ => {
            let known = "known are `always_on`, `always_off`, `traceidratio`, and these with `parentbased_` before";
            return Err(InvalidVariable::new(NAME, &name, known));
        }
    };
    Ok(Some(sampling.parent_based(parent_based)))
}

/// Where exceptions go: as events of their span, as log records, or both.
pub(crate) fn exception_signals(variables: &Variables) -> (bool, bool) {
    let value = variables.get("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN").unwrap_or_default();
    let mut signals = value.split(',').map(str::trim);
    if signals.clone().any(|signal| signal == "logs/dup") {
        (true, true)
    } else if signals.any(|signal| signal == "logs") {
        (false, true)
    } else {
        (true, false)
    }
}

/// See the module. Reads no variable unless an exporter or [`Telemetry::from_env`](crate::Telemetry::from_env) asks for it.
pub(crate) fn resolve(builder: &mut Builder, filter: &Filter) -> Result<Resolved, BuildError> {
    let sinks = std::mem::take(&mut builder.span_sinks);
    let pushes = std::mem::take(&mut builder.pushes);
    let variables = &builder.variables;

    let attributes = variables.pairs("OTEL_RESOURCE_ATTRIBUTES")?;
    let service_name = builder.service_name.clone().unwrap_or_else(|| "tasker".to_owned());
    let service_version = builder.service_version.clone().unwrap_or_default();
    let mut resource = Resource::of_service(&service_name, &service_version);
    for (key, value) in attributes.into_iter().chain(std::mem::take(&mut builder.resource)) {
        if key != "service.name" && key != "service.version" {
            let value = if filter.masks(&key) { filter.mask().to_owned() } else { filter.text(&value).into_owned() };
            resource.set(&key, value.into());
        }
    }
    let (exception_events, as_log) = exception_signals(variables);
    let enabled = builder.enabled.unwrap_or(true);
    let mut ready = Vec::new();
    for plan in sinks.into_iter().filter(|_| enabled) {
        ready.push(sink(plan, variables, &resource, as_log)?);
    }
    let on = enabled && builder.metrics_enabled.unwrap_or(true);
    let pushes = pushes.into_iter().filter(|_| on).map(|push| push.resolve(variables, &resource));
    let pushes = pushes.collect::<Result<_, _>>()?;
    #[cfg(feature = "otlp")]
    let logs = match builder.log.otlp {
        Some(true) if enabled => {
            let target = otlp::log_target(variables)?;
            let sink = otlp::log_sink(&target, &resource);
            let sink = sink.map_err(|error| BuildError::Exporter { exporter: "otlp logs", problem: error.0 })?;
            Some((sink, target.batching))
        }
        _ => None,
    };
    Ok(Resolved {
        #[cfg(feature = "otlp")]
        logs,
        enabled,
        service_name,
        service_version,
        sinks: ready,
        pushes,
        exception_events,
    })
}

fn sink(
    plan: SinkPlan,
    variables: &Variables,
    resource: &Resource,
    exception_logs: bool,
) -> Result<(Box<dyn SpanSink>, Batching), BuildError> {
    match plan {
        SinkPlan::Ready(sink, batching) => Ok((sink, batching)),
        SinkPlan::Batched(mut sink) => {
            sink.set_resource(resource);
            let delay = variables.millis(&[DELAY])?.unwrap_or_else(|| sink.delay());
            Ok((sink, Batching { delay, ..batching(variables)? }))
        }
        #[cfg(feature = "otlp")]
        SinkPlan::Otlp(otlp) => {
            let target = otlp.resolve(variables)?;
            let sink = otlp::span_sink(&target, resource, exception_logs);
            let sink = sink.map_err(|error| BuildError::Exporter { exporter: "otlp", problem: error.0 })?;
            Ok((sink, target.batching))
        }
    }
}

const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";

/// `OTEL_BSP_*`, which every exporter that sends batches obeys.
pub(crate) fn batching(variables: &Variables) -> Result<Batching, InvalidVariable> {
    let default = Batching::default();
    Ok(Batching {
        queue: variables.positive("OTEL_BSP_MAX_QUEUE_SIZE")?.unwrap_or(default.queue),
        batch: variables.positive("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")?.unwrap_or(default.batch),
        delay: variables.millis(&[DELAY])?.unwrap_or(default.delay),
        timeout: variables.millis(&["OTEL_BSP_EXPORT_TIMEOUT"])?.unwrap_or(default.timeout),
        patience: default.patience,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Variables {
        Variables::Given(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn samplers_have_the_standards_names() {
        let read = |name, ratio| {
            sampler(&given(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", ratio)])).unwrap().unwrap()
        };
        assert_eq!(read("always_on", ""), Sampling::all().parent_based(false));
        assert_eq!(read("parentbased_always_off", ""), Sampling::none());
        assert_eq!(read("parentbased_traceidratio", "0.25"), Sampling::ratio(0.25));
        assert_eq!(read("traceidratio", ""), Sampling::ratio(1.0).parent_based(false));
        for (name, ratio, says) in [("jaeger_remote", "", "always_on"), ("traceidratio", "2", "from 0 to 1")] {
            let variables = given(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", ratio)]);
            let error = sampler(&variables).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn exceptions_go_where_the_variable_says() {
        let read = |value| exception_signals(&given(&[("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", value)]));
        assert_eq!([read(""), read("logs"), read("http, logs/dup")], [(true, false), (false, true), (true, true)]);
    }

    #[test]
    fn exporters_are_named_by_a_list() {
        #[cfg(feature = "console")]
        assert_eq!(exporters(&given(&[("OTEL_TRACES_EXPORTER", "console, none")])).unwrap(), ["console"]);
        let error = exporters(&given(&[("OTEL_TRACES_EXPORTER", "zipkin")])).unwrap_err().to_string();
        assert!(error.contains("OTEL_TRACES_EXPORTER=zipkin"), "{error}");
    }
}
