//! Finished spans of tasks whose fate is open: exported if the task fails, forgotten if it does not.
//!
//! They wait at their task, not in a queue that others share, so that a task is kept or forgotten whole. All tasks together
//! may hold so many; over that, the oldest task's are evicted and counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::lifecycle::TaskCore;
use crate::publisher::Record;

/// What one task holds.
pub(crate) struct Undecided {
    budget: Arc<Budget>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    records: Vec<Record>,
    evicted: bool,
}

/// What all tasks may hold.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    held: AtomicUsize,
    evicted: AtomicU64,
    /// The tasks that hold something, the oldest first.
    tasks: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    tasks: VecDeque<Weak<TaskCore>>,
    /// How many there were when those that are gone were last swept out.
    swept: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicUsize::new(0), evicted: AtomicU64::new(0), tasks: Mutex::default() })
    }

    /// How many records wait, and how many were evicted.
    pub(crate) fn read(&self) -> (usize, u64) {
        (self.held.load(Ordering::Relaxed), self.evicted.load(Ordering::Relaxed))
    }

    /// So many could not come along from another process.
    pub(crate) fn evicted_elsewhere(&self, spans: u64) {
        self.evicted.fetch_add(spans, Ordering::Relaxed);
    }

    /// Makes room by evicting the oldest tasks.
    #[cold]
    fn make_room(&self) {
        while self.held.load(Ordering::Relaxed) > self.limit {
            let Some(oldest) = lock(&self.tasks).tasks.pop_front() else { return };
            if let Some(task) = oldest.upgrade()
                && let Some(undecided) = task.trace().and_then(|trace| trace.undecided())
            {
                undecided.evict();
            }
        }
    }

    fn enlist(&self, task: &Arc<TaskCore>) {
        let mut line = lock(&self.tasks);
        line.tasks.push_back(Arc::downgrade(task));
        if line.tasks.len() > 1_024 && line.tasks.len() > 2 * line.swept {
            line.tasks.retain(|task| task.strong_count() > 0);
            line.swept = line.tasks.len();
        }
    }
}

impl Undecided {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), held: Mutex::default() }
    }

    /// Lets a record wait for the task's end. It is kept without its task, which it would keep alive.
    pub(crate) fn push(&self, task: &Arc<TaskCore>, record: Record) {
        let first = {
            let mut held = lock(&self.held);
            if held.evicted {
                self.budget.evicted.fetch_add(1, Ordering::Relaxed);
                return;
            }
            held.records.push(Record { task: None, ..record });
            held.records.len() == 1
        };
        if first {
            self.budget.enlist(task);
        }
        if self.budget.held.fetch_add(1, Ordering::Relaxed) >= self.budget.limit {
            self.budget.make_room();
        }
    }

    /// What waits, taken out: the task has ended, or goes on elsewhere. `Err`: some of it was evicted.
    pub(crate) fn take(&self) -> Result<Vec<Record>, ()> {
        let mut held = lock(&self.held);
        let records = std::mem::take(&mut held.records);
        self.budget.held.fetch_sub(records.len(), Ordering::Relaxed);
        if held.evicted { Err(()) } else { Ok(records) }
    }

    /// Gives up what waits: nobody will decide here.
    pub(crate) fn evict(&self) {
        let mut held = lock(&self.held);
        held.evicted = true;
        let records = std::mem::take(&mut held.records);
        drop(held);
        self.budget.held.fetch_sub(records.len(), Ordering::Relaxed);
        self.budget.evicted.fetch_add(records.len() as u64, Ordering::Relaxed);
    }
}

impl Drop for Undecided {
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.budget.held.fetch_sub(held.records.len(), Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Undecided {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Undecided").field("records", &lock(&self.held).records.len()).finish_non_exhaustive()
    }
}
