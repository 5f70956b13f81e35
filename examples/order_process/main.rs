//! The order process: orders go through cart, stock, payment and shipment, and everything that happens is seen.
//!
//! Read `workflow` first: it is what a user of the library writes. `live` and `on_call` are subscribers; `history` and
//! `summary` turn the events into the tables at the end, the library the spans into waterfalls; `stored` asks the store what is left to
//! do. The rest is a shop that can
//! be run: `domain` and `gateway` (the services, simulated), `orders` and `json` (the input), `args` and `paint`.
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
mod stored;
mod summary;
mod workflow;

use std::error::Error;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

use tasker_telemetry::metrics::Format;
use tasker_telemetry::metrics::serve::Pages;
use tasker_telemetry::state::State;
use tasker_telemetry::store::Store;
use tasker_telemetry::trace::{InMemorySpans, Otlp, Waterfall};
use tasker_telemetry::{BuildError, Catalog, Telemetry};
use tokio::task::JoinSet;

use crate::args::{Args, CatalogForm};
use crate::domain::{Order, OrderError, Shipment};
use crate::gateway::Gateway;
use crate::live::{Live, Output};
use crate::on_call::OnCall;
use crate::paint::{Paint, duration};
use crate::seen::Seen;
use crate::stored::{Counts, Standing};

