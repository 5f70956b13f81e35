//! Tasks, steps, attempts and errors in a database: what failed can be asked for afterwards, by whoever wants to know.
//!
//! A failed attempt, its error and the change of state are one transaction, and subscribers get an event only when its rows are
//! written: what is announced is true. A database that is slow or away delays no step, and subscribers for one second at most;
//! rows wait in memory, are written when it is back, and what does not fit is counted ([`StoreHealth`]).
//!
//! Features: `sqlite`, `postgres`. See `docs/store.md` in the repository for the tables and for what is promised when.
//!
//! ```
//! use tasker_telemetry::prelude::*;
//! use tasker_telemetry::state::State;
//! use tasker_telemetry::store::TaskFilter;
//!
//! #[step(retry_limit = 2, backoff = Backoff::fixed().base(std::time::Duration::ZERO))]
//! async fn charge(order: u64) -> Result<u64, String> {
//!     if order == 13 { Err("declined".to_owned()) } else { Ok(order * 100) }
//! }
//!
//! #[task(id = order)]
//! async fn order_process(order: u64) -> Result<u64, String> {
//!     charge(order).await
//! }
//!
//! # tasker_telemetry::testing::block_on(async {
//! # let folder = std::env::temp_dir().join(format!("tasker-store-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let url = format!("sqlite://{}/orders.db", folder.display());
//! # #[cfg(feature = "sqlite")] {
//! let telemetry = Telemetry::builder().auto_subscribers(false).store(url).build()?;
//! let _ = telemetry.scope(order_process(7)).await;
//! let _ = telemetry.scope(order_process(13)).await;
//! telemetry.flush().await?; // now all of it is written
//!
//! let store = telemetry.store().expect("there is one");
//! let failed = store.tasks(&TaskFilter::new().state(State::Error)).await?;
//! assert_eq!(failed[0].task_id, "13");
//! let stats = store.task_stats("13").await?.expect("it is there");
//! assert_eq!((stats.failed_steps, stats.attempts), (1, 2));
//! let history = store.task_history("13").await?.expect("it is there");
//! assert_eq!(history.errors[0].error_message, "declined");
//! telemetry.shutdown().await?;
//! # }
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod db;
mod ends;
mod error;
mod health;
mod keeper;
mod operate;
mod options;
mod query;
mod retention;
mod rows;
mod sql;
mod write;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

pub use self::error::StoreError;
pub use self::health::StoreHealth;
pub use self::options::{Durability, StoreOptions};
pub use self::query::{
    ErrorClass, Question, StoredAttempt, StoredError, StoredStep, StoredTask, StoredTransition, TaskFilter,
    TaskHistory, TaskStats,
};

use self::db::Db;
use self::health::State;
use self::keeper::{Gate, Writer};
use self::options::Decided;
use self::write::Statements;
use crate::id;
use crate::publisher::{Books, Kept};
use crate::telemetry::Core;

/// The way to the database of a telemetry: [`Telemetry::store`](crate::Telemetry::store). Cheap to clone.
///
/// Its methods are `async` and need no particular runtime: the work is done on a thread of the store's own. They go on after the
/// telemetry was shut down.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    /// The writer's own connection, so that no query keeps it waiting.
    writer: Db,
    runtime: Handle,
    options: Decided,
    worker_id: Arc<str>,
    books: Books,
    state: Arc<State>,
    core: OnceLock<Weak<Core>>,
    /// Dropped with it: then the thread ends.
    _alive: oneshot::Sender<()>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("database", &self.inner.db.dialect().name())
            .field("worker_id", &self.inner.worker_id)
            .finish_non_exhaustive()
    }
}

/// What the store's thread says when it has tried to reach the database.
type Started = Result<(Db, Db, Handle, bool), StoreError>;

