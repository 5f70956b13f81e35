//! From the bytes of a section to steps, tasks, events, subscribers and metrics.
//!
//! A record is a line of JSON. Linkers put them in any order, with zeros between them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use tasker_telemetry::__private::{
    EventSpec, FieldSpec, OtherCatalog, Parts, RECORD_VERSION, Source, StepSpec, SubscriberSpec, TaskSpec,
};

use super::ReadError;

/// Records on their way. Everything in the catalog lives as long as the process: a command reads one or two, and ends.
#[derive(Default)]
pub(super) struct Records {
    version: Option<String>,
    crates: BTreeSet<String>,
    count: usize,
    events: BTreeMap<&'static str, &'static EventSpec>,
    steps: Vec<Step>,
    tasks: Vec<Task>,
}

/// What every record begins with.
#[derive(Deserialize)]
struct Header {
    tasker: u32,
    kind: String,
}

#[derive(Deserialize)]
struct Library {
    version: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Place {
    #[serde(rename = "crate")]
    krate: String,
    module: String,
    file: String,
    line: u32,
}

#[derive(Deserialize)]
struct Step {
    name: String,
    function: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default = "one")]
    retry_limit: u32,
    #[serde(default = "none")]
    backoff: String,
    #[serde(default)]
    publishes: Vec<String>,
    #[serde(default)]
    fields: Vec<String>,
    #[serde(flatten)]
    place: Place,
}

#[derive(Deserialize)]
struct Task {
    name: String,
    function: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    max_concurrent_steps: u32,
    #[serde(default)]
    publishes: Vec<String>,
    #[serde(default)]
    fields: Vec<String>,
    #[serde(flatten)]
    place: Place,
}

#[derive(Deserialize)]
struct Event {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default, rename = "type")]
    ty: String,
    #[serde(default)]
    fields: Vec<Field>,
    #[serde(flatten)]
    place: Place,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    sensitive: bool,
}

#[derive(Deserialize)]
struct Subscriber {
    name: String,
    #[serde(default)]
    patterns: Vec<String>,
    #[serde(default)]
    inline: bool,
    #[serde(flatten)]
    place: Place,
}

#[derive(Deserialize)]
struct Metric {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    unit: String,
    labels: Vec<String>,
    help: String,
    /// Whether the end of the help did not fit.
    #[serde(default)]
    cut: bool,
}

fn one() -> u32 {
    1
}

fn none() -> String {
    "none".to_owned()
}

impl Records {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The version of the library, and the crates that left records.
    pub(super) fn into_origin(self) -> (Option<String>, Vec<String>) {
        (self.version, self.crates.into_iter().collect())
    }

    /// The records of one section.
    pub(super) fn add(&mut self, section: &[u8], parts: &mut Parts) -> Result<(), ReadError> {
        let mut offset = 0;
        for line in section.split(|byte| *byte == b'\n') {
            let start = offset;
            offset += line.len() + 1;
            let zeros = line.iter().take_while(|byte| **byte == 0).count();
            let record =
                line[zeros..].iter().rposition(|byte| *byte != 0).map_or(&[][..], |last| &line[zeros..=zeros + last]);
            if !record.is_empty() {
                self.one(record, start + zeros, parts)?;
            }
        }
        Ok(())
    }

    fn one(&mut self, record: &[u8], offset: usize, parts: &mut Parts) -> Result<(), ReadError> {
        let header: Header = read(record, offset)?;
        if header.tasker > RECORD_VERSION {
            return Err(ReadError::Newer { found: header.tasker });
        }
        self.count += 1;
        match header.kind.as_str() {
            "library" => self.version = Some(read::<Library>(record, offset)?.version),
            // What a step publishes is known by name: its events may come later.
            "step" => self.steps.push(read(record, offset)?),
            "task" => self.tasks.push(read(record, offset)?),
            "event" => {
                let event = self.event(read(record, offset)?);
                self.events.insert(event.name, event);
                parts.events.push(event);
            }
            "subscriber" => {
                let subscriber = self.subscriber(read(record, offset)?);
                parts.subscribers.push(subscriber);
            }
            "metric" => {
                let Metric { name, kind, unit, labels, mut help, cut } = read(record, offset)?;
                if cut {
                    help.push_str(" ..");
                }
                parts.metrics.extend(OtherCatalog::metric(kept(name), &kind, kept(unit), kept(help), all_kept(labels)));
            }
            // A kind of a later library of the same version: left out, as its annotation is unknown here.
            _ => {}
        }
        Ok(())
    }

