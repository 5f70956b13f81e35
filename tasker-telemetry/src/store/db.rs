//! The two databases behind one door: a pool, connections, statements with texts and numbers in and out.
//!
//! All SQL is the same for both but for a few fragments ([`Dialect`]); both understand `$1`.

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::pool::{PoolConnection, PoolOptions};
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgConnectOptions, PgPool, PgRow, Postgres};
#[cfg(feature = "sqlite")]
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Row as _, SqlSafeStr, SqlStr};

use super::error::StoreError;
use super::options::Decided;
#[cfg(feature = "sqlite")]
use super::options::Durability;

/// Which database it is, where their SQL differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    #[cfg(feature = "sqlite")]
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
}

impl Dialect {
    pub(super) const fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "sqlite",
            #[cfg(feature = "postgres")]
            Self::Postgres => "postgres",
        }
    }

    /// Begins a transaction that will write. `SQLite` takes the lock at once: a transaction that first reads could not wait for it.
    const fn begin(self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "BEGIN IMMEDIATE",
            #[cfg(feature = "postgres")]
            Self::Postgres => "BEGIN",
        }
    }

    /// What shows how a statement would be run.
    pub(super) const fn explain(self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "EXPLAIN QUERY PLAN ",
            #[cfg(feature = "postgres")]
            Self::Postgres => "EXPLAIN ",
        }
    }
}

/// A value in a statement.
#[derive(Debug, Clone)]
pub(super) enum Arg {
    Text(Option<String>),
    Int(i64),
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// The pool.
#[derive(Debug, Clone)]
pub(super) enum Pool {
    #[cfg(feature = "sqlite")]
    Sqlite(SqlitePool),
    #[cfg(feature = "postgres")]
    Postgres(PgPool),
}

/// A database, and how long it may take.
#[derive(Debug, Clone)]
pub(super) struct Db {
    pool: Pool,
    limit: Duration,
    statements: Arc<AtomicU64>,
}

macro_rules! on {
    ($of:ident: $value:expr, $inner:ident => $body:expr) => {
        match $value {
            #[cfg(feature = "sqlite")]
            $of::Sqlite($inner) => $body,
            #[cfg(feature = "postgres")]
            $of::Postgres($inner) => $body,
        }
    };
}

impl Db {
    /// Understands the address; connects to nothing yet.
    pub(super) fn new(url: &str, options: &Decided, connections: u32) -> Result<Self, StoreError> {
        let pool = match url.split_once(':').map_or("", |(scheme, _)| scheme) {
            #[cfg(feature = "sqlite")]
            "sqlite" => Pool::Sqlite(sqlite(url, options, connections)?),
            #[cfg(not(feature = "sqlite"))]
            "sqlite" => return Err(StoreError::Address("needs the feature `sqlite`".to_owned())),
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => Pool::Postgres(postgres(url, options, connections)?),
            #[cfg(not(feature = "postgres"))]
            "postgres" | "postgresql" => return Err(StoreError::Address("needs the feature `postgres`".to_owned())),
            _ => {
                return Err(StoreError::Address("must begin with `sqlite://` or `postgres://`".to_owned()));
            }
        };
        Ok(Self { pool, limit: options.statement_timeout, statements: Arc::default() })
    }

