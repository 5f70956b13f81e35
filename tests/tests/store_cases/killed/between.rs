//! A kill that no luck is needed for: the database is held while the process is killed, so that whatever the process had put into two
//! transactions instead of one is half there.
//!
//! In `PostgreSQL` one table is locked and the process is killed when it waits for it: all that it wrote before in the same transaction must
//! be gone. An `SQLite` file can only be locked as a whole: it is held until rows have piled up, and taken again right after the first transaction
//! that follows.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Executor as _};

/// The database is held until this is dropped.
pub(super) struct Held {
    release: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How long rows pile up, and how long is waited for a process that may have nothing to write any more.
const PILE_UP: Duration = Duration::from_millis(20);
const AT_MOST: Duration = Duration::from_millis(300);

/// Holds that database at a moment when a process that writes to it is between two statements.
pub(super) fn hold(url: &str, table: &str) -> Held {
    let (release, released) = channel();
    let (holds, held) = channel();
    let (url, table) = (url.to_owned(), table.to_owned());
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            if url.starts_with("sqlite") {
                hold_file(&url, &holds, &released).await.expect("the file can be locked");
            } else {
                #[cfg(feature = "services")]
                hold_table(&url, &table, &holds, &released).await.expect("the table can be locked");
                #[cfg(not(feature = "services"))]
                unreachable!("only services lock {table}");
            }
        });
    });
    held.recv().expect("it is held soon");
    Held { release: Some(release), thread: Some(thread) }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.release.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn hold_file(url: &str, holds: &Sender<()>, released: &Receiver<()>) -> Result<(), sqlx::Error> {
    let file: SqliteConnectOptions = url.parse()?;
    let mut conn = file.busy_timeout(Duration::ZERO).disable_statement_logging().connect().await?;
    lock(&mut conn).await;
    tokio::time::sleep(PILE_UP).await;
    conn.execute("ROLLBACK").await?;
    let version =
        async |conn: &mut SqliteConnection| sqlx::query_scalar::<_, i64>("PRAGMA data_version").fetch_one(conn).await;
    let (before, since) = (version(&mut conn).await?, Instant::now());
    while version(&mut conn).await? == before && since.elapsed() < AT_MOST {}
    lock(&mut conn).await;
    let _ = holds.send(());
    let _ = released.recv();
    conn.execute("ROLLBACK").await?;
    Ok(())
}

/// As soon as nobody else writes.
async fn lock(conn: &mut SqliteConnection) {
    while conn.execute("BEGIN IMMEDIATE").await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[cfg(feature = "services")]
async fn hold_table(url: &str, table: &str, holds: &Sender<()>, released: &Receiver<()>) -> Result<(), sqlx::Error> {
    let server: sqlx::postgres::PgConnectOptions = url.parse()?;
    let mut conn = server.disable_statement_logging().connect().await?;
    conn.execute("BEGIN").await?;
    conn.execute(sqlx::AssertSqlSafe(format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))).await?;
    let (waiting, since) = ("SELECT count(*) FROM pg_locks WHERE NOT granted", Instant::now());
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut conn).await? == 0 && since.elapsed() < AT_MOST {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let _ = holds.send(());
    let _ = released.recv();
    conn.execute("ROLLBACK").await?;
    Ok(())
}
