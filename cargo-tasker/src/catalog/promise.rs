//! What consumers of a program's events and metrics rely on: the content of a lock file. Places and descriptions are not in it, so that
//! a file that moves is no change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tasker_telemetry::__private::OtherCatalog;

/// The version of lock files.
const VERSION: u32 = 1;

/// Everything that is promised, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Promise {
    lock: u32,
    pub(super) events: BTreeMap<String, Event>,
    pub(super) metrics: BTreeMap<String, Metric>,
    pub(super) steps: Vec<String>,
    pub(super) tasks: Vec<String>,
}

/// An event: its fields by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Event {
    pub(super) fields: BTreeMap<String, Field>,
}

/// A field of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Field {
    /// The Rust type, as written.
    #[serde(rename = "type")]
    pub(super) ty: String,
    /// The JSON type.
    pub(super) json_type: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) optional: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) sensitive: bool,
}

/// A metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Metric {
    pub(super) kind: String,
    pub(super) labels: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Promise {
    pub(super) fn of(catalog: &OtherCatalog) -> Self {
        let events = catalog.events().iter().map(|event| {
            let fields = event.fields.iter().map(|field| {
                let promised = Field {
                    ty: field.ty.to_owned(),
                    json_type: field.json_type.to_owned(),
                    optional: field.optional,
                    sensitive: field.sensitive,
                };
                (field.name.to_owned(), promised)
            });
            (event.name.to_owned(), Event { fields: fields.collect() })
        });
        let metrics = catalog.metrics().iter().map(|metric| {
            (metric.name.clone(), Metric { kind: metric.kind.name().to_owned(), labels: metric.labels.clone() })
        });
        Self {
            lock: VERSION,
            events: events.collect(),
            metrics: metrics.collect(),
            steps: unique(catalog.steps().iter().map(|step| step.name)),
            tasks: unique(catalog.tasks().iter().map(|task| task.name)),
        }
    }

    /// Reads a lock file, or the catalog as `--format json` prints it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match json.get("lock").and_then(Json::as_u64) {
            Some(version) if version > u64::from(VERSION) => Err(format!(
                "it is of version {version}, and this cargo-tasker knows version {VERSION}: `cargo install cargo-tasker` brings a newer one"
            )),
            Some(_) => serde_json::from_value(json).map_err(|error| error.to_string()),
            None => Self::of_catalog(json),
        }
    }

    fn of_catalog(json: Json) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Named<T> {
            name: String,
            #[serde(flatten)]
            rest: T,
        }
        #[derive(Deserialize)]
        struct Fields {
            fields: Vec<Named<Field>>,
        }
        #[derive(Deserialize)]
        struct Nothing {}
        #[derive(Deserialize)]
        struct Catalog {
            events: Vec<Named<Fields>>,
            metrics: Vec<Named<Metric>>,
            steps: Vec<Named<Nothing>>,
            tasks: Vec<Named<Nothing>>,
        }
        let catalog: Catalog = serde_json::from_value(json).map_err(|error| error.to_string())?;
        let fields = |fields: Vec<Named<Field>>| fields.into_iter().map(|field| (field.name, field.rest)).collect();
        Ok(Self {
            lock: VERSION,
            events: catalog.events.into_iter().map(|e| (e.name, Event { fields: fields(e.rest.fields) })).collect(),
            metrics: catalog.metrics.into_iter().map(|metric| (metric.name, metric.rest)).collect(),
            steps: unique(catalog.steps.iter().map(|step| step.name.as_str())),
            tasks: unique(catalog.tasks.iter().map(|task| task.name.as_str())),
        })
    }

    /// As the lock file has it: stable, a line for each field, so that its history reads well.
    pub(super) fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}