impl StoreOptions {
    /// Starts the store's thread and waits until it has reached the database, or not. `None`: no store is wanted.
    pub(crate) fn start(self) -> Result<Option<(Store, Kept)>, StoreError> {
        let Some((url, options)) = self.decided() else { return Ok(None) };
        let worker_id: Arc<str> = match &options.worker_id {
            Some(name) => name.as_str().into(),
            None => format!("{}-{:016x}", std::process::id(), id::nonce()).into(),
        };
        let (books, state) = (Books::new(options.buffer_capacity), Arc::new(State::default()));
        let (orders, received) = mpsc::unbounded_channel();
        let (alive, gone) = oneshot::channel();
        let (starts, started) = std::sync::mpsc::sync_channel::<Started>(1);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let of_thread = (options.clone(), Arc::clone(&worker_id), books.clone(), Arc::clone(&state));
        let thread = move || {
            let (options, worker_id, books, state) = of_thread;
            runtime.block_on(async move {
                let (db, writer, is_up) = match open(&url, &options, &state).await {
                    Ok(opened) => opened,
                    Err(error) => return drop(starts.send(Err(error))),
                };
                let statements = Arc::new(Statements::new(db.dialect()));
                if starts.send(Ok((db.clone(), writer.clone(), Handle::current(), is_up))).is_err() {
                    return;
                }
                if let Some(age) = options.retention {
                    tokio::spawn(retention::keep_deleting(db.clone(), Arc::clone(&state), age));
                }
                let sign_off = (writer.clone(), Arc::clone(&worker_id));
                let mut work = Writer::new(writer, statements, options, worker_id, books, state);
                if !is_up {
                    work.begin_behind();
                }
                let tickets = work.run(received).await;
                operate::sign_off(&sign_off.0, &sign_off.1).await;
                for ticket in tickets {
                    ticket.passed();
                }
                let _ = gone.await;
                db.close().await;
                sign_off.0.close().await;
            });
        };
        let spawned = thread::Builder::new().name("tasker-store".to_owned()).spawn(thread);
        spawned.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let (db, writer, runtime, is_up) = started.recv().map_err(|_| StoreError::Closed)??;
        if !is_up && options.durability == Durability::Strict {
            return Err(StoreError::Unavailable(state.last_error().unwrap_or_default()));
        }
        let kept = Kept { keeper: Box::new(Gate { orders }), books: books.clone() };
        let core = OnceLock::new();
        let inner = Inner { db, writer, runtime, options, worker_id, books, state, core, _alive: alive };
        Ok(Some((Store { inner: Arc::new(inner) }, kept)))
    }
}

/// Opens the database and brings its tables up to date; says whether it could be reached.
async fn open(url: &str, options: &Decided, state: &State) -> Result<(Db, Db, bool), StoreError> {
    let db = Db::new(url, options, options.max_connections.max(2) - 1)?;
    let writer = Db::new(url, options, 1)?;
    match state.migrate(&writer).await {
        Ok(()) => Ok((db, writer, true)),
        Err(StoreError::Unavailable(problem)) => {
            state.note_error(&problem);
            state.behind.store(true, Ordering::Release);
            tracing::warn!(
                target: "tasker_telemetry",
                "the store cannot be reached: {problem}; events go on without it, rows wait"
            );
            Ok((db, writer, false))
        }
        Err(error) => Err(error),
    }
}

impl Store {
    /// How the store is doing; also a part of [`Telemetry::health`](crate::Telemetry::health).
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        let Inner { db, writer, books, state, worker_id, .. } = &*self.inner;
        state.read(books, [db, writer], worker_id)
    }

    /// The name of this process in the store.
    #[must_use]
    pub fn worker_id(&self) -> &str {
        &self.inner.worker_id
    }

    pub(crate) fn strict_limit(&self) -> Option<Duration> {
        let Decided { durability, statement_timeout, .. } = self.inner.options;
        (durability == Durability::Strict).then_some(statement_timeout)
    }

    pub(crate) fn failure_not_written(&self) {
        self.inner.state.not_written.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells it which telemetry it belongs to.
    pub(crate) fn attach(&self, core: &Arc<Core>) {
        let _ = self.inner.core.set(Arc::downgrade(core));
    }

    fn core(&self) -> Result<Arc<Core>, StoreError> {
        self.inner.core.get().and_then(Weak::upgrade).ok_or(StoreError::Closed)
    }

    fn db(&self) -> &Db {
        &self.inner.db
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.inner.state)
    }

    /// Runs something on the store's thread.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.runtime.spawn(work).await.unwrap_or(Err(StoreError::Closed))
    }
}
