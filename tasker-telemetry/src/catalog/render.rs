//! The catalog as text, JSON and Markdown. One order, no machine-dependent detail but the source places of the user's code.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::{Catalog, CatalogEvent, FiredBy};
use crate::event::Category;
use crate::handler;

pub(super) fn table(catalog: &Catalog) -> String {
    let mut text = String::new();
    let mut rows = vec![["EVENT", "FIELDS", "FIRED BY", "SUBSCRIBERS", "DESCRIPTION"].map(str::to_owned)];
    for category in Category::ALL {
        for event in catalog.events.iter().filter(|event| event.category == category) {
            rows.push([
                event.name.to_owned(),
                event.spec.fields.len().to_string(),
                fired_by(event),
                event.subscribers.iter().map(|name| last_segment(name)).collect::<Vec<_>>().join(" "),
                first_line(event.description).to_owned(),
            ]);
        }
    }
    columns(&mut text, &rows);
    if !catalog.steps.is_empty() {
        text.push('\n');
        let mut rows = vec![["STEP", "ATTEMPTS", "BACKOFF", "PUBLISHES", "SOURCE"].map(str::to_owned)];
        for step in &catalog.steps {
            rows.push([
                step.name.to_owned(),
                step.retry_limit.to_string(),
                step.backoff.strategy().to_owned(),
                step.publishes.iter().map(|event| event.name).collect::<Vec<_>>().join(" "),
                format!("{}:{}", step.source.file, step.source.line),
            ]);
        }
        columns(&mut text, &rows);
    }
    if !catalog.tasks.is_empty() {
        text.push('\n');
        let mut rows = vec![["TASK", "CONCURRENT STEPS", "SOURCE"].map(str::to_owned)];
        for task in &catalog.tasks {
            let bound = if task.max_concurrent_steps == 0 {
                "unbounded".to_owned()
            } else {
                task.max_concurrent_steps.to_string()
            };
            rows.push([task.name.to_owned(), bound, format!("{}:{}", task.source.file, task.source.line)]);
        }
        columns(&mut text, &rows);
    }
    if !catalog.subscribers.is_empty() {
        text.push('\n');
        let mut rows = vec![["SUBSCRIBER", "RUNS", "SUBSCRIPTIONS"].map(str::to_owned)];
        for subscriber in &catalog.subscribers {
            let runs = if subscriber.inline { "inline" } else { "queued" };
            rows.push([subscriber.name.to_owned(), runs.to_owned(), subscriber.patterns.join(" ")]);
        }
        columns(&mut text, &rows);
    }
    if !catalog.handlers.is_empty() {
        text.push('\n');
        let mut rows = vec![["HANDLER OF", "TYPE"].map(str::to_owned)];
        rows.extend(catalog.handlers.iter().map(|handler| [handler.spec.name, handler.type_name].map(str::to_owned)));
        columns(&mut text, &rows);
    }
    text.push('\n');
    let mut rows = vec![["METRIC", "TYPE", "UNIT", "LABELS", "HELP"].map(str::to_owned)];
    for metric in &catalog.metrics {
        rows.push([
            metric.name.clone(),
            metric.kind.name().to_owned(),
            metric.unit.clone(),
            metric.labels.join(" "),
            first_line(&metric.help).to_owned(),
        ]);
    }
    columns(&mut text, &rows);
    text
}

/// Left-aligned columns; the last is not padded.
fn columns<const N: usize>(text: &mut String, rows: &[[String; N]]) {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let line: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
}

