//! What became of every span: for each exporter, produced = exported + dropped, whatever happens.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// How the spans of a telemetry are doing.
///
/// ```
/// use tasker_telemetry::prelude::*;
/// let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(Default::default()).build().unwrap();
/// let spans = telemetry.health().spans.expect("spans are made");
/// assert_eq!((spans.produced, spans.open_tasks), (0, 0));
/// assert_eq!(spans.exporters[0].name, "memory");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SpansHealth {
    /// Spans that ended.
    pub produced: u64,
    /// Each exporter.
    pub exporters: Vec<ExporterHealth>,
    /// Traced tasks that have begun here and not ended.
    pub open_tasks: usize,
    /// How long the oldest of them has been open, in seconds.
    pub oldest_open_seconds: Option<f64>,
    /// Tasks that are no longer looked after, because they were open for longer than
    /// [`Builder::open_task_ttl`](crate::Builder::open_task_ttl) or there were more than
    /// [`Builder::open_task_limit`](crate::Builder::open_task_limit). Their spans are exported all the same.
    pub open_tasks_evicted: u64,
    /// Finished spans that wait for their task's fate ([`Sampling::keep_failures`](super::Sampling::keep_failures)).
    pub undecided: usize,
    /// Such spans, and events of such spans, that had to go before their task ended.
    pub undecided_evicted: u64,
    /// Events of the program's own that found no place at their span.
    pub span_events_dropped: u64,
}

impl SpansHealth {
    /// Spans that no exporter took, of all exporters together.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.exporters.iter().map(ExporterHealth::dropped_total).sum()
    }
}

/// One exporter.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExporterHealth {
    /// `otlp`, `console`, `memory`, or the type of one of the program's own.
    pub name: &'static str,
    /// Spans that it was to export.
    pub produced: u64,
    /// Spans that the backend took.
    pub exported: u64,
    /// Spans that it did not, by reason: `queue_full`, `export_failed`, `rejected`, `panicked`, `shutdown`; of the console
    /// also `write_failed`, and `evicted` for those that waited for the end of their task when there were too many.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Spans that wait, or are on their way.
    pub backlog: u64,
    /// Attempts to send that failed, those that were repeated included.
    pub failed_requests: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
}

impl ExporterHealth {
    /// The dropped spans, whatever the reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// The books of one exporter. Its threads write them, for nanoseconds each.
#[derive(Debug)]
pub(crate) struct Books {
    pub(super) name: &'static str,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    produced: u64,
    exported: u64,
    dropped: BTreeMap<&'static str, u64>,
    failed_requests: u64,
    last_error: Option<String>,
    closed: bool,
}

impl Books {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, entries: Mutex::default() }
    }

    /// What it exports, in a word.
    fn items(&self) -> &'static str {
        if self.name.ends_with("logs") { "log lines" } else { "spans" }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn produced(&self, spans: usize) {
        let mut entries = self.lock();
        entries.produced += spans as u64;
        if entries.closed {
            *entries.dropped.entry("shutdown").or_default() += spans as u64;
        }
    }

    /// The backend took so many.
    pub(super) fn exported(&self, spans: usize) {
        let mut entries = self.lock();
        if !entries.closed {
            entries.exported += spans as u64;
        }
    }

    pub(super) fn dropped(&self, spans: usize, reason: &'static str) {
        let mut entries = self.lock();
        if spans > 0 && !entries.closed {
            *entries.dropped.entry(reason).or_default() += spans as u64;
        }
    }

    /// A request failed. The first, and then every one whose number is a power of two, is logged: one warning for thousands
    /// of lost spans says too little, thousands say too much.
    pub(super) fn failed(&self, message: &str) {
        let failures = {
            let mut entries = self.lock();
            entries.failed_requests += 1;
            entries.last_error = Some(message.to_owned());
            entries.failed_requests
        };
        if failures.is_power_of_two() {
            let what = self.items();
            tracing::warn!(target: "tasker_telemetry", exporter = self.name, failures, "{what} could not be exported: {message}");
        }
    }

    /// Time is up: what is neither exported nor dropped now is lost, and counted.
    pub(super) fn close(&self) {
        let mut entries = self.lock();
        let gone = entries.exported + entries.dropped.values().sum::<u64>();
        let left = entries.produced.saturating_sub(gone);
        if left > 0 && !entries.closed {
            *entries.dropped.entry("shutdown").or_default() += left;
            let what = self.items();
            tracing::warn!(target: "tasker_telemetry", exporter = self.name, left, "shut down before all {what} were exported");
        }
        entries.closed = true;
    }

    pub(crate) fn health(&self) -> ExporterHealth {
        let entries = self.lock();
        let dropped: u64 = entries.dropped.values().sum();
        ExporterHealth {
            name: self.name,
            produced: entries.produced,
            exported: entries.exported,
            dropped: entries.dropped.clone(),
            backlog: entries.produced.saturating_sub(entries.exported + dropped),
            failed_requests: entries.failed_requests,
            last_error: entries.last_error.clone(),
        }
    }
}

/// Numbers of all exporters together.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) produced: AtomicU64,
    pub(super) events_dropped: AtomicU64,
}

impl Totals {
    pub(super) fn add(counter: &AtomicU64, more: usize) {
        counter.fetch_add(more as u64, Ordering::Relaxed);
    }
}
