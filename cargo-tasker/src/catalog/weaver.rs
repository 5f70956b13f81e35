//! The catalog as a registry of semantic conventions, which OpenTelemetry Weaver checks, documents and generates code from.
//!
//! The fields of all events are the attributes: a name means one thing in a registry, so fields of one name are one attribute. Where
//! their types differ it is `any`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use tasker_telemetry::__private::OtherCatalog;
use tasker_telemetry::metrics::{MetricInfo, MetricKind};

use crate::files::Plan;

/// A registry as a folder: its manifest, and the file with the groups.
pub(super) fn files(catalog: &OtherCatalog, title: &str, folder: &Path) -> Plan {
    let mut manifest = String::new();
    let _ = writeln!(manifest, "name: {}", quoted(title));
    let _ =
        writeln!(manifest, "description: {}", quoted(&format!("What {title} emits: made by `cargo tasker catalog`.")));
    let _ = writeln!(manifest, "semconv_version: {}", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(manifest, "schema_base_url: {}", quoted(&format!("https://example.com/schemas/{title}")));
    let mut plan = Plan::new();
    plan.generated(folder.join("registry_manifest.yaml"), manifest);
    plan.generated(folder.join("catalog.yaml"), registry(catalog));
    plan
}

struct Attribute<'a> {
    ty: &'static str,
    brief: &'a str,
    example: String,
}

/// The groups: one of all attributes, then one for each event and each metric.
pub(super) fn registry(catalog: &OtherCatalog) -> String {
    let mut attributes: BTreeMap<&str, Attribute<'_>> = BTreeMap::new();
    for event in catalog.events() {
        for field in &event.fields {
            let ty = attribute_type(field.json_type, field.ty);
            let example = event.example.get(field.name).map(ToString::to_string).unwrap_or_default();
            attributes
                .entry(field.name)
                .and_modify(|known| {
                    if known.ty != ty {
                        known.ty = "any";
                    }
                    if known.brief.is_empty() {
                        known.brief = field.description;
                    }
                })
                .or_insert(Attribute { ty, brief: field.description, example });
        }
    }
    for label in catalog.metrics().iter().flat_map(|metric| &metric.labels) {
        attributes.entry(label).or_insert(Attribute { ty: "string", brief: "", example: format!("\"{label}\"") });
    }
    let mut text = String::from(
        "groups:\n  - id: registry.fields\n    type: attribute_group\n    display_name: Fields of events, labels of metrics\n    brief: Every name that an event's payload or a metric has.\n    attributes:\n",
    );
    for (name, Attribute { ty, brief, example }) in &attributes {
        let _ = write!(
            text,
            "      - id: {name}\n        type: {ty}\n        stability: development\n        brief: {}\n",
            quoted(or_name(brief, name))
        );
        // Weaver wants examples of texts, and none of what has no simple type.
        if matches!(*ty, "string" | "string[]") {
            let _ = writeln!(text, "        examples: [{example}]");
        }
    }
    for event in catalog.events() {
        let _ = write!(
            text,
            "  - id: event.{0}\n    type: event\n    name: {0}\n    stability: development\n    brief: {1}\n",
            event.name,
            quoted(or_name(event.description, event.name))
        );
        references(&mut text, event.fields.iter().map(|field| (field.name, !field.optional)));
    }
    for metric in catalog.metrics() {
        let MetricInfo { dotted_name, unit, help, labels, kind, .. } = metric;
        let instrument = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let _ = write!(
            text,
            "  - id: metric.{dotted_name}\n    type: metric\n    metric_name: {dotted_name}\n    instrument: {instrument}\n    unit: {}\n    stability: development\n    brief: {}\n",
            quoted(unit_code(unit)),
            quoted(or_name(help, dotted_name))
        );
        references(&mut text, labels.iter().map(|label| (label.as_str(), false)));
    }
    text
}

fn references<'a>(text: &mut String, names: impl Iterator<Item = (&'a str, bool)>) {
    let mut names = names.peekable();
    if names.peek().is_some() {
        text.push_str("    attributes:\n");
    }
    for (name, required) in names {
        let level = if required { "required" } else { "recommended" };
        let _ = writeln!(text, "      - ref: {name}\n        requirement_level: {level}");
    }
}

/// What Weaver calls the type.
fn attribute_type(json: &str, ty: &str) -> &'static str {
    match json {
        "string" => "string",
        "integer" => "int",
        "number" => "double",
        "boolean" => "boolean",
        "array" if ty.contains("String>") || ty.contains("str>") => "string[]",
        _ => "any",
    }
}

/// The unit's code of UCUM, as OpenTelemetry wants it.
fn unit_code(unit: &str) -> &str {
    match unit {
        "" | "ratio" => "1",
        "seconds" => "s",
        "bytes" => "By",
        "meters" => "m",
        "grams" => "g",
        "joules" => "J",
        "celsius" => "Cel",
        "volts" => "V",
        "amperes" => "A",
        other => other,
    }
}

fn or_name<'a>(text: &'a str, name: &'a str) -> &'a str {
    if text.is_empty() { name } else { text }
}

/// A YAML text: JSON's form of it is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
