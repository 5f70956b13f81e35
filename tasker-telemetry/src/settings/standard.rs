//! Options that OpenTelemetry's variables say in a way of their own.

use super::value::Value;
use crate::variables::{InvalidVariable, Variables};

type Said = Result<Option<(&'static str, Value)>, InvalidVariable>;

const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";

#[allow(clippy::unnecessary_wraps, reason = "one of several that may fail")]
pub(super) fn enabled(variables: &Variables) -> Said {
    const NAME: &str = "OTEL_SDK_DISABLED";
    // Anything but `true` says nothing, as the specification has it for booleans.
    Ok(variables.flag(NAME).then_some((NAME, Value::Flag(false))))
}

pub(super) fn service_name(variables: &Variables) -> Said {
    const NAME: &str = "OTEL_SERVICE_NAME";
    match variables.get(NAME) {
        Some(name) => Ok(Some((NAME, Value::Text(name)))),
        None => attribute(variables, "service.name"),
    }
}

pub(super) fn service_version(variables: &Variables) -> Said {
    attribute(variables, "service.version")
}

fn attribute(variables: &Variables, key: &str) -> Said {
    let attributes = variables.pairs(ATTRIBUTES)?;
    let found = attributes.into_iter().find(|(name, _)| name == key);
    Ok(found.map(|(_, value)| (ATTRIBUTES, Value::Text(value))))
}

pub(super) fn sampling_ratio(variables: &Variables) -> Said {
    let sampler = crate::trace::sampler(variables)?;
    Ok(sampler.map(|sampling| (SAMPLER, Value::Share(sampling.share()))))
}

pub(super) fn sampling_parent_based(variables: &Variables) -> Said {
    let sampler = crate::trace::sampler(variables)?;
    Ok(sampler.map(|sampling| (SAMPLER, Value::Flag(sampling.is_parent_based()))))
}

#[allow(clippy::unnecessary_wraps, reason = "one of several that may fail")]
pub(super) fn exception_signal(variables: &Variables) -> Said {
    const NAME: &str = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN";
    let signal = match crate::trace::exception_signals(variables) {
        (true, true) => "logs/dup",
        (false, true) => "logs",
        _ => return Ok(None),
    };
    Ok(Some((NAME, Value::Text(signal.to_owned()))))
}
