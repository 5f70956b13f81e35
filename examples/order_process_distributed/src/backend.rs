//! The queue: apalis on `SQLite` or `PostgreSQL`.

use std::path::Path;
use std::time::Duration;

use apalis_core::backend::ext::BackendExt as _;
use apalis_core::backend::ext::poll_strategy::{IntervalStrategy, PollWith};
use apalis_postgres::PostgresStorage;
use apalis_sqlite::SqliteStorage;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use tasker_telemetry_apalis::TracedBackend;

use crate::BoxError;
use crate::args::Backend;
use crate::graph::NAME;

/// How long a worker that found nothing waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An open database.
#[derive(Debug)]
pub(crate) enum Store {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

pub(crate) type Sqlite = TracedBackend<PollWith<SqliteStorage<Vec<u8>>, IntervalStrategy>>;
pub(crate) type Postgres = TracedBackend<PollWith<PostgresStorage<Vec<u8>>, IntervalStrategy>>;

impl Store {
    /// Opens the database, and makes apalis's tables if there are none.
    pub(crate) async fn open(backend: &Backend) -> Result<Self, BoxError> {
        match backend {
            Backend::Sqlite(file) => {
                let pool = sqlite(file).await?;
                patiently(async || SqliteStorage::setup(&pool).await).await?;
                Ok(Self::Sqlite(pool))
            }
            Backend::Postgres(url) => {
                let options = PgPoolOptions::new().max_connections(8);
                let pool = patiently(async || options.clone().connect(url).await).await?;
                patiently(async || PostgresStorage::setup(&pool).await).await?;
                Ok(Self::Postgres(pool))
            }
        }
    }

    /// How many nodes are still to be run, by whatever process.
    pub(crate) async fn left(&self) -> Result<i64, sqlx::Error> {
        const OPEN: &str =
            "status IN ('Pending', 'Queued', 'Running') OR (status = 'Failed' AND attempts < max_attempts)";
        match self {
            Self::Sqlite(pool) => {
                let sql = format!("SELECT COUNT(*) FROM Jobs WHERE job_type = ?1 AND ({OPEN})");
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(NAME).fetch_one(pool).await
            }
            Self::Postgres(pool) => {
                let sql = format!("SELECT COUNT(*) FROM apalis.jobs WHERE job_type = $1 AND ({OPEN})");
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(NAME).fetch_one(pool).await
            }
        }
    }
}

/// Tries for some seconds: workers that begin together want to make the same tables, and one of them is told to wait.
async fn patiently<T, E>(what: impl AsyncFn() -> Result<T, E>) -> Result<T, E> {
    for _ in 0..20 {
        match what().await {
            Ok(done) => return Ok(done),
            Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
        }
    }
    what().await
}

/// The queue in that `SQLite` database. A worker that gives no sign of life for `dead_after` is taken for dead.
pub(crate) fn sqlite_queue(pool: &SqlitePool, at_once: usize, dead_after: Duration) -> Sqlite {
    let config = apalis_sqlite::Config::default()
        .queue(NAME)
        .batch_size(at_once)
        .heartbeat_interval(dead_after / 2)
        .missed_heartbeats(2);
    let storage = SqliteStorage::new(pool).with_config(config);
    TracedBackend::new(storage.poll_with_interval(LOOK_AGAIN)).queue_name(NAME)
}

/// The same in `PostgreSQL`.
pub(crate) fn postgres_queue(pool: &PgPool, at_once: usize, dead_after: Duration) -> Postgres {
    let config = apalis_postgres::Config::default()
        .queue(NAME)
        .batch_size(at_once)
        .heartbeat_interval(dead_after / 2)
        .missed_heartbeats(2);
    let storage = PostgresStorage::new(pool).with_config(config);
    TracedBackend::new(storage.poll_with_interval(LOOK_AGAIN)).queue_name(NAME)
}

async fn sqlite(file: &Path) -> Result<SqlitePool, BoxError> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(Duration::from_secs(30)); // several processes write
    Ok(SqlitePoolOptions::new().max_connections(4).connect_with(options).await?)
}
