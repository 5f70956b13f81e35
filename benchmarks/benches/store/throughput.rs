//! 200 tasks at once, five connections: how many steps a second, without a store and with one.
//!
//! The work of a step is nothing at all, or one row written to a database by a statement of its own, as a small service would; the
//! store then is in that same database. All candidates have one subscriber to all events of tasks and steps: what is compared is
//! the store, not publishing. "Until all is written" is over when everything has been delivered and, with a store, committed.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benchmarks::turns::in_turns;
use cpu_time::ProcessTime;
use sqlx::{AnyPool, Executor as _};
use tasker_telemetry::prelude::*;
use tasker_telemetry::store::StoreOptions;
use tokio::task::JoinSet;

use crate::database::{Databases, Kind};

const AT_ONCE: u64 = 200;
const STEPS: u64 = 5;
const CONNECTIONS: u32 = 5;

/// What a step does, and whether there is a store.
struct Candidate {
    name: &'static str,
    work: Option<Kind>,
    store: Option<Kind>,
}

const CANDIDATES: [Candidate; 7] = [
    Candidate { name: "nothing", work: None, store: None },
    Candidate { name: "nothing/sqlite", work: None, store: Some(Kind::Sqlite) },
    Candidate { name: "nothing/postgres", work: None, store: Some(Kind::Postgres) },
    Candidate { name: "sqlite", work: Some(Kind::Sqlite), store: None },
    Candidate { name: "sqlite/sqlite", work: Some(Kind::Sqlite), store: Some(Kind::Sqlite) },
    Candidate { name: "postgres", work: Some(Kind::Postgres), store: None },
    Candidate { name: "postgres/postgres", work: Some(Kind::Postgres), store: Some(Kind::Postgres) },
];

#[derive(Subscriber)]
#[subscribe("task.*", "step.*")]
#[subscriber(manual)]
struct Listener;

impl Listener {
    #[allow(clippy::unused_self, reason = "a handler")]
    fn handle_event(&self, event: &EventRecord) {
        std::hint::black_box(event);
    }
}

/// One of ten steps fails at first.
#[step(retry_limit = 2, backoff = Backoff::fixed().base(Duration::ZERO))]
async fn work(number: u64, pool: Option<AnyPool>) -> Result<(), String> {
    tokio::task::yield_now().await;
    if let Some(pool) = pool {
        let text = format!("INSERT INTO work (number, text) VALUES ({number}, 'what a small service writes')");
        pool.execute(sqlx::AssertSqlSafe(text)).await.map_err(|error| error.to_string())?;
    }
    let attempt = StepScope::current().map_or(1, |step| step.attempt_number());
    if number.is_multiple_of(10) && attempt == 1 { Err("the first time it fails".to_owned()) } else { Ok(()) }
}

#[task(id = number, fields(number))]
async fn order(number: u64, pool: Option<AnyPool>) -> Result<(), String> {
    for step in 0..STEPS {
        work(number * STEPS + step, pool.clone()).await?;
    }
    Ok(())
}

/// Runs one sample: steps a second until all have ended, and until all is written; microseconds of CPU a step; events lost.
pub(crate) fn sample(name: &str, arguments: &[String]) -> Result<String, String> {
    let candidate = CANDIDATES.iter().find(|candidate| candidate.name == name).ok_or("no such candidate")?;
    let [url, tasks] = arguments else { return Err("which database, and how many tasks?".to_owned()) };
    let tasks: u64 = tasks.parse().map_err(|_| "how many tasks?")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(run(candidate, url, tasks)).map_err(|error| error.to_string())
}