pub(super) fn json(catalog: &Catalog) -> Json {
    let source = |source: super::Source| json!({"module": source.module, "file": source.file, "line": source.line});
    json!({
        "events": catalog.events,
        "steps": catalog.steps.iter().map(|step| json!({
            "name": step.name,
            "function": step.function,
            "description": step.description,
            "retry_limit": step.retry_limit,
            "backoff": step.backoff.strategy(),
            "publishes": step.publishes.iter().map(|event| event.name).collect::<Vec<_>>(),
            "fields": step.fields,
            "source": source(step.source),
        })).collect::<Vec<_>>(),
        "tasks": catalog.tasks.iter().map(|task| json!({
            "name": task.name,
            "function": task.function,
            "description": task.description,
            "max_concurrent_steps": task.max_concurrent_steps,
            "publishes": task.publishes.iter().map(|event| event.name).collect::<Vec<_>>(),
            "fields": task.fields,
            "source": source(task.source),
        })).collect::<Vec<_>>(),
        "subscribers": catalog.subscribers.iter().map(|subscriber| json!({
            "name": subscriber.name,
            "patterns": subscriber.patterns,
            "inline": subscriber.inline,
            "source": source(subscriber.source),
        })).collect::<Vec<_>>(),
        "handlers": handler::json_handlers(&catalog.handlers),
        "metrics": catalog.metrics,
    })
}

pub(super) fn markdown(catalog: &Catalog) -> String {
    let mut text = String::from("# Event catalog\n");
    for category in Category::ALL {
        let mut events = catalog.events.iter().filter(|event| event.category == category).peekable();
        if events.peek().is_some() {
            let _ = write!(text, "\n## {category}\n");
        }
        for event in events {
            markdown_event(&mut text, event);
        }
    }
    if !catalog.steps.is_empty() {
        text.push_str("\n## Steps\n\n| step | attempts | backoff | publishes | source | description |\n| --- | --- | --- | --- | --- | --- |\n");
        for step in &catalog.steps {
            let publishes =
                step.publishes.iter().map(|event| format!("`{}`", event.name)).collect::<Vec<_>>().join(" ");
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {publishes} | `{}:{}` | {} |",
                cell(step.name),
                step.retry_limit,
                step.backoff.strategy(),
                step.source.file,
                step.source.line,
                cell(first_line(step.description))
            );
        }
    }
    if !catalog.subscribers.is_empty() {
        text.push_str("\n## Subscribers\n\n| subscriber | runs | subscriptions |\n| --- | --- | --- |\n");
        for subscriber in &catalog.subscribers {
            let patterns =
                subscriber.patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(" ");
            let _ = writeln!(
                text,
                "| `{}` | {} | {patterns} |",
                subscriber.name,
                if subscriber.inline { "inline" } else { "queued" }
            );
        }
    }
    text.push_str("\n## Metrics\n\n| metric | dotted | type | unit | labels | description |\n| --- | --- | --- | --- | --- | --- |\n");
    for metric in &catalog.metrics {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} | {} | {labels} | {} |",
            metric.name,
            metric.dotted_name,
            metric.kind.name(),
            metric.unit,
            cell(&metric.help)
        );
    }
    text
}

fn markdown_event(text: &mut String, event: &CatalogEvent) {
    let _ = write!(text, "\n### `{}`\n\n{}\n\nFired by: {}.\n", event.name, event.description, fired_by(event));
    if !event.subscribers.is_empty() {
        let _ = writeln!(
            text,
            "Subscribers: {}.",
            event.subscribers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        );
    }
    if event.fields.is_empty() {
        return;
    }
    text.push_str("\n| field | type | JSON | description |\n| --- | --- | --- | --- |\n");
    for field in &event.fields {
        let mut notes = cell(field.description);
        if field.sensitive {
            notes.push_str(" (masked)");
        }
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {}{} | {} |",
            field.name,
            cell(field.ty),
            field.json_type,
            if field.optional { ", optional" } else { "" },
            notes.trim()
        );
    }
    let example = serde_json::to_string_pretty(&event.example).unwrap_or_default();
    let _ = write!(text, "\n```json\n{example}\n```\n");
}

fn fired_by(event: &CatalogEvent) -> String {
    let names: Vec<_> = event
        .fired_by
        .iter()
        .map(|by| match by {
            FiredBy::LifeCycle => "the life cycle".to_owned(),
            FiredBy::Driver => "drivers".to_owned(),
            FiredBy::Step { name, source } => format!("step {name} ({}:{})", source.file, source.line),
            FiredBy::Task { name, source } => format!("task {name} ({}:{})", source.file, source.line),
        })
        .collect();
    if names.is_empty() { "nobody that declares it".to_owned() } else { names.join(", ") }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn last_segment(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// A text that cannot break a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
