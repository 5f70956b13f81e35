//! From records to spans: each end is one span; what was published in it becomes its events.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::books::Totals;
use super::span::{Extra, Rules, Span};
use crate::event::EventKind;
use crate::lifecycle::TaskCore;
use crate::publisher::{Fact, Record};
use crate::time::Timestamp;

/// Which span: its task's nonce, the step's number and attempt; [`ROOT`] for the task itself.
type Place = (u64, u32, u32);

const ROOT: u32 = u32::MAX;

/// How many events of the program's own a span may have (OpenTelemetry's `OTEL_SPAN_EVENT_COUNT_LIMIT`).
const MOST_EVENTS: usize = 128;

/// How many spans may have events before they end.
const MOST_PENDING: usize = 50_000;

/// See the module.
pub(super) struct Assembler {
    rules: Rules,
    pending: HashMap<Place, Extra>,
    open: Arc<OpenTasks>,
    totals: Arc<Totals>,
}

impl Assembler {
    pub(super) fn new(rules: Rules, open: Arc<OpenTasks>, totals: Arc<Totals>) -> Self {
        Self { rules, pending: HashMap::new(), open, totals }
    }

    /// Makes spans of the records.
    pub(super) fn assemble(&mut self, records: Vec<Record>, spans: &mut Vec<Span>) {
        for record in records {
            match record.kind {
                EventKind::TaskStartRequested => self.open.began(&record),
                EventKind::Custom => self.keep(record),
                EventKind::TaskCompleted | EventKind::TaskFailed | EventKind::TaskCancelled => {
                    self.open.ended(&record);
                    spans.push(self.span(record));
                }
                EventKind::StepCompleted | EventKind::StepFailed | EventKind::StepCancelled => {
                    spans.push(self.span(record));
                }
                _ => {}
            }
        }
    }

    fn span(&mut self, record: Record) -> Span {
        // Most programs publish no events of their own: then there is nothing to look for.
        let none = self.pending.is_empty() || matches!(record.fact, Fact::Carried(_) | Fact::Call(_));
        let extra = if none { None } else { self.pending.remove(&place(&record)) };
        Span { record, extra: extra.map(Arc::new), rules: self.rules }
    }

    fn keep(&mut self, record: Record) {
        if self.pending.len() >= MOST_PENDING {
            // Spans that never ended, or whose end was dropped: those of tasks that are gone.
            let gone = |extra: &Extra| {
                extra
                    .published
                    .iter()
                    .filter_map(|record| record.task.as_ref())
                    .all(|task| Arc::strong_count(task) <= extra.published.len())
            };
            self.pending.retain(|_, extra| !gone(extra));
        }
        let full = self.pending.len() >= MOST_PENDING;
        match self.pending.entry(place(&record)) {
            Entry::Vacant(_) if full => Totals::add(&self.totals.events_dropped, 1),
            entry => {
                let extra = entry.or_default();
                if extra.published.len() < MOST_EVENTS {
                    extra.published.push(record);
                } else {
                    extra.dropped_events = extra.dropped_events.saturating_add(1);
                    Totals::add(&self.totals.events_dropped, 1);
                }
            }
        }
    }
}

fn place(record: &Record) -> Place {
    match (&record.task, record.step) {
        (Some(task), Some(place)) => (task.nonce(), place.number, place.attempt),
        (Some(task), None) => (task.event_nonce(), ROOT, 0),
        (None, _) => (0, ROOT, 0),
    }
}

/// The tasks that have begun and not ended, as far as they are traced.
#[derive(Debug)]
pub(super) struct OpenTasks {
    limit: usize,
    ttl: Duration,
    tasks: Mutex<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks {
    open: HashMap<u64, Open>,
    evicted: u64,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    task: Weak<TaskCore>,
    since: Timestamp,
}

/// What [`OpenTasks`] shows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OpenReading {
    pub(super) open: usize,
    pub(super) oldest: Option<Timestamp>,
    pub(super) evicted: u64,
}

impl OpenTasks {
    pub(super) fn new(limit: usize, ttl: Duration) -> Self {
        Self { limit, ttl, tasks: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn began(&self, record: &Record) {
        if let Some(task) = &record.task {
            self.add(task, record.at);
        }
    }

    pub(super) fn add(&self, task: &Arc<TaskCore>, since: Timestamp) {
        let mut tasks = self.lock();
        if tasks.open.len() >= self.limit {
            self.sweep(&mut tasks);
            if tasks.open.len() >= self.limit {
                tasks.evicted += 1;
                return;
            }
        }
        tasks.open.insert(task.event_nonce(), Open { task: Arc::downgrade(task), since });
    }

    fn ended(&self, record: &Record) {
        if let Some(task) = &record.task {
            self.lock().open.remove(&task.event_nonce());
        }
    }

    /// Forgets those that are gone (their process handed them over, or their end was dropped) and those that are too old.
    fn sweep(&self, tasks: &mut Tasks) {
        const NOT_TWICE_WITHIN: Duration = Duration::from_millis(100);
        let now = Instant::now();
        if tasks.swept.is_some_and(|before| now.duration_since(before) < NOT_TWICE_WITHIN) {
            return;
        }
        tasks.swept = Some(now);
        let (now, ttl) = (Timestamp::now(), self.ttl);
        let mut evicted = 0;
        tasks.open.retain(|_, open| {
            let old = now.saturating_duration_since(open.since) > ttl;
            evicted += u64::from(old);
            !old && open.task.upgrade().is_some_and(|task| !task.is_handed_over())
        });
        tasks.evicted += evicted;
    }

    pub(super) fn read(&self) -> OpenReading {
        let mut tasks = self.lock();
        tasks.swept = None;
        self.sweep(&mut tasks);
        OpenReading {
            open: tasks.open.len(),
            oldest: tasks.open.values().map(|open| open.since).min(),
            evicted: tasks.evicted,
        }
    }
}
