//! What tells where telemetry comes from: the service, its version, the process.

use crate::value::Value;

/// Attributes of the service, by OpenTelemetry's conventions for resources.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resource {
    attributes: Vec<(String, Value)>,
}

impl Resource {
    /// That of a service in this process.
    pub(crate) fn of_service(name: &str, version: &str) -> Self {
        let mut resource = Self::default();
        resource.set("service.name", name.to_owned().into());
        if !version.is_empty() {
            resource.set("service.version", version.to_owned().into());
        }
        resource.set("service.framework", "tasker".into());
        resource.set("process.pid", std::process::id().into());
        resource.set("telemetry.sdk.language", "rust".into());
        resource.set("telemetry.sdk.name", env!("CARGO_PKG_NAME").into());
        resource.set("telemetry.sdk.version", env!("CARGO_PKG_VERSION").into());
        resource
    }

    /// Sets an attribute; one of that name that is there already is replaced.
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        match self.attributes.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((key.to_owned(), value)),
        }
    }

    pub(crate) fn attributes(&self) -> &[(String, Value)] {
        &self.attributes
    }
}
