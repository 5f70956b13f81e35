//! The command line.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use tasker_telemetry::metrics::Format;

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
    #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
    pub(crate) metrics: Option<Format>,

    /// Print what the program can emit, and run nothing: as a table, markdown or json; or what watches it: dashboard (for
    /// Grafana) or rules (for Prometheus)
    #[arg(long, value_name = "FORM", hide_possible_values = true, conflicts_with_all = ["json", "metrics", "serve"])]
    pub(crate) catalog: Option<CatalogForm>,

    /// Serve /metrics and /health there, also when all orders are done, until interrupted
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) serve: Option<SocketAddr>,

    /// Colour: always, never, or auto (on a terminal, unless the variable `NO_COLOR` is set)
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, hide_possible_values = true)]
    pub(crate) color: Color,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_speed_is_a_positive_number() {
        assert!(speed("10").is_ok_and(|speed| speed > 9.9) && speed("0.5").is_ok());
        for bad in ["0", "-1", "NaN", "inf", "fast", ""] {
            assert!(speed(bad).is_err(), "{bad}");
        }
    }
}
