//! `new step charge`, and `new step fetch_user --api`: a step that calls an HTTP service.

use serde_json::json;

use super::event::SERDE;
use super::home::Home;
use super::manifest::{Dependency, depend};
use super::modules::declare;
use super::names::{Name, sentence};
use super::{place, render};
use crate::args::WriteArgs;
use crate::failure::Failure;
use crate::files::Plan;

pub(super) fn plan(plan: &mut Plan, home: &Home, name: &str, api: bool, write: &WriteArgs) -> Result<(), Failure> {
    let name = Name::parse(name)?;
    let template =
        if api { include_str!("../../templates/api_step.rs.j2") } else { include_str!("../../templates/step.rs.j2") };
    let context = json!({"snake": name.snake, "camel": name.camel, "sentence": sentence(&name.snake)});
    let code = render::code(home, template, context)?;
    let file = place(home, write, "steps", &name.snake);
    declare(plan, home, &file)?;
    plan.create(file, code)?;
    if api {
        let library = Dependency { name: "tasker-telemetry", features: &["api"], ..Dependency::default() };
        let features = &["macros", "rt"];
        let tokio = Dependency { name: "tokio", version: "1", features, dev: true, ..Dependency::default() };
        depend(plan, home, &[library, SERDE, tokio])?;
    }
    Ok(())
}
