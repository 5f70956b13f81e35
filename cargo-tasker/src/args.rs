//! The command line: words and their help. What they mean is each command's own business.

use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::output;

const EXIT_CODES: &str = "Exit codes:\n  0  done; nothing to complain about\n  1  done; something was found: a breaking change, something broken\n  2  asked for something that makes no sense; nothing was written\n  3  something cannot be had: a file, a build, a server";

/// What a program can emit, new steps and subscribers, and what keeps telemetry from arriving
#[derive(Debug, Parser)]
#[command(name = "cargo-tasker", bin_name = "cargo tasker", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// How results are printed; `catalog` knows more formats than the other commands
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For a terminal
    #[default]
    #[value(alias = "text")]
    Table,
    /// For programs
    Json,
    /// `catalog` only: a page for a repository
    Markdown,
    /// `catalog` only: one self-contained page for a browser
    Html,
    /// `catalog` only: a registry for OpenTelemetry Weaver
    Weaver,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read the catalog out of a binary, without running it
    Catalog(CatalogArgs),
    /// Write a subscriber, a step, an event or a task, with a test
    New(NewArgs),
    /// Make a cargo project one with telemetry: dependency, settings, a first task and its test
    Init(InitArgs),
    /// Write a Grafana dashboard and Prometheus rules for a binary
    Dashboards(DashboardsArgs),
    /// Find out what keeps telemetry from arriving
    Doctor(DoctorArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the man page, or write one for each command into a folder
    Man {
        /// Where to
        folder: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct CatalogArgs {
    #[command(flatten)]
    pub(crate) binary: BinaryArgs,

    /// Only events whose name or description contains that text, in any case
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,

    /// Only events of that namespace: `payment` has `payment.risk_flagged`
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,

    /// Only events of that category: task, step, workflow, observability, custom
    #[arg(long, value_name = "NAME")]
    pub(crate) category: Option<String>,

    /// Write to that file (for `weaver`: into that folder) instead of printing
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,

    /// Write what consumers of events and metrics rely on to that file, to be checked against later
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "diff", "output"])]
    pub(crate) lock: Option<PathBuf>,

    /// Compare with such a file; exit code 1 when something that was promised is gone
    #[arg(long, value_name = "FILE", conflicts_with_all = ["diff", "output"])]
    pub(crate) check: Option<PathBuf>,

    /// Show what changed since that lock file, or since that catalog in JSON; exit code 1 for a breaking change
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub(crate) diff: Option<PathBuf>,
}

/// Which package code is written into.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ProjectArgs {
    /// The package of the workspace
    #[arg(long, short, value_name = "NAME")]
    pub(crate) package: Option<String>,

    /// The project's manifest
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest_path: Option<PathBuf>,
}