    pub(super) const fn dialect(&self) -> Dialect {
        match &self.pool {
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Pool::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Open connections, and those of them that nobody uses.
    pub(super) fn connections(&self) -> (u32, usize) {
        on!(Pool: &self.pool, pool => (pool.size(), pool.num_idle()))
    }

    /// How many statements were run.
    pub(super) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    pub(super) async fn close(&self) {
        on!(Pool: &self.pool, pool => pool.close().await);
    }

    /// Brings the tables up to date.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let mut migrator = Migrator::with_migrations(migrations(self.dialect()));
        // The host may keep migrations of its own in the same database.
        migrator.dangerous_set_table_name("tasker_migrations");
        // A newer version may have been here: what it adds does not disturb this one.
        migrator.set_ignore_missing(true);
        let migrated = async {
            // Two processes that start at the same moment: SQLite has no lock for that, one of them finds the tables there.
            let mut last = Ok(());
            for _ in 0..3 {
                last = on!(Pool: &self.pool, pool => migrator.run(pool).await);
                if last.is_ok() {
                    break;
                }
            }
            last
        };
        match tokio::time::timeout(self.limit.saturating_mul(3), migrated).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))) => Err(error.into()),
            Ok(Err(error)) => Err(StoreError::Schema(error.to_string())),
            Err(_) => Err(too_late(self.limit)),
        }
    }

    async fn acquire(&self) -> Result<Conn, StoreError> {
        let live = match &self.pool {
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => Live::Sqlite(pool.acquire().await?),
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => Live::Postgres(pool.acquire().await?),
        };
        Ok(Conn { live, unsettled: false, dialect: self.dialect(), statements: Arc::clone(&self.statements) })
    }

    /// Runs one statement and reads all its rows.
    pub(super) async fn fetch(&self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        let mut conn = self.acquire().await?;
        conn.unsettled = true; // until it has answered, nobody else may have the connection
        let rows = tokio::time::timeout(self.limit, conn.fetch(sql, args)).await.map_err(|_| too_late(self.limit))?;
        conn.unsettled = false;
        Ok(rows?)
    }

    /// Runs `work` in a transaction. Whatever ends it early, nothing of it stays.
    pub(super) async fn write<T, E>(&self, work: impl AsyncFnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError> + From<sqlx::Error>,
    {
        let mut conn = self.acquire().await?;
        let limit = self.limit;
        let done = async {
            conn.unsettled = true;
            conn.execute(conn.dialect.begin(), Vec::new()).await?;
            let done = work(&mut conn).await;
            conn.execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }, Vec::new()).await?;
            conn.unsettled = false;
            done
        };
        tokio::time::timeout(limit, done).await.unwrap_or_else(|_| Err(too_late(limit).into()))
    }
}

fn too_late(limit: Duration) -> StoreError {
    StoreError::Unavailable(format!("no answer within {limit:?}"))
}

/// A connection. One that is dropped in the middle of something is closed, not given back.
pub(super) struct Conn {
    live: Live,
    unsettled: bool,
    dialect: Dialect,
    statements: Arc<AtomicU64>,
}

enum Live {
    #[cfg(feature = "sqlite")]
    Sqlite(PoolConnection<Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(PoolConnection<Postgres>),
}

impl Drop for Conn {
    fn drop(&mut self) {
        if self.unsettled {
            on!(Live: &mut self.live, conn => conn.close_on_drop());
        }
    }
}

impl Conn {
    /// Runs a statement; says how many rows it changed.
    pub(super) async fn execute(&mut self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<u64, sqlx::Error> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let sql: SqlStr = sql.into_sql_str();
        on!(Live: &mut self.live, conn => {
            let mut query = sqlx::query(sql);
            for arg in args {
                query = match arg {
                    Arg::Text(text) => query.bind(text),
                    Arg::Int(number) => query.bind(number),
                };
            }
            Ok(query.execute(&mut **conn).await?.rows_affected())
        })
    }

