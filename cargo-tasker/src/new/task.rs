//! `new task order_process`: a task with a first step.

use serde_json::json;

use super::home::Home;
use super::modules::declare;
use super::names::{Name, sentence};
use super::{place, render};
use crate::args::WriteArgs;
use crate::failure::Failure;
use crate::files::Plan;

pub(crate) fn plan(plan: &mut Plan, home: &Home, name: &str, write: &WriteArgs) -> Result<(), Failure> {
    let name = Name::parse(name)?;
    let context = json!({"snake": name.snake, "camel": name.camel, "sentence": sentence(&name.snake)});
    let code = render::code(home, include_str!("../../templates/task.rs.j2"), context)?;
    let file = place(home, write, "tasks", &name.snake);
    declare(plan, home, &file)?;
    plan.create(file, code)
}
