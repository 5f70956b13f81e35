//! `cargo tasker new`: code in the project's style, with a test that means something, and declared where it belongs.

mod event;
pub(crate) mod home;
pub(crate) mod manifest;
pub(crate) mod modules;
pub(crate) mod names;
pub(crate) mod render;
mod step;
mod subscriber;
pub(crate) mod task;

use std::path::PathBuf;

use self::home::Home;
use crate::args::{Format, NewArgs, NewKind, WriteArgs};
use crate::failure::{Failure, Outcome};
use crate::files::{Finish, Plan, finish};

pub(crate) fn run(args: &NewArgs, format: Format) -> Result<Outcome, Failure> {
    let (project, write) = match &args.kind {
        NewKind::Subscriber { project, write, .. }
        | NewKind::Step { project, write, .. }
        | NewKind::Event { project, write, .. }
        | NewKind::Task { project, write, .. } => (project, write),
    };
    let home = Home::find(project)?;
    if !manifest::has(&home, "tasker-telemetry")? {
        return Err(Failure::wrong(format!(
            "`{}` does not depend on tasker-telemetry: `cargo tasker init` adds it",
            home.krate
        )));
    }
    let mut plan = Plan::new();
    match &args.kind {
        NewKind::Subscriber { name, events, metrics, .. } => {
            subscriber::plan(&mut plan, &home, project, name, events, *metrics, write)?;
        }
        NewKind::Step { name, api, .. } => step::plan(&mut plan, &home, name, *api, write)?,
        NewKind::Event { name, fields, .. } => event::plan(&mut plan, &home, name, fields, write)?,
        NewKind::Task { name, .. } => task::plan(&mut plan, &home, name, write)?,
    }
    let how = Finish { dry_run: write.dry_run, force: write.force, json: format == Format::Json };
    finish(plan, &home.root, how)?;
    Ok(Outcome::Fine)
}

/// The file that was asked for, or the usual one: `src/steps/charge.rs`.
fn place(home: &Home, write: &WriteArgs, folder: &str, name: &str) -> PathBuf {
    match &write.path {
        Some(path) if path.is_absolute() => path.clone(),
        Some(path) => home.root.join(path),
        None => home.source().join(folder).join(format!("{name}.rs")),
    }
}
