//! How the store is doing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::db::Db;
use super::error::StoreError;
use crate::publisher::Books;

/// How the store is doing. For the events of tasks and steps, at any time: `published = written + waiting + lost`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StoreHealth {
    /// `sqlite` or `postgres`.
    pub database: &'static str,
    /// The name of this process in the store.
    pub worker_id: String,
    /// Whether what happens is written as it happens. If not, events go on without the store, and rows wait.
    pub is_up: bool,
    /// Events whose rows are written.
    pub written: u64,
    /// Events whose rows wait to be written.
    pub waiting: u64,
    /// Of the written, those that were delivered before they could be written.
    pub replayed: u64,
    /// Events whose rows will never be written, by reason: `queue_full`, `buffer_full`, `refused` by the database, `shutdown`.
    pub lost: BTreeMap<&'static str, u64>,
    /// Transactions that wrote events.
    pub transactions: u64,
    /// Statements run, those of queries and transactions included.
    pub statements: u64,
    /// Open connections.
    pub connections: u32,
    /// Open connections that nobody uses.
    pub idle_connections: usize,
    /// Failed attempts whose failure was not written in time, with [`Durability::Strict`](super::Durability::Strict).
    pub not_written: u64,
    /// What the database said last when it could not be written.
    pub last_error: Option<String>,
}

impl StoreHealth {
    /// All lost events, whatever the reason.
    #[must_use]
    pub fn lost_total(&self) -> u64 {
        self.lost.values().sum()
    }
}

/// What the writer says of itself.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Whether the tables are there.
    pub(super) migrated: AtomicBool,
    pub(super) behind: AtomicBool,
    pub(super) replayed: AtomicU64,
    pub(super) transactions: AtomicU64,
    pub(super) not_written: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl State {
    /// Brings the tables up to date, if that has not been done.
    pub(super) async fn migrate(&self, db: &Db) -> Result<(), StoreError> {
        if !self.migrated.load(Ordering::Acquire) {
            db.migrate().await?;
            self.migrated.store(true, Ordering::Release);
        }
        Ok(())
    }

    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note_error(&self, error: &str) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_owned());
    }

    pub(super) fn read(&self, books: &Books, [db, writer]: [&Db; 2], worker_id: &str) -> StoreHealth {
        let (written, waiting, dropped) = books.read();
        let name = |reason| if reason == "subscriber_full" { "buffer_full" } else { reason };
        let ((of_queries, idle), (of_writer, writer_idle)) = (db.connections(), writer.connections());
        StoreHealth {
            database: db.dialect().name(),
            worker_id: worker_id.to_owned(),
            is_up: !self.behind.load(Ordering::Acquire),
            written,
            waiting,
            replayed: self.replayed.load(Ordering::Relaxed),
            lost: dropped.into_iter().map(|(reason, count)| (name(reason), count)).collect(),
            transactions: self.transactions.load(Ordering::Relaxed),
            statements: db.statements() + writer.statements(),
            connections: of_queries + of_writer,
            idle_connections: idle + writer_idle,
            not_written: self.not_written.load(Ordering::Relaxed),
            last_error: self.last_error(),
        }
    }
}
