//! Databases for the tests of the store, which are the same for `SQLite` and `PostgreSQL`: each test has one of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, SqlSafeStr as _};
use tasker_telemetry::store::{Store, StoreOptions};
use tasker_telemetry::{Builder, Telemetry};

use crate::folder::Folder;

/// A database of a test's own.
#[derive(Debug, Clone)]
pub struct Database {
    url: String,
    _kept: Kept,
}

/// What goes when the database is no longer needed.
#[derive(Debug, Clone)]
enum Kept {
    Folder {
        _folder: Arc<Folder>,
    },
    #[cfg(feature = "services")]
    Server {
        _server: Arc<crate::postgres::Postgres>,
    },
}

/// A number that no other database of this process has.
pub(crate) fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Database {
    /// A file that is not there yet.
    #[must_use]
    pub fn sqlite() -> Self {
        let folder = Folder::new(&format!("store-{}", next_number()));
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        Self { url, _kept: Kept::Folder { _folder: Arc::new(folder) } }
    }

    /// An empty database of a server that runs as long as a test needs it.
    #[cfg(feature = "services")]
    #[must_use]
    pub fn postgres() -> Self {
        Self::of(&crate::postgres::Postgres::shared())
    }

    /// An empty database of that server.
    #[cfg(feature = "services")]
    #[must_use]
    pub fn of(server: &Arc<crate::postgres::Postgres>) -> Self {
        Self { url: server.new_database(), _kept: Kept::Server { _server: Arc::clone(server) } }
    }

    /// The file of an `SQLite` database.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(self.url.trim_start_matches("sqlite://"))
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A builder of a telemetry with that store, and no subscribers but those that are added.
    pub fn builder(&self) -> Builder {
        Telemetry::builder().auto_subscribers(false).store(&self.url)
    }

    /// The same with options.
    pub fn builder_with(&self, options: StoreOptions) -> Builder {
        Telemetry::builder().auto_subscribers(false).store_with(&self.url, options)
    }

    /// A telemetry with that store.
    ///
    /// # Panics
    /// When it cannot be built.
    pub fn telemetry(&self) -> Telemetry {
        self.builder().build().expect("a telemetry with a store")
    }

    /// As [`reader`](Self::reader), before there is a file.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new_reader(&self) -> Reader {
        if self.url.starts_with("sqlite") {
            std::fs::File::create_new(self.path()).expect("a new file");
        }
        self.reader()
    }

    /// A connection that is not the library's.
    ///
    /// # Panics
    /// When the address makes no sense.
    #[must_use]
    pub fn reader(&self) -> Reader {
        if self.url.starts_with("sqlite") {
            Reader::Sqlite(SqlitePool::connect_lazy(&self.url).expect("an address"))
        } else {
            #[cfg(feature = "services")]
            return Reader::Postgres(sqlx::PgPool::connect_lazy(&self.url).expect("an address"));
            #[cfg(not(feature = "services"))]
            unreachable!("only services have other databases")
        }
    }
}

/// See [`Database::reader`].
#[derive(Debug, Clone)]
pub enum Reader {
    /// Of a file.
    Sqlite(SqlitePool),
    /// Of a server.
    #[cfg(feature = "services")]
    Postgres(sqlx::PgPool),
}

impl Reader {
    /// The texts in the first column of what a statement answers.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn texts(&self, sql: &str) -> Result<Vec<String>, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(pool) => sqlx::query_scalar(sql).fetch_all(pool).await,
            #[cfg(feature = "services")]
            Self::Postgres(pool) => sqlx::query_scalar(sql).fetch_all(pool).await,
        }
    }

    /// Runs a statement; says how many rows it changed.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn execute(&self, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(pool) => Ok(sqlx::query(sql).execute(pool).await?.rows_affected()),
            #[cfg(feature = "services")]
            Self::Postgres(pool) => Ok(sqlx::query(sql).execute(pool).await?.rows_affected()),
        }
    }

    /// Makes tables as the first version of the store did.
    ///
    /// # Errors
    /// When they cannot be made.
    pub async fn make_first_tables(&self) -> Result<(), MigrateError> {
        let sql = include_str!("../../tasker-telemetry/src/store/schema.sql").into_sql_str();
        let tables = Migration::new(1, "tables".into(), MigrationType::Simple, sql, false);
        let mut migrator = Migrator::with_migrations(vec![tables]);
        migrator.dangerous_set_table_name("tasker_migrations");
        match self {
            Self::Sqlite(pool) => migrator.run(pool).await,
            #[cfg(feature = "services")]
            Self::Postgres(pool) => migrator.run(pool).await,
        }
    }

    /// The number that a statement answers, with texts for `$1`, `$2` ..
    ///
    /// # Errors
    /// When it answers none.
    pub async fn number(&self, sql: &str, texts: &[&str]) -> Result<i64, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(pool) => {
                let mut query = sqlx::query_scalar(sql);
                for text in texts {
                    query = query.bind((*text).to_owned());
                }
                query.fetch_one(pool).await
            }
            #[cfg(feature = "services")]
            Self::Postgres(pool) => {
                let mut query = sqlx::query_scalar(sql);
                for text in texts {
                    query = query.bind((*text).to_owned());
                }
                query.fetch_one(pool).await
            }
        }
    }
}

/// The store of a telemetry that has one.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn store(telemetry: &Telemetry) -> Store {
    telemetry.store().expect("the telemetry has a store")
}
