//! `cargo tasker dashboards`: what to look at, and when to be woken, for the program that a binary is.

use std::time::Duration;

use tasker_telemetry::observe::{Dashboard, Rules};

use crate::args::{DashboardsArgs, Format};
use crate::failure::{Failure, Outcome};
use crate::files::{Finish, Plan, finish};
use crate::{catalog, project};

pub(crate) fn run(args: &DashboardsArgs, format: Format) -> Result<Outcome, Failure> {
    let found = catalog::read(&project::binary(&args.binary)?)?;
    catalog::tell_version(found.version.as_deref());
    let mut dashboard = Dashboard::new();
    if let Some(title) = &args.title {
        dashboard = dashboard.title(title);
    }
    if let Some(uid) = &args.uid {
        if uid.is_empty() || uid.len() > 40 {
            return Err(Failure::wrong("a dashboard's identity has 1 to 40 characters"));
        }
        dashboard = dashboard.uid(uid);
    }
    let mut rules = Rules::new();
    if let Some(ratio) = args.failure_ratio {
        rules = rules.failure_ratio(ratio);
    }
    if let Some(seconds) = args.slow_step {
        rules = rules.slow_step(Duration::from_secs_f64(seconds));
    }
    let json = serde_json::to_string_pretty(&found.catalog.dashboard(&dashboard)).unwrap_or_default() + "\n";
    let mut plan = Plan::new();
    plan.create(args.output.join("dashboard.json"), json)?;
    plan.create(args.output.join("rules.yml"), found.catalog.rules(&rules))?;
    let how = Finish { dry_run: args.dry_run, force: args.force, json: format == Format::Json };
    finish(plan, std::path::Path::new(""), how)?;
    Ok(Outcome::Fine)
}
