//! `cargo tasker doctor`: what keeps telemetry from arriving. Every check has a limit, all run at once, and each finding says what to
//! do.

mod export;
mod finding;
mod linked;
mod network;
mod services;
mod settings;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;

use self::finding::{Finding, Level};
use self::settings::Plan;
use crate::args::{DoctorArgs, Format};
use crate::failure::{Failure, Outcome};
use crate::{output, project};

/// When an answer is given, whoever has not answered.
const ALL: Duration = Duration::from_secs(9);

type Check = Box<dyn FnOnce() -> Vec<Finding> + Send>;

pub(crate) fn run(args: &DoctorArgs, format: Format) -> Result<Outcome, Failure> {
    let (plan, mut findings) = settings::read(args);
    findings.extend(all(checks(args, plan)));
    let broken = findings.iter().filter(|finding| finding.level == Level::Broken).count();
    let warnings = findings.iter().filter(|finding| finding.level == Level::Warning).count();
    if format == Format::Json {
        let list: Vec<_> = findings.iter().map(Finding::json).collect();
        output::print_json(&json!({"findings": list, "broken": broken, "warnings": warnings}))?;
    } else {
        let mut lines: Vec<_> = findings.iter().map(Finding::text).collect();
        lines.push(match (broken, warnings) {
            (0, 0) => "nothing is broken".to_owned(),
            (broken, warnings) => format!("{broken} broken, {warnings} warnings"),
        });
        output::print(&lines.join("\n"))?;
    }
    Ok(if broken > 0 { Outcome::Found } else { Outcome::Fine })
}

/// What there is to look at, with its name.
fn checks(args: &DoctorArgs, plan: Plan) -> Vec<(&'static str, Check)> {
    let mut checks: Vec<(&'static str, Check)> = Vec::new();
    for target in plan.targets {
        checks.push(("otlp", Box::new(move || export::check(&target))));
    }
    if let Some(address) = plan.statsd {
        checks.push(("statsd", Box::new(move || vec![services::statsd(&address)])));
    }
    if let Some(url) = plan.pushgateway {
        checks.push(("pushgateway", Box::new(move || vec![services::pushgateway(&url)])));
    }
    if let Some(url) = plan.store {
        checks.push(("store", Box::new(move || vec![services::store(&url)])));
    }
    let token = args.token.clone().or_else(|| std::env::var("TASKER_TELEMETRY__SERVE__BEARER_TOKEN").ok());
    match (args.health.clone(), plan.serve) {
        (Some(url), _) => {
            checks.push(("running process", Box::new(move || services::health(&url, token.as_deref()))));
        }
        (None, Some(address)) => {
            checks.push(("running process", Box::new(move || services::maybe_running(&address, token.as_deref()))));
        }
        (None, None) => {}
    }
    let binary = args.binary.clone();
    checks.push(("project", Box::new(move || of_project(&binary))));
    checks
}

fn of_project(binary: &crate::args::BinaryArgs) -> Vec<Finding> {
    let first_line = |failure: Failure| failure.to_string().lines().next().unwrap_or_default().to_owned();
    // Without dependencies first: that reads no lock file, so what it says was there before us.
    let root = match project::metadata(binary.manifest_path.as_deref(), false) {
        Ok(metadata) => metadata.workspace_root,
        Err(failure) => {
            let problem = format!("there is no cargo project to look at: {}", first_line(failure));
            return vec![Finding::skipped("project", problem, "start it in a project's folder")];
        }
    };
    let lock = std::fs::read_to_string(root.join("Cargo.lock"));
    let mut findings = lock.map(|lock| linked::versions(&lock)).unwrap_or_default();
    match project::metadata(binary.manifest_path.as_deref(), true) {
        Ok(metadata) => findings.extend(linked::program(&metadata, binary)),
        Err(failure) => findings.push(Finding::skipped("project", first_line(failure), "`cargo build` says more")),
    }
    findings
}

/// Runs all of them at once. One that does not end in time is a finding, too, and is left behind.
fn all(checks: Vec<(&'static str, Check)>) -> Vec<Finding> {
    let until = Instant::now() + ALL;
    let (sender, receiver) = mpsc::channel();
    let mut answers: Vec<(&'static str, Option<Vec<Finding>>)> = Vec::new();
    for (index, (name, check)) in checks.into_iter().enumerate() {
        let sender = sender.clone();
        answers.push((name, None));
        std::thread::spawn(move || {
            // Nobody may be waiting any more.
            let _ = sender.send((index, check()));
        });
    }
    drop(sender);
    // Ends when all have answered, or when time is over; a check that panicked has not answered, either.
    while let Ok((index, findings)) = receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
        answers[index].1 = Some(findings);
    }
    let in_time = |(name, findings): (&'static str, Option<Vec<Finding>>)| {
        findings.unwrap_or_else(|| {
            let problem = format!("no answer within {} s", ALL.as_secs());
            vec![Finding::broken(name, problem, "something hangs there: look at it by hand")]
        })
    };
    answers.into_iter().flat_map(in_time).collect()
}