    /// When all sections are read.
    pub(super) fn finish(&mut self, parts: &mut Parts) {
        for step in std::mem::take(&mut self.steps) {
            let Step { name, function, description, retry_limit, backoff, publishes, fields, place } = step;
            let function = function.unwrap_or_else(|| name.clone());
            parts.steps.push(Box::leak(Box::new(StepSpec {
                name: kept(name),
                function: kept(function),
                description: kept(description),
                retry_limit,
                backoff: OtherCatalog::backoff(&backoff),
                publishes: self.published(publishes),
                fields: all_kept(fields),
                source: self.source(place),
            })));
        }
        for task in std::mem::take(&mut self.tasks) {
            let Task { name, function, description, max_concurrent_steps, publishes, fields, place } = task;
            let function = function.unwrap_or_else(|| name.clone());
            parts.tasks.push(Box::leak(Box::new(TaskSpec {
                name: kept(name),
                function: kept(function),
                description: kept(description),
                max_concurrent_steps,
                publishes: self.published(publishes),
                fields: all_kept(fields),
                source: self.source(place),
            })));
        }
    }

    fn event(&mut self, event: Event) -> &'static EventSpec {
        let Event { name, description, ty, fields, place } = event;
        let type_name = if ty.is_empty() { String::new() } else { format!("{}::{ty}", place.module) };
        let fields = fields.into_iter().map(|Field { name, ty, description, optional, sensitive }| FieldSpec {
            name: kept(name),
            ty: kept(ty),
            description: kept(description),
            optional,
            sensitive,
        });
        Box::leak(Box::new(EventSpec {
            name: kept(name),
            description: kept(description),
            fields: fields.collect::<Vec<_>>().leak(),
            type_name: kept(type_name),
            source: self.source(place),
        }))
    }

    fn subscriber(&mut self, subscriber: Subscriber) -> &'static SubscriberSpec {
        let Subscriber { name, patterns, inline, place } = subscriber;
        Box::leak(Box::new(SubscriberSpec {
            name: kept(format!("{}::{name}", place.module)),
            patterns: all_kept(patterns),
            inline,
            source: self.source(place),
        }))
    }

    /// The specs of these events. One that is not in this file (a library's may be elsewhere) is known by its name alone.
    fn published(&self, names: Vec<String>) -> &'static [&'static EventSpec] {
        let specs = names.into_iter().map(|name| -> &'static EventSpec {
            self.events.get(name.as_str()).copied().unwrap_or_else(|| {
                Box::leak(Box::new(EventSpec {
                    name: kept(name),
                    description: "",
                    fields: &[],
                    type_name: "",
                    source: Source { module: "", file: "", line: 0 },
                }))
            })
        });
        specs.collect::<Vec<_>>().leak()
    }

    /// Steps and tasks know their crate only: it stands for the module.
    fn source(&mut self, place: Place) -> Source {
        let Place { krate, module, file, line } = place;
        let module = if module.is_empty() { krate } else { module };
        let krate = module.split("::").next().unwrap_or_default();
        if !krate.is_empty() && !self.crates.contains(krate) {
            self.crates.insert(krate.to_owned());
        }
        Source { module: kept(module), file: kept(file), line }
    }
}

fn read<'a, T: Deserialize<'a>>(record: &'a [u8], offset: usize) -> Result<T, ReadError> {
    serde_json::from_slice(record).map_err(|error| ReadError::Record { offset, problem: error.to_string() })
}

fn kept(text: String) -> &'static str {
    text.leak()
}

fn all_kept(texts: Vec<String>) -> &'static [&'static str] {
    texts.into_iter().map(kept).collect::<Vec<_>>().leak()
}
