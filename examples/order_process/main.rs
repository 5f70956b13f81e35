//! The order process: orders go through cart, stock, payment and shipment, and everything that happens is seen.
//!
//! Read `workflow` first: it is what a user of the library writes. `live` and `on_call` are subscribers; `history`,
//! `waterfall` and `summary` turn the events into what is printed at the end. The rest is a shop that can be run:
//! `domain` and `gateway` (the services, simulated), `orders` and `json` (the input), `args` and `paint`.
//!
//! ```sh
//! cargo run --example order_process -- --help
//! ```

mod args;
mod chance;
mod domain;
mod gateway;
mod history;
mod json;
mod live;
mod on_call;
mod orders;
mod paint;
mod seen;
mod summary;
mod waterfall;
mod workflow;

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

use clap::Parser as _;
use tasker_telemetry::metrics::serve::Pages;
use tasker_telemetry::{Catalog, Telemetry};
use tokio::task::JoinSet;

use crate::args::{Args, CatalogForm};
use crate::domain::{Order, OrderError, Shipment};
use crate::gateway::Gateway;
use crate::live::{Live, Output};
use crate::on_call::OnCall;
use crate::paint::{Paint, duration};
use crate::seen::Seen;

/// So many orders are under way at once.
const AT_ONCE: usize = 8;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(form) = args.catalog {
        let printed = print(&catalog(form));
        return if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let orders = match orders::load(&args.orders, args.only.as_deref()) {
        Ok(orders) => orders,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match run(&args, orders).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args, orders: Vec<Order>) -> Result<(), Box<dyn Error>> {
    let paint = Paint { is_on: args.color.is_on() };
    let output = match args.metrics {
        Some(_) => Output::Silent,
        None if args.json => Output::Json,
        None => Output::Lines(paint),
    };
    let (journal, events) = mpsc::channel();
    let (notes, for_humans) = mpsc::channel();
    let telemetry = Telemetry::builder()
        .service_name("shop")
        .subscriber(Live::new(output, journal))
        .subscriber(OnCall::new(notes))
        .install()?;

    let server = args.serve.map(|address| Pages::new(telemetry.metrics()).serve(address)).transpose()?;
    if let Some(server) = &server {
        eprintln!("http://{}/metrics", server.local_addr());
    }

    let begin = Instant::now();
    let outcomes = process(orders, Gateway::new(args.seed, args.speed)).await?;
    let took = begin.elapsed().as_secs_f64();
    telemetry.shutdown().await?; // from here on every event has been seen

    if let Some(format) = args.metrics {
        print(&telemetry.metrics().render(format))?;
    } else if !args.json {
        print(&report(args, paint, &outcomes, took, &events, &for_humans, &telemetry))?;
    }
    if server.is_some() {
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// What the program can emit, and what watches it.
fn catalog(form: CatalogForm) -> String {
    match form {
        CatalogForm::Table => Catalog::table(),
        CatalogForm::Markdown => Catalog::markdown(),
        CatalogForm::Json => format!("{:#}\n", Catalog::json()),
        CatalogForm::Dashboard => format!("{:#}\n", Catalog::grafana_dashboard()),
        CatalogForm::Rules => Catalog::prometheus_rules(),
    }
}

/// What is shown when all is done.
fn report(
    args: &Args,
    paint: Paint,
    outcomes: &[Result<Shipment, OrderError>],
    took: f64,
    events: &mpsc::Receiver<Seen>,
    for_humans: &mpsc::Receiver<String>,
    telemetry: &Telemetry,
) -> String {
    let events: Vec<_> = events.try_iter().collect();
    let notes: Vec<_> = for_humans.try_iter().collect();
    let tasks = history::histories(&events);
    let shipped = outcomes.iter().filter(|outcome| outcome.is_ok()).count();

    let trees = summary::remarkable(&tasks).into_iter().map(|(title, task)| waterfall::tree(title, task, paint));
    let mut sections: Vec<_> = [String::new()].into_iter().chain(trees).collect();
    sections.push(waterfall::legend(paint));
    sections.push(summary::tables(&tasks, paint));
    if shipped < outcomes.len() {
        sections.push(summary::failures(&tasks, paint));
    }
    if !notes.is_empty() {
        sections.push(format!("{}\n  {}", paint.bold("for a human to look at"), notes.join("\n  ")));
    }
    sections.push(format!(
        "{} orders in {}: {} shipped, {} failed. Seed {}, {} events, {} dropped.\n",
        outcomes.len(),
        duration(took),
        paint.green(shipped),
        paint.red(outcomes.len() - shipped),
        args.seed,
        events.len(),
        telemetry.health().dropped(),
    ));
    sections.join("\n\n")
}

fn print(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has read enough (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Processes the orders, some at once.
async fn process(
    orders: Vec<Order>,
    shop: Gateway,
) -> Result<Vec<Result<Shipment, OrderError>>, tokio::task::JoinError> {
    let shop = Arc::new(shop);
    let mut under_way = JoinSet::new();
    let mut outcomes = Vec::new();
    for order in orders {
        if under_way.len() == AT_ONCE
            && let Some(outcome) = under_way.join_next().await
        {
            outcomes.push(outcome?);
        }
        let shop = Arc::clone(&shop);
        under_way.spawn(async move { workflow::order_process(&shop, &order).await });
    }
    while let Some(outcome) = under_way.join_next().await {
        outcomes.push(outcome?);
    }
    Ok(outcomes)
}