/// How it is written.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WriteArgs {
    /// The new file, instead of the usual place
    #[arg(long, value_name = "FILE")]
    pub(crate) path: Option<PathBuf>,

    /// Overwrite a file that is there
    #[arg(long)]
    pub(crate) force: bool,

    /// Show what would be written as a diff, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NewArgs {
    #[command(subcommand)]
    pub(crate) kind: NewKind,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NewKind {
    /// A type that receives events
    Subscriber {
        /// Its name: `OnCall` or `on_call`
        name: String,
        /// What it listens to: events of the library, of this project, `task.*`, `*`. Default: task.failed step.failed
        #[arg(long, num_args = 1.., value_name = "EVENT")]
        events: Vec<String>,
        /// Count the events and record their durations
        #[arg(long)]
        metrics: bool,
        #[command(flatten)]
        project: ProjectArgs,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// A unit of work
    Step {
        /// Its name: `charge`
        name: String,
        /// One that calls an HTTP service
        #[arg(long)]
        api: bool,
        #[command(flatten)]
        project: ProjectArgs,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// A fact with a name and typed fields
    Event {
        /// Its name: `payment.risk_flagged`
        name: String,
        /// Its fields: `amount:u64`, `note:Option<String>`, `card:String:sensitive`
        #[arg(value_name = "FIELD:TYPE")]
        fields: Vec<String>,
        #[command(flatten)]
        project: ProjectArgs,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// A workflow with a first step
    Task {
        /// Its name: `order_process`
        name: String,
        #[command(flatten)]
        project: ProjectArgs,
        #[command(flatten)]
        write: WriteArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// The name of the first task
    #[arg(long, value_name = "NAME", default_value = "hello")]
    pub(crate) task: String,

    /// Depend on the library in that folder, instead of the published one
    #[arg(long, value_name = "FOLDER")]
    pub(crate) library: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) project: ProjectArgs,

    /// Overwrite files that are there
    #[arg(long)]
    pub(crate) force: bool,

    /// Show what would be written as a diff, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) binary: BinaryArgs,

    /// An OTLP server over HTTP, instead of what the settings say
    #[arg(long, value_name = "URL")]
    pub(crate) otlp: Vec<String>,

    /// An OTLP server over gRPC, instead of what the settings say
    #[arg(long, value_name = "URL")]
    pub(crate) otlp_grpc: Vec<String>,

    /// A `StatsD` server
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) statsd: Option<String>,

    /// A Pushgateway
    #[arg(long, value_name = "URL")]
    pub(crate) pushgateway: Option<String>,

    /// A store: `postgres://..`, `sqlite:file`
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,

    /// A running process of the program: where it serves `/health`
    #[arg(long, value_name = "URL")]
    pub(crate) health: Option<String>,

    /// What its pages want as bearer token
    #[arg(long, value_name = "TEXT", requires = "health")]
    pub(crate) token: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DashboardsArgs {
    #[command(flatten)]
    pub(crate) binary: BinaryArgs,

    /// The folder that `dashboard.json` and `rules.yml` are written into
    #[arg(long, short, value_name = "FOLDER", default_value = "observability")]
    pub(crate) output: PathBuf,

    /// The dashboard's title
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,

    /// The dashboard's identity in Grafana, at most 40 characters
    #[arg(long, value_name = "TEXT")]
    pub(crate) uid: Option<String>,

    /// The share of failures, from 0 to 1, above which somebody is told
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pub(crate) failure_ratio: Option<f64>,

    /// How long 95 % of a step's attempts may take, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) slow_step: Option<f64>,

    /// Overwrite files that say something else
    #[arg(long)]
    pub(crate) force: bool,

    /// Show what would be written, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Which binary: a file, or what the project at hand builds.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct BinaryArgs {
    /// The binary: a program, a library (`.a`, `.rlib`, `.so`, `.dylib`, `.dll`), of any platform. Default: build the package here
    #[arg(value_name = "BINARY")]
    pub(crate) path: Option<PathBuf>,

    /// Build that package of the workspace
    #[arg(long, short, value_name = "NAME", conflicts_with = "path")]
    pub(crate) package: Option<String>,

    /// Build and read that program, where the package has several
    #[arg(long, value_name = "NAME", conflicts_with_all = ["path", "example"])]
    pub(crate) bin: Option<String>,

    /// Build and read that example
    #[arg(long, value_name = "NAME", conflicts_with = "path")]
    pub(crate) example: Option<String>,

    /// Build with that profile
    #[arg(long, value_name = "NAME", conflicts_with = "path")]
    pub(crate) profile: Option<String>,

    /// Build with optimisations
    #[arg(long, short, conflicts_with_all = ["path", "profile"])]
    pub(crate) release: bool,

    /// Build with these features
    #[arg(long, short = 'F', value_name = "FEATURES", conflicts_with = "path")]
    pub(crate) features: Vec<String>,

    /// The project's manifest
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    pub(crate) manifest_path: Option<PathBuf>,
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("a number from 0 to 1, such as 0.05".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(seconds),
        _ => Err("a number of seconds above 0, such as 2.5".to_owned()),
    }
}

/// The completions for a shell, as a script.
pub(crate) fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "cargo-tasker", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The man page on the standard output, or a page for each command in a folder.
pub(crate) fn man_pages(folder: Option<&Path>, format: Format) -> Result<Outcome, Failure> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        let written = clap_mangen::Man::new(Args::command().bin_name("cargo-tasker")).render(&mut page);
        written.map_err(|error| Failure::cannot(format!("the man page: {error}")))?;
        output::print(&String::from_utf8_lossy(&page))?;
        return Ok(Outcome::Fine);
    };
    let failed = |error: std::io::Error| Failure::cannot(format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Args::command().bin_name("cargo-tasker"), folder).map_err(failed)?;
    if format == Format::Json {
        output::print_json(&json!({"written": [folder]}))?;
    } else {
        output::print(&format!("wrote the man pages into {}", folder.display()))?;
    }
    Ok(Outcome::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_has_completions_and_a_place_in_the_man_page() {
        for shell in clap_complete::Shell::value_variants() {
            let script = completions(*shell);
            for command in Args::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }
}
