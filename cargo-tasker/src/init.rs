//! `cargo tasker init`: an existing cargo project gets the dependency, settings with their explanations, and a first task with its
//! test. What is there stays.

use crate::args::{Format, InitArgs, WriteArgs};
use crate::failure::{Failure, Outcome};
use crate::files::{Finish, Plan, finish};
use crate::new::home::Home;
use crate::new::manifest::{Dependency, depend};
use crate::new::task;

pub(crate) fn run(args: &InitArgs, format: Format) -> Result<Outcome, Failure> {
    let home = Home::find(&args.project)?;
    let path = match &args.library {
        Some(folder) => {
            let folder =
                folder.canonicalize().map_err(|error| Failure::cannot(format!("{}: {error}", folder.display())))?;
            if !folder.join("Cargo.toml").is_file() {
                return Err(Failure::wrong(format!("{} is no package: it has no Cargo.toml", folder.display())));
            }
            Some(folder.display().to_string())
        }
        None => None,
    };
    let mut plan = Plan::new();
    let version = short_version(env!("CARGO_PKG_VERSION"));
    let library = Dependency { name: "tasker-telemetry", version: &version, path, ..Dependency::default() };
    let serde = Dependency { name: "serde", version: "1", features: &["derive"], ..Dependency::default() };
    depend(&mut plan, &home, &[library, serde])?;
    let settings = home.root.join("tasker.toml");
    // Settings of one's own are not for a generator to overwrite.
    if !settings.exists() || args.force {
        plan.create(settings, template(&home))?;
    }
    let write = WriteArgs { path: None, force: args.force, dry_run: args.dry_run };
    task::plan(&mut plan, &home, &args.task, &write)?;
    let how = Finish { dry_run: args.dry_run, force: args.force, json: format == Format::Json };
    finish(plan, &home.root, how)?;
    Ok(Outcome::Fine)
}

/// As manifests write it: `0.1`, `1`.
fn short_version(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next()) {
        (Some("0"), Some(minor)) => format!("0.{minor}"),
        (Some(major), _) => major.to_owned(),
        (None, _) => version.to_owned(),
    }
}

/// A settings file that says what may stand in it; the service has this package's name.
fn template(home: &Home) -> String {
    let name = format!("service_name = \"{}\"", home.package);
    tasker_telemetry::settings::template().replacen("# service_name = \"tasker\"", &name, 1)
}