    /// Runs a statement and reads all its rows.
    pub(super) async fn fetch(&mut self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Vec<Row>, sqlx::Error> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let sql: SqlStr = sql.into_sql_str();
        match &mut self.live {
            #[cfg(feature = "sqlite")]
            Live::Sqlite(conn) => {
                let mut query = sqlx::query(sql);
                for arg in args {
                    query = match arg {
                        Arg::Text(text) => query.bind(text),
                        Arg::Int(number) => query.bind(number),
                    };
                }
                Ok(query.fetch_all(&mut **conn).await?.into_iter().map(Row::Sqlite).collect())
            }
            #[cfg(feature = "postgres")]
            Live::Postgres(conn) => {
                let mut query = sqlx::query(sql);
                for arg in args {
                    query = match arg {
                        Arg::Text(text) => query.bind(text),
                        Arg::Int(number) => query.bind(number),
                    };
                }
                Ok(query.fetch_all(&mut **conn).await?.into_iter().map(Row::Postgres).collect())
            }
        }
    }
}

/// A row that was read.
pub(super) enum Row {
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(PgRow),
}

impl Row {
    pub(super) fn text(&self, column: &str) -> Result<String, sqlx::Error> {
        on!(Row: self, row => row.try_get(column))
    }

    pub(super) fn maybe_text(&self, column: &str) -> Result<Option<String>, sqlx::Error> {
        on!(Row: self, row => row.try_get(column))
    }

    pub(super) fn int(&self, column: &str) -> Result<i64, sqlx::Error> {
        on!(Row: self, row => row.try_get(column))
    }

    pub(super) fn maybe_int(&self, column: &str) -> Result<Option<i64>, sqlx::Error> {
        on!(Row: self, row => row.try_get(column))
    }

    pub(super) fn bool(&self, column: &str) -> Result<bool, sqlx::Error> {
        on!(Row: self, row => row.try_get(column))
    }

    /// The text in a column of that number.
    #[cfg(feature = "postgres")]
    pub(super) fn text_at(&self, column: usize) -> Result<String, sqlx::Error> {
        on!(Row: self, row => row.try_get(column))
    }
}

/// What was released stays as it is: sqlx compares it with what a database was made with.
fn migrations(dialect: Dialect) -> Vec<Migration> {
    let counts = match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => include_str!("counts.sqlite.sql"),
        #[cfg(feature = "postgres")]
        Dialect::Postgres => include_str!("counts.postgres.sql"),
    };
    [("tables", include_str!("schema.sql")), ("error counts", counts), ("indexes", include_str!("indexes.sql"))]
        .into_iter()
        .zip(1..)
        .map(|((name, sql), version)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect()
}

#[cfg(feature = "sqlite")]
fn sqlite(url: &str, options: &Decided, connections: u32) -> Result<SqlitePool, StoreError> {
    let file = SqliteConnectOptions::from_str(url).map_err(|error| StoreError::Address(error.to_string()))?;
    let name = file.get_filename();
    if name.as_os_str().is_empty() || url.contains(":memory:") || url.contains("mode=memory") {
        return Err(StoreError::Address("must name a file: one in memory is another for each connection".to_owned()));
    }
    let synchronous = match options.durability {
        // What is committed survives the process in any case; the machine's loss of power only with `Full`.
        Durability::Normal => SqliteSynchronous::Normal,
        Durability::Strict => SqliteSynchronous::Full,
    };
    // Who says in the address how the file is opened means it.
    let file = if url.contains("mode=") { file } else { file.create_if_missing(true) };
    let file = file
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(options.statement_timeout)
        .disable_statement_logging();
    Ok(pool_options(options, connections).connect_lazy_with(file))
}

#[cfg(feature = "postgres")]
fn postgres(url: &str, options: &Decided, connections: u32) -> Result<PgPool, StoreError> {
    let server = PgConnectOptions::from_str(url).map_err(|error| StoreError::Address(error.to_string()))?;
    let limit = options.statement_timeout.as_millis().clamp(1, 1 << 30).to_string();
    let server = server
        .application_name("tasker-telemetry")
        .options([("statement_timeout", limit.clone()), ("idle_in_transaction_session_timeout", limit)])
        .disable_statement_logging();
    Ok(pool_options(options, connections).connect_lazy_with(server))
}

fn pool_options<DB: sqlx::Database>(options: &Decided, connections: u32) -> PoolOptions<DB> {
    PoolOptions::new().max_connections(connections).acquire_timeout(options.acquire_timeout)
}
