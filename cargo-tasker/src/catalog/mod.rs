//! `cargo tasker catalog`: which binary, which of its events, in which form; or what changed since it was written down.

mod diff;
mod html;
mod promise;
mod weaver;

use std::path::Path;

use serde_json::{Value as Json, json};
use tasker_telemetry::__private::OtherCatalog;
use tasker_telemetry::{CatalogEvent, Category};

use self::diff::Changes;
use self::promise::Promise;
use crate::args::{CatalogArgs, Format};
use crate::failure::{Failure, Outcome};
use crate::files::{Plan, read_text};
use crate::reader::{self, Found};
use crate::{output, project};

pub(crate) fn run(args: &CatalogArgs, format: Format) -> Result<Outcome, Failure> {
    let category = args.category.as_deref().map(category).transpose()?;
    // Read first: a file that is not there need not wait for a build.
    let before = match args.check.as_deref().or(args.diff.as_deref()) {
        Some(path) => Some((path, Promise::parse(&read_text(path)?).map_err(|error| unreadable(path, &error))?)),
        None => None,
    };
    let path = project::binary(&args.binary)?;
    let Found { mut catalog, version, crates } = read(&path)?;
    tell_version(version.as_deref());
    if let Some(file) = &args.lock {
        return lock(file, &catalog, format);
    }
    if let Some((before_path, before)) = before {
        let changes = Changes::between(&before, &Promise::of(&catalog));
        return compare(&changes, args.check.is_some(), before_path, format);
    }
    let search = args.search.as_deref().map(str::to_lowercase);
    catalog.retain_events(|event| {
        category.is_none_or(|category| event.category == category)
            && args.namespace.as_deref().is_none_or(|namespace| is_within(event, namespace))
            && search.as_deref().is_none_or(|text| is_match(event, text))
    });
    if args.search.is_some() && catalog.events().is_empty() && format == Format::Table {
        output::note("no event matches");
    }
    let title = crates.first().map_or("Catalog", String::as_str);
    if let (Format::Weaver, Some(folder)) = (format, &args.output) {
        return written(weaver::files(&catalog, title, folder));
    }
    let text = match format {
        Format::Table => catalog.table(),
        Format::Json => serde_json::to_string_pretty(&catalog.json()).unwrap_or_default() + "\n",
        Format::Markdown => catalog.markdown(),
        Format::Html => html::page(&catalog, title)?,
        Format::Weaver => weaver::registry(&catalog),
    };
    match &args.output {
        None => {
            output::print(&text)?;
            if format == Format::Table {
                for problem in catalog.problems() {
                    output::note(&problem.to_string());
                }
            }
            Ok(Outcome::Fine)
        }
        Some(file) => {
            let mut plan = Plan::new();
            plan.generated(file.clone(), text);
            written(plan)
        }
    }
}

/// Reads a binary, with its path in the error.
pub(crate) fn read(path: &Path) -> Result<Found, Failure> {
    reader::read(path).map_err(|error| Failure::cannot(format!("{} {error}", path.display())))
}

/// The system events are those of this version: whoever has another is told.
pub(crate) fn tell_version(version: Option<&str>) {
    let own = env!("CARGO_PKG_VERSION");
    if let Some(version) = version.filter(|version| *version != own) {
        output::note(&format!(
            "the binary was built with tasker-telemetry {version}: the library's own events and metrics are shown as {own} has them"
        ));
    }
}

fn category(name: &str) -> Result<Category, Failure> {
    let names = Category::ALL.map(|category| category.to_string());
    let place = names.iter().position(|known| known == name);
    place
        .map(|place| Category::ALL[place])
        .ok_or_else(|| Failure::wrong(format!("there is no category `{name}`: write one of {}", names.join(", "))))
}

fn is_within(event: &CatalogEvent, namespace: &str) -> bool {
    event.name.strip_prefix(namespace).is_some_and(|rest| rest.starts_with('.'))
}

fn is_match(event: &CatalogEvent, text: &str) -> bool {
    event.name.contains(text) || event.description.to_lowercase().contains(text)
}

fn unreadable(path: &Path, error: &str) -> Failure {
    Failure::cannot(format!("{} is no lock file and no catalog in JSON: {error}", path.display()))
}

fn written(plan: Plan) -> Result<Outcome, Failure> {
    for file in plan.write(true)? {
        output::note(&format!("wrote {}", file.display()));
    }
    Ok(Outcome::Fine)
}

fn lock(file: &Path, catalog: &OtherCatalog, format: Format) -> Result<Outcome, Failure> {
    let promise = Promise::of(catalog);
    let mut plan = Plan::new();
    plan.generated(file.to_owned(), promise.text());
    plan.write(true)?;
    let (events, metrics) = (promise.events.len(), promise.metrics.len());
    if format == Format::Json {
        output::print_json(&json!({"written": file, "events": events, "metrics": metrics}))?;
    } else {
        output::print(&format!("wrote {}: {events} events, {metrics} metrics", file.display()))?;
    }
    Ok(Outcome::Fine)
}

fn compare(changes: &Changes, check: bool, before: &Path, format: Format) -> Result<Outcome, Failure> {
    let breaks = changes.breaking().next().is_some();
    if format == Format::Json {
        let list = |changes: Vec<&diff::Change>| -> Json { changes.into_iter().map(diff::Change::json).collect() };
        output::print_json(&json!({
            "breaking": list(changes.breaking().collect()),
            "compatible": list(changes.compatible().collect()),
        }))?;
    } else {
        output::print(&changes.text())?;
        let file = before.display();
        if check && breaks {
            output::note(&format!("if that is meant: `cargo tasker catalog --lock {file}` writes it down"));
        } else if check && !changes.is_empty() {
            output::note(&format!("`cargo tasker catalog --lock {file}` has the lock file promise what is new, too"));
        }
    }
    Ok(if breaks { Outcome::Found } else { Outcome::Fine })
}
