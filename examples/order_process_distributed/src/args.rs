//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Where the orders are unless told otherwise.
const ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/orders.json");

/// Processes orders on as many processes as you start, with one trace, one set of events and one set of metrics a task.
#[derive(Debug, Parser)]
#[command(name = "order_process_distributed")]
pub(crate) struct Args {
    /// Where the queue is: `sqlite://FILE` or `postgres://USER@HOST/DATABASE`
    #[arg(long, value_name = "URL", global = true, default_value = "sqlite://target/orders.db")]
    pub(crate) backend: Backend,

    #[command(flatten)]
    pub(crate) output: Output,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What becomes of what is seen.
#[derive(Debug, clap::Args)]
pub(crate) struct Output {
    /// Do without telemetry, whatever the other options say: what its cost is measured against
    #[arg(long, global = true)]
    pub(crate) off: bool,

    /// Print the events as JSON lines, and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Send the spans over OTLP to that server, for instance `http://127.0.0.1:4318`
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) otlp: Option<String>,

    /// Keep tasks, steps, attempts and errors there, for instance `sqlite://target/store.db` or the URL of a `PostgreSQL` database
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) store: Option<String>,

    /// Write the metrics of this process to that file at its end, as Prometheus has them
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) metrics_out: Option<PathBuf>,
}

/// What this process does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put orders into the queue
    Submit(Submit),
    /// Process orders, until interrupted
    Worker(Worker),
    /// Process the orders in this process, without a queue: what the others are to be compared with
    Embedded(Submit),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Submit {
    /// The orders, as JSON [default: examples/data/orders.json]
    #[arg(long, value_name = "FILE", default_value = ORDERS, hide_default_value = true)]
    pub(crate) orders: PathBuf,

    /// Where all luck comes from: the same seed, the same outcome of every attempt
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,

    /// How fast the simulated services are: 10 is ten times as fast
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub(crate) speed: f64,

    /// Let no worker begin with them before so many seconds have passed
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub(crate) delay: Duration,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Worker {
    /// End when no order is left
    #[arg(long)]
    pub(crate) until_idle: bool,

    /// How many nodes this process runs at once
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) at_once: usize,

    /// After so many seconds without a sign of life a worker counts as dead, and its nodes go to others
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) dead_after: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse::<u64>().map(Duration::from_secs).map_err(|_| "must be a whole number of seconds".to_owned())
}

/// Which database holds the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite(PathBuf),
    Postgres(String),
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        match url.split_once("://") {
            Some(("sqlite", file)) if !file.is_empty() => Ok(Self::Sqlite(file.into())),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(url.to_owned())),
            _ => Err("must be sqlite://FILE or postgres://USER@HOST/DATABASE".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_backend_is_a_url() {
        assert_eq!("sqlite://a/b.db".parse(), Ok(Backend::Sqlite("a/b.db".into())));
        assert!("postgres://u@h/d".parse::<Backend>().is_ok());
        for bad in ["", "a.db", "sqlite://", "mysql://h/d"] {
            assert!(bad.parse::<Backend>().is_err(), "{bad}");
        }
    }
}
