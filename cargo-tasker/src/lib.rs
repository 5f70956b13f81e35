//! `cargo tasker`: what a binary can emit, new steps and subscribers, and what keeps telemetry from arriving.
//!
//! The command's documentation is `docs/cargo-tasker.md`, and `cargo tasker --help`. This library exists so that the reader of
//! binaries can be measured and fed with garbage; it makes no promise to anybody but the command.

#![forbid(unsafe_code)]

mod args;
mod catalog;
mod dashboards;
mod doctor;
mod failure;
mod files;
mod init;
mod new;
mod output;
mod project;
pub mod reader;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Args, Command};
use self::failure::{Failure, Outcome};

/// Runs the command with these arguments, of which the first is the program's name; cargo puts `tasker` behind it.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments.get(1).is_some_and(|first| first == "tasker") {
        arguments.remove(1);
    }
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            // Help and version come this way, too. A terminal that went away is nothing to report.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let format = args.format;
    match execute(args) {
        Ok(outcome) => outcome.code(),
        Err(failure) => {
            output::failure(&failure, format);
            failure.code()
        }
    }
}

fn execute(args: Args) -> Result<Outcome, Failure> {
    let format = args.format;
    match args.command {
        Command::Catalog(args) => catalog::run(&args, format),
        Command::New(args) => new::run(&args, format),
        Command::Init(args) => init::run(&args, format),
        Command::Doctor(args) => doctor::run(&args, format),
        Command::Dashboards(args) => dashboards::run(&args, format),
        Command::Completions { shell } => {
            output::print(&args::completions(shell))?;
            Ok(Outcome::Fine)
        }
        Command::Man { folder } => args::man_pages(folder.as_deref(), format),
    }
}
