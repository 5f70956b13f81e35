//! The order process on as many machines as you like: the same steps and the same orders as `order_process`, as a graph that
//! apalis runs on `SQLite` or `PostgreSQL`. Read `graph` first, then `worker`; what the steps do stands in `../order_process/workflow.rs`.
//!
//! ```sh
//! cargo run -p order_process_distributed -- submit --backend sqlite://target/orders.db
//! cargo run -p order_process_distributed -- worker --backend sqlite://target/orders.db --until-idle
//! ```

mod args;
mod backend;
mod events;
mod graph;
mod parcel;
mod shops;
mod submit;
mod worker;

// The shop itself is that of the example `order_process`.
#[path = "../../order_process/chance.rs"]
mod chance;
#[allow(dead_code, reason = "`order_process` uses more of it")]
#[path = "../../order_process/domain.rs"]
mod domain;
#[path = "../../order_process/gateway.rs"]
mod gateway;
#[path = "../../order_process/json.rs"]
mod json;
#[path = "../../order_process/orders.rs"]
mod orders;
#[path = "../../order_process/workflow.rs"]
mod workflow;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command};
use crate::backend::Store;

/// Any error on its way to the user.
type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), BoxError> {
    let telemetry = events::telemetry(&args.output)?;
    match &args.command {
        Command::Submit(submit) => submit::submit(&Store::open(&args.backend).await?, submit, &args.output).await?,
        Command::Worker(worker) => worker::work(&Store::open(&args.backend).await?, worker, &telemetry).await?,
        Command::Embedded(orders) => submit::embedded(orders).await?,
    }
    // A collector that is not there is no reason to fail: the orders are processed.
    if let Err(error) = telemetry.shutdown().await {
        eprintln!("warning: {error}");
    }
    if let Some(file) = &args.output.metrics_out {
        std::fs::write(file, telemetry.metrics().render(tasker_telemetry::metrics::Format::Prometheus))?;
    }
    Ok(())
}
