//! `new subscriber OnCall --events task.failed payment.risk_flagged --metrics`.

use std::path::Path;

use serde_json::{Value as Json, json};
use tasker_telemetry::__private::OtherCatalog;

use super::home::Home;
use super::modules::declare;
use super::names::{Name, camel_case};
use super::{place, render};
use crate::args::{BinaryArgs, ProjectArgs, WriteArgs};
use crate::failure::Failure;
use crate::files::{Plan, read_if_there};
use crate::{catalog, project};

/// What a subscriber listens to that nobody told what to.
const DEFAULT: [&str; 2] = ["task.failed", "step.failed"];

#[allow(clippy::too_many_arguments, reason = "the words of the command line")]
pub(super) fn plan(
    plan: &mut Plan,
    home: &Home,
    project: &ProjectArgs,
    name: &str,
    events: &[String],
    metrics: bool,
    write: &WriteArgs,
) -> Result<(), Failure> {
    let name = Name::parse(name)?;
    let default = DEFAULT.map(str::to_owned);
    let events = if events.is_empty() { &default[..] } else { events };
    let mut lookup = Lookup { home, project, found: None };
    let mut handlers: Vec<Handler> = Vec::new();
    for event in events {
        if handlers.iter().any(|handler| handler.event == *event) {
            return Err(Failure::wrong(format!("`{event}` is given more than once")));
        }
        handlers.push(lookup.handler(event)?);
    }
    if metrics && name.snake.starts_with("tasker") {
        return Err(Failure::wrong("metrics that begin with `tasker` are the library's own: take another name"));
    }
    let context = json!({
        "snake": name.snake,
        "camel": name.camel,
        "handlers": handlers.iter().map(Handler::json).collect::<Vec<_>>(),
        "wildcard": handlers.iter().any(|handler| handler.kind == Kind::Wildcard),
        "metrics": metrics,
    });
    let code = render::code(home, include_str!("../../templates/subscriber.rs.j2"), context)?;
    let file = place(home, write, "subscribers", &name.snake);
    declare(plan, home, &file)?;
    plan.create(file, code)
}

/// A subscription and its method.
struct Handler {
    event: String,
    kind: Kind,
    /// The type of the payload.
    payload: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Wildcard,
    System,
    Custom,
}

impl Handler {
    fn json(&self) -> Json {
        json!({
            "event": self.event,
            "method": format!("handle_{}", self.event.replace('.', "_")),
            "payload": self.payload,
            "kind": match self.kind { Kind::Wildcard => "wildcard", Kind::System => "system", Kind::Custom => "custom" },
            // What an event of that name without a class of error is counted under.
            "error_type": "none",
        })
    }
}

/// What events there are. The project is built only when it is asked for an event of its own.
struct Lookup<'a> {
    home: &'a Home,
    project: &'a ProjectArgs,
    found: Option<OtherCatalog>,
}

impl Lookup<'_> {
    fn handler(&mut self, event: &str) -> Result<Handler, Failure> {
        let record = |kind| Handler { event: event.to_owned(), kind, payload: "EventRecord".to_owned() };
        if event == "*" {
            return Ok(record(Kind::Wildcard));
        }
        let system = OtherCatalog::system_events();
        let namespace = event.split('.').next().unwrap_or_default();
        if let Some(prefix) = event.strip_suffix('*').filter(|prefix| prefix.ends_with('.')) {
            let is_known = |name: &&str| name.starts_with(prefix);
            if system.iter().any(is_known) || self.catalog()?.events().iter().any(|event| is_known(&event.name)) {
                return Ok(record(Kind::Wildcard));
            }
            return Err(Failure::wrong(format!("no event of this project is called `{event}`")));
        }
        if system.contains(&event) {
            let rest = &event[namespace.len() + 1..];
            let payload = format!("event::{namespace}::{}", camel_case(&rest.replace('.', "_")));
            return Ok(Handler { event: event.to_owned(), kind: Kind::System, payload });
        }
        let home = self.home;
        let catalog = self.catalog()?;
        let Some(custom) = catalog.events().iter().find(|known| known.name == event) else {
            let advice = match catalog.nearest(event) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("`cargo tasker catalog` lists them all; `cargo tasker new event {event}` makes it"),
            };
            return Err(Failure::wrong(format!("there is no event `{event}` in this project: {advice}")));
        };
        let payload = type_path(home, custom.spec.type_name).unwrap_or_else(|| "EventRecord".to_owned());
        Ok(Handler { event: event.to_owned(), kind: Kind::Custom, payload })
    }

    fn catalog(&mut self) -> Result<&OtherCatalog, Failure> {
        if self.found.is_none() {
            let binary = BinaryArgs {
                package: self.project.package.clone(),
                manifest_path: self.project.manifest_path.clone(),
                ..BinaryArgs::default()
            };
            let path = project::binary(&binary)?;
            self.found = Some(catalog::read(&path)?.catalog);
        }
        self.found.as_ref().ok_or_else(|| Failure::cannot("the project's catalog"))
    }
}

/// How code in this crate names the type, where that can be told: the type and the modules above it must be public, or lie at
/// the root. A handler whose event cannot be named takes the `EventRecord`, which every event comes as.
fn type_path(home: &Home, type_name: &str) -> Option<String> {
    let path = type_name.strip_prefix(&home.krate)?.strip_prefix("::")?;
    let (modules, ty) = path.rsplit_once("::").unwrap_or(("", path));
    let modules: Vec<&str> = modules.split("::").filter(|module| !module.is_empty()).collect();
    let mut file = home.root_file.clone();
    for (depth, module) in modules.iter().enumerate() {
        if depth > 0 && !declares(&file, &format!("mod {module};")) {
            return None;
        }
        file = module_file(home, &modules[..=depth])?;
    }
    let kept = declares(&file, &format!("struct {ty}")) || modules.is_empty();
    kept.then(|| format!("crate::{path}"))
}

fn module_file(home: &Home, modules: &[&str]) -> Option<std::path::PathBuf> {
    let mut folder = home.source();
    folder.extend(modules);
    [folder.join("mod.rs"), folder.with_extension("rs")].into_iter().find(|path| path.is_file())
}

/// Whether the file has that item with `pub` before it.
fn declares(file: &Path, item: &str) -> bool {
    let Ok(Some(text)) = read_if_there(file) else { return false };
    text.lines().any(|line| {
        let line = line.trim_start();
        let rest = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub "));
        rest.is_some_and(|rest| {
            rest.strip_prefix(item).is_some_and(|end| !end.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    })
}