async fn run(candidate: &Candidate, url: &str, tasks: u64) -> Result<String, Box<dyn std::error::Error>> {
    let builder = Telemetry::builder()
        .auto_subscribers(false)
        .subscriber(Listener)
        .queue_capacity(4_000_000)
        .subscriber_capacity(4_000_000)
        .shutdown_timeout(Duration::from_mins(2));
    let options = StoreOptions::new().max_connections(CONNECTIONS).buffer_capacity(4_000_000);
    let builder = if candidate.store.is_some() { builder.store_with(url, options) } else { builder };
    let telemetry = Arc::new(builder.build()?);
    let pool = match candidate.work {
        Some(kind) => Some(pool(kind, url).await?),
        None => None,
    };
    let (clock, cpu) = (Instant::now(), ProcessTime::now());
    let mut running = JoinSet::new();
    for lane in 0..AT_ONCE {
        let (telemetry, pool) = (Arc::clone(&telemetry), pool.clone());
        running.spawn(async move {
            for number in (lane..tasks).step_by(usize::try_from(AT_ONCE).unwrap_or(1)) {
                telemetry.scope(order(number, pool.clone())).await?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let ended = clock.elapsed();
    telemetry.flush().await?;
    let (written, cpu) = (clock.elapsed(), cpu.elapsed());
    let health = telemetry.health();
    let lost = health.store.as_ref().map_or(0, tasker_telemetry::store::StoreHealth::lost_total);
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let (steps, lost) = ((tasks * STEPS) as f64, lost as f64);
    let a_second = |time: Duration| steps / time.as_secs_f64();
    Ok(format!("{} {} {} {lost}", a_second(ended), a_second(written), cpu.as_secs_f64() * 1e6 / steps))
}

async fn pool(kind: Kind, url: &str) -> Result<AnyPool, sqlx::Error> {
    sqlx::any::install_default_drivers();
    let url = match kind {
        Kind::Sqlite => format!("{url}?mode=rwc"),
        Kind::Postgres => url.to_owned(),
    };
    let pool = sqlx::any::AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_mins(2))
        .after_connect(move |conn, _| {
            Box::pin(async move {
                if kind == Kind::Sqlite {
                    conn.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 60000")
                        .await?;
                }
                Ok(())
            })
        })
        .connect(&url)
        .await?;
    pool.execute("CREATE TABLE work (number BIGINT NOT NULL, text TEXT NOT NULL)").await?;
    Ok(pool)
}

pub(crate) fn measure(quick: bool, databases: &Databases) -> Result<String, String> {
    let (rounds, tasks) = if quick { (3, 2_000) } else { (9, 4_000) };
    let of = |name: &str| CANDIDATES.iter().find(|candidate| candidate.name == name);
    let current = RefCell::new(String::new());
    let before = |name: &str| {
        let candidate = of(name);
        let kind = candidate.and_then(|candidate| candidate.store.or(candidate.work)).unwrap_or(Kind::Sqlite);
        let url = databases.new_one(kind);
        current.replace(url.clone());
        // Rows of one's own are slow to write.
        let tasks = if candidate.is_some_and(|candidate| candidate.work.is_some()) { tasks / 4 } else { tasks };
        vec![url, tasks.to_string()]
    };
    let after = |_: &str, _: &mut Vec<f64>| {
        Databases::delete(&current.take());
        Ok(())
    };
    let samples = in_turns(&CANDIDATES.map(|candidate| candidate.name), rounds, before, after)?;
    let mut text = format!(
        "{AT_ONCE} tasks at once, {STEPS} steps each, {CONNECTIONS} connections; {rounds} samples, the candidates in turn; medians\n\n\
         | a step's work | store | steps a second until all have ended | x without | until all is written | x without \
         | CPU of all threads, µs a step | events lost |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    );
    for candidate in CANDIDATES {
        let (mine, without) =
            (&samples[candidate.name], &samples[candidate.name.split('/').next().unwrap_or_default()]);
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {:.2} | {:.0} | {:.2} | {:.1} | {:.0} |",
            candidate.work.map_or("nothing".to_owned(), |kind| format!("a row in {}", kind.title())),
            candidate.store.map_or("none", Kind::title),
            mine.median(0),
            mine.median(0) / without.median(0),
            mine.median(1),
            mine.median(1) / without.median(1),
            mine.median(2),
            mine.greatest(3),
        );
    }
    Ok(text)
}
