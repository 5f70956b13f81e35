//! `worker`: processes orders, beside as many other workers as there are.

use std::time::{Duration, Instant};

use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use tasker_telemetry::Telemetry;
use tasker_telemetry_apalis::{Orchestration, WorkerBuilderExt as _};
use tower::limit::ConcurrencyLimitLayer;

use crate::BoxError;
use crate::args::Worker;
use crate::backend::{self, Store};
use crate::graph;
use crate::shops::Shops;

/// How long a worker waits that has lost its database.
const DATABASE_GONE: Duration = Duration::from_millis(500);
/// So often it is looked whether anything is left to do.
const IDLE_CHECK: Duration = Duration::from_millis(50);

/// Works until interrupted or, if asked to, until nothing is left.
pub(crate) async fn work(store: &Store, args: &Worker, telemetry: &Telemetry) -> Result<(), BoxError> {
    let shops = Shops::default();
    let begin = Instant::now();
    let mut incarnation = 0_u32;
    loop {
        // A name that nobody has: a worker of the same name may still count as alive.
        incarnation += 1;
        let context = WorkerContext::new(&format!("worker-{}-{incarnation}", std::process::id()));
        let ended = {
            let run = run(store, args, &shops, &context, telemetry);
            let stop = stop(store, args.until_idle, &context);
            tokio::pin!(run, stop);
            tokio::select! {
                ended = &mut run => ended,
                reason = &mut stop => {
                    let ended = run.await; // what is under way comes to its end
                    eprintln!("{}: {reason} after {:.1} s", context.name(), begin.elapsed().as_secs_f64());
                    return ended;
                }
            }
        };
        // The engine's worker gives up when its database is gone. It is a process that is to go on: so it begins again.
        eprintln!(
            "{}: {}",
            context.name(),
            ended.err().map_or_else(|| "stopped".to_owned(), |error| error.to_string())
        );
        tokio::time::sleep(DATABASE_GONE).await;
    }
}

async fn run(
    store: &Store,
    args: &Worker,
    shops: &Shops,
    context: &WorkerContext,
    telemetry: &Telemetry,
) -> Result<(), BoxError> {
    macro_rules! run {
        ($queue:expr) => {{
            let graph = graph::order_process(shops);
            let mut orchestration = Orchestration::of(&graph)?;
            if let Some(store) = telemetry.store() {
                orchestration = orchestration.store(&store);
            }
            let worker = WorkerBuilder::new(context)
                .backend($queue)
                .layer(ConcurrencyLimitLayer::new(args.at_once))
                .telemetry(&orchestration)
                .build(graph);
            worker.run().await?;
        }};
    }
    match store {
        Store::Sqlite(pool) => run!(backend::sqlite_queue(pool, args.at_once, args.dead_after)),
        Store::Postgres(pool) => run!(backend::postgres_queue(pool, args.at_once, args.dead_after)),
    }
    Ok(())
}

/// Stops the worker when there is a reason to, and says which.
async fn stop(store: &Store, until_idle: bool, context: &WorkerContext) -> &'static str {
    let idle = async {
        if !until_idle {
            std::future::pending::<()>().await;
        }
        // A database that does not answer says nothing of what is left.
        while store.left().await.map_or(true, |left| left > 0) {
            tokio::time::sleep(IDLE_CHECK).await;
        }
    };
    let reason = tokio::select! {
        () = idle => "nothing left",
        _ = tokio::signal::ctrl_c() => "interrupted",
    };
    while context.stop().is_err() {
        tokio::time::sleep(IDLE_CHECK).await; // it has not begun yet
    }
    reason
}