/// So many orders are under way at once.
const AT_ONCE: usize = 8;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::read();
    if let Some(form) = args.catalog {
        let printed = print(&catalog(form));
        return if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if let (true, Some(url)) = (args.errors, args.store()) {
        let paint = Paint { is_on: args.color.is_on() };
        let printed = stored::errors(&url, args.json, paint).await.map(|text| print(&text));
        return match printed {
            Ok(Ok(())) => ExitCode::SUCCESS,
            Ok(Err(_)) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(2)
            }
        };
    }
    let orders = match orders::load(&args.orders, args.only.as_deref()) {
        Ok(orders) => orders,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let run = match Run::new(&args) {
        Ok(run) => run,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    match run.process(orders).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
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

/// One run of this program.
struct Run<'a> {
    args: &'a Args,
    paint: Paint,
    telemetry: Telemetry,
    /// What the waterfalls are drawn from.
    spans: InMemorySpans,
    events: mpsc::Receiver<Seen>,
    for_humans: mpsc::Receiver<String>,
    metrics_file: Option<File>,
}

impl<'a> Run<'a> {
    /// Everything that may be wrong with the arguments is wrong here, before any order is processed.
    fn new(args: &'a Args) -> Result<Self, String> {
        let create = |path: &PathBuf| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
        let metrics_file = args.metrics_out.as_ref().map(create).transpose()?;
        let paint = Paint { is_on: args.color.is_on() };
        let output = match args {
            Args { json: true, .. } => Output::Json,
            args if args.prints_metrics() => Output::Silent,
            _ => Output::Lines(paint),
        };
        let (journal, events) = mpsc::channel();
        let (notes, for_humans) = mpsc::channel();
        let spans = InMemorySpans::default();
        let mut builder = Telemetry::builder()
            .service_name("shop")
            .sampling(args.sampling())
            .in_memory_spans(spans.clone())
            .subscriber(Live::new(output, journal))
            .subscriber(OnCall::new(notes));
        if let Some(url) = &args.otlp {
            builder = builder.otlp_with(Otlp::new().endpoint(url));
        }
        if let Some(url) = args.store() {
            builder = builder.store_with(url, stored::options());
        }
        let telemetry = builder.install().map_err(|error: BuildError| error.to_string())?;
        Ok(Self { args, paint, telemetry, spans, events, for_humans, metrics_file })
    }

    async fn process(mut self, orders: Vec<Order>) -> Result<(), Box<dyn Error>> {
        let Self { args, telemetry, .. } = &self;
        let server = args.serve.map(|address| Pages::new(telemetry.metrics()).serve(address)).transpose()?;
        if let Some(server) = &server {
            eprintln!("http://{}/metrics", server.local_addr());
        }

        let begin = Instant::now();
        let (outcomes, before) = process(orders, Gateway::new(args.seed, args.speed), telemetry.store()).await?;
        let took = begin.elapsed().as_secs_f64();
        let stored = args.store().map(|url| before.line(&url)).unwrap_or_default();
        // From here on every event has been seen. A backend that is not there is no reason to say less of the orders.
        if let Err(error) = telemetry.shutdown().await {
            eprintln!("warning: {error}");
        }

        if let Some(store) = telemetry.health().store.filter(|store| store.lost_total() > 0) {
            let why = store.last_error.unwrap_or_default();
            eprintln!(
                "warning: {} events could not be stored ({:?}): {why}",
                store.lost.values().sum::<u64>(),
                store.lost
            );
        }

        let metrics = telemetry.metrics().render(args.metrics.unwrap_or(Format::Prometheus));
        if args.prints_metrics() {
            print(&metrics)?;
        } else if !args.json {
            print(&self.report(&outcomes, took, &stored))?;
        } else if self.spans_were_dropped() {
            eprintln!("warning: {}", self.spans_line(&[]));
        }
        if let Some(file) = &mut self.metrics_file {
            file.write_all(metrics.as_bytes())?;
        }
        if server.is_some() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    /// What is shown when all is done.
    fn report(&self, outcomes: &[Result<Shipment, OrderError>], took: f64, stored: &str) -> String {
        let Self { args, paint, .. } = *self;
        let events: Vec<_> = self.events.try_iter().collect();
        let notes: Vec<_> = self.for_humans.try_iter().collect();
        let (tasks, waterfalls) = (history::histories(&events), Waterfall::of(&self.spans.spans()));
        let shipped = outcomes.iter().filter(|outcome| outcome.is_ok()).count();

        let mut sections = vec![String::new()];
        for (title, waterfall) in summary::remarkable(&waterfalls) {
            sections.push(format!("{} {}", paint.bold(title), waterfall.render(paint.is_on)));
        }
        if !waterfalls.is_empty() {
            sections.push(Waterfall::legend(paint.is_on));
        }
        sections.push(summary::tables(&tasks, paint));
        if shipped < outcomes.len() {
            sections.push(summary::failures(&tasks, paint));
        }
        if !notes.is_empty() {
            sections.push(format!("{}\n  {}", paint.bold("for a human to look at"), notes.join("\n  ")));
        }
        sections.push(format!(
            "{} orders in {}: {} shipped, {} failed. Seed {}, {} events, {} dropped.\n{}\n{}",
            outcomes.len(),
            duration(took),
            paint.green(shipped),
            paint.red(outcomes.len() - shipped),
            args.seed,
            events.len(),
            self.telemetry.health().dropped(),
            self.spans_line(&waterfalls),
            if stored.is_empty() { String::new() } else { format!("{stored}\n") },
        ));
        sections.join("\n\n")
    }

    fn spans_were_dropped(&self) -> bool {
        self.telemetry.health().spans.is_some_and(|spans| spans.dropped() > 0)
    }

    /// What became of the spans, and where to find the slowest task.
    fn spans_line(&self, tasks: &[Waterfall]) -> String {
        let exporters = self.telemetry.health().spans.map(|spans| spans.exporters).unwrap_or_default();
        let name = if self.args.otlp.is_some() { "otlp" } else { "memory" };
        let Some(exporter) = exporters.into_iter().find(|exporter| exporter.name == name) else { return String::new() };
        let way = if self.args.otlp.is_some() { " over OTLP" } else { "" };
        let mut line = format!("{} spans exported{way}, {} dropped", exporter.exported, exporter.dropped_total());
        let reasons: Vec<_> = exporter.dropped.iter().map(|(reason, spans)| format!("{reason} {spans}")).collect();
        if !reasons.is_empty() {
            line = format!("{line} ({})", reasons.join(", "));
        }
        if let Some(error) = exporter.last_error {
            line = format!("{line}; last error: {error}");
        }
        match summary::slowest(tasks).filter(|_| self.args.otlp.is_some()) {
            Some(slowest) => format!("{line}. Slowest: {}, trace {}.", slowest.task_id(), slowest.trace_id()),
            None => line + ".",
        }
    }
}

fn print(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has read enough (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Processes the orders, some at once; with a store, only those that have not ended. Also says how they stood before.
async fn process(
    orders: Vec<Order>,
    shop: Gateway,
    store: Option<Store>,
) -> Result<(Vec<Result<Shipment, OrderError>>, Counts), Box<dyn Error>> {
    let shop = Arc::new(shop);
    let mut under_way = JoinSet::new();
    let (mut outcomes, mut before) = (Vec::new(), Counts::default());
    for order in orders {
        let standing = match &store {
            Some(store) => stored::standing(store, &order).await?,
            None => Standing::New,
        };
        let task = match standing {
            Standing::New => None,
            Standing::Unfinished(task) => Some(task),
            Standing::Ended(State::Complete) => {
                before.completed += 1;
                continue;
            }
            Standing::Ended(_) => {
                before.failed += 1;
                continue;
            }
            Standing::Elsewhere => {
                before.elsewhere += 1;
                continue;
            }
        };
        before.resumed += usize::from(task.is_some());
        if under_way.len() == AT_ONCE
            && let Some(outcome) = under_way.join_next().await
        {
            outcomes.push(outcome?);
        }
        let shop = Arc::clone(&shop);
        under_way.spawn(async move {
            let process = workflow::order_process(&shop, &order);
            match task {
                Some(task) => task.scope(process).await,
                None => process.await,
            }
        });
    }
    while let Some(outcome) = under_way.join_next().await {
        outcomes.push(outcome?);
    }
    Ok((outcomes, before))
}
