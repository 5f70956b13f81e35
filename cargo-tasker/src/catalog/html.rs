//! The catalog as one page for a browser: no other file, no server, no network. What it shows is in `templates/catalog.html`.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde_json::{Value as Json, json};
use tasker_telemetry::__private::OtherCatalog;
use tasker_telemetry::Category;

use crate::failure::Failure;

pub(super) fn page(catalog: &OtherCatalog, title: &str) -> Result<String, Failure> {
    let mut environment = Environment::new();
    // Whatever a program says of itself is text, and stays it.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let json = catalog.json();
    let categories: Vec<Json> = Category::ALL.iter().filter_map(|category| group(&json, *category)).collect();
    let mut kinds: Vec<String> =
        categories.iter().filter_map(|category| category["name"].as_str().map(str::to_owned)).collect();
    for kind in ["tasks", "steps", "subscribers", "metrics"] {
        if json[kind].as_array().is_some_and(|list| !list.is_empty()) {
            kinds.push(kind.to_owned());
        }
    }
    environment
        .render_str(
            include_str!("../../templates/catalog.html"),
            Serde(json!({
                "title": title, "categories": categories, "kinds": kinds,
                "events": json["events"], "steps": json["steps"], "tasks": json["tasks"],
                "subscribers": json["subscribers"], "metrics": json["metrics"],
            })),
        )
        .map_err(|error| Failure::cannot(format!("the page: {error}")))
}

/// The events of one category, with the text of their examples; `None` where there are none.
fn group(json: &Json, category: Category) -> Option<Json> {
    let name = category.to_string();
    let mut events: Vec<Json> =
        json["events"].as_array()?.iter().filter(|event| event["category"] == name.as_str()).cloned().collect();
    for event in &mut events {
        let example = serde_json::to_string_pretty(&event["example"]).unwrap_or_default();
        event["example_text"] = example.into();
    }
    let title = match category {
        Category::Custom => "Events of this program".to_owned(),
        _ => format!("Events of the library: {name}"),
    };
    (!events.is_empty()).then(|| json!({"name": name, "title": title, "events": events}))
}
