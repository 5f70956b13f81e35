//! The command line.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum};
use tasker_telemetry::metrics::Format;
use tasker_telemetry::trace::Sampling;

/// Where the orders are unless told otherwise; next to this program's source, so that it runs from any folder.
const ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/orders.json");

/// Processes the orders of a file and shows what happened, event by event and step by step.
#[derive(Debug, Parser)]
#[command(
    name = "order_process",
    after_help = "Exit code: 0 when the orders were processed, be it with failures; 2 when the input is bad."
)]
pub(crate) struct Args {
    /// The orders, as JSON [default: examples/data/orders.json]
    #[arg(long, value_name = "FILE", default_value = ORDERS, hide_default_value = true)]
    pub(crate) orders: PathBuf,

    /// Process the order with this id, and no other
    #[arg(long, value_name = "ID")]
    pub(crate) only: Option<String>,

    /// Where all luck comes from: the same seed, the same outcome of every attempt
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,

    /// How fast the simulated services are: 10 is ten times as fast
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,

    /// Print the events as JSON lines, and nothing else
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the metrics in that format, and nothing else: prometheus, openmetrics, json or csv
    #[arg(long, value_name = "FORMAT")]
    pub(crate) metrics: Option<Format>,

    /// Write the metrics to that file instead, by default as prometheus
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics_out: Option<PathBuf>,

    /// Send the spans over OTLP to that server, for instance `http://127.0.0.1:4318`; over gRPC where the variable
    /// `OTEL_EXPORTER_OTLP_PROTOCOL` says `grpc` (built with `--features grpc`)
    #[arg(long, value_name = "URL")]
    pub(crate) otlp: Option<String>,

    /// Keep tasks, steps and errors in that database, `sqlite://orders.db` or `postgres://user@host/name`, go on with orders that an
    /// earlier run left unfinished, and leave alone those that have ended [default: a file beside this program]
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    store: Option<String>,

    /// Print the failures that earlier runs stored, as a table or with --json as JSON, and run nothing
    #[arg(long, conflicts_with_all = ["catalog", "metrics", "metrics_out", "otlp", "serve"])]
    pub(crate) errors: bool,

    /// Trace only this share of the orders, from 0 to 1; events and metrics are those of all
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pub(crate) sampling: Option<f64>,

    /// Trace the orders that fail, too, whatever the share
    #[arg(long)]
    pub(crate) keep_failures: bool,

    /// Print what the program can emit, and run nothing: as a table, markdown or json; or what watches it: dashboard (for
    /// Grafana) or rules (for Prometheus)
    #[arg(long, value_name = "FORM", hide_possible_values = true, conflicts_with_all = ["json", "metrics", "metrics_out", "otlp", "serve"])]
    pub(crate) catalog: Option<CatalogForm>,

    /// Serve /metrics and /health there, also when all orders are done, until interrupted
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) serve: Option<SocketAddr>,

    /// Colour: always, never, or auto (on a terminal, unless the variable `NO_COLOR` is set)
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, hide_possible_values = true)]
    pub(crate) color: Color,
}

impl Args {
    /// The arguments of this run; if they make no sense, the program ends with code 2.
    pub(crate) fn read() -> Self {
        Self::parse().checked().unwrap_or_else(|error| error.exit())
    }

    fn checked(self) -> Result<Self, clap::Error> {
        if self.json && self.prints_metrics() {
            let problem =
                "--json and --metrics both print to standard output: send the metrics to a file with --metrics-out";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, problem));
        }
        Ok(self)
    }

    /// Where the store is, if one is wanted.
    pub(crate) fn store(&self) -> Option<String> {
        match self.store.as_deref() {
            None if !self.errors => None,
            None | Some("") => Some(default_store()),
            Some(url) => Some(url.to_owned()),
        }
    }

    /// Whether standard output is for the metrics.
    pub(crate) const fn prints_metrics(&self) -> bool {
        self.metrics.is_some() && self.metrics_out.is_none()
    }

    /// Which orders are traced.
    pub(crate) fn sampling(&self) -> Sampling {
        let sampling = self.sampling.map_or(Sampling::all(), Sampling::ratio);
        if self.keep_failures { sampling.keep_failures() } else { sampling }
    }
}

/// Beside the program, which cargo puts below the target folder.
fn default_store() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    format!("sqlite://{}", program.with_file_name("order_process.db").display())
}

/// What is made of the catalog.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CatalogForm {
    Table,
    Markdown,
    Json,
    Dashboard,
    Rules,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// Whether standard output gets colour.
    pub(crate) fn is_on(self) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                std::io::stdout().is_terminal()
                    && !is_set("NO_COLOR")
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.01..=1_000.0).contains(&speed) => Ok(speed),
        _ => Err("must be a number from 0.01 to 1000".to_owned()),
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn outputs_combine_unless_two_are_meant_for_standard_output() {
        let read = |args: &str| Args::try_parse_from(args.split(' ')).and_then(Args::checked);
        for good in [
            "x --json --metrics csv --metrics-out m.csv --otlp http://h:4318 --sampling 0.5 --keep-failures",
            "x --json --metrics-out m.txt",
            "x --metrics json --otlp http://h:4318",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        let error = read("x --json --metrics csv").unwrap_err().to_string();
        assert!(error.contains("--metrics-out"), "{error}");
        for bad in ["x --sampling 1.1", "x --sampling -0.1", "x --sampling NaN", "x --metrics xml"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_speed_is_a_positive_number() {
        assert!(speed("10").is_ok_and(|speed| speed > 9.9) && speed("0.5").is_ok());
        for bad in ["0", "-1", "NaN", "inf", "fast", ""] {
            assert!(speed(bad).is_err(), "{bad}");
        }
    }
}
