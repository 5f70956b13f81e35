//! The console: one waterfall for each task, when it ends.
//!
//! A task's own span comes when all is over; those of its steps wait for it. So that a task that never ends costs no more than
//! its place, what waits is bounded, the oldest task goes first, and what goes is counted.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::{self, IsTerminal as _, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Waterfall;
use super::books::Books;
use super::export::{SendError, Sent, SpanSink};
use super::span::Span;
use super::waterfall::{RunKey, late};

/// How many spans, of how many tasks, wait for the ends of these.
const MOST_SPANS: usize = 100_000;
const MOST_TASKS: usize = 10_000;

/// How many tasks that were shown are remembered, so that what comes late is known to be late.
const MOST_SHOWN: usize = 10_000;

/// See the module.
pub(crate) struct Console {
    out: Box<dyn Write + Send>,
    color: bool,
    books: Option<Arc<Books>>,
    waiting: Waiting,
    shown: Shown,
    /// The legend stands below the first waterfall.
    has_legend: bool,
    /// Spans that were written since the last flush.
    written: usize,
    swept: Option<Instant>,
}

/// Whether what is printed to standard error gets colour.
pub(super) fn wants_color() -> bool {
    color_for(io::stderr().is_terminal(), |name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// `is_set`: whether a variable has a value that is not empty, as <https://no-color.org> asks.
fn color_for(is_terminal: bool, is_set: impl Fn(&str) -> bool) -> bool {
    is_terminal && !is_set("NO_COLOR")
}

impl Console {
    pub(crate) fn new(out: impl Write + Send + 'static, color: bool) -> Self {
        Self {
            out: Box::new(out),
            color,
            books: None,
            waiting: Waiting::new(MOST_SPANS, MOST_TASKS),
            shown: Shown::default(),
            has_legend: false,
            written: 0,
            swept: None,
        }
    }

    fn take(&mut self, span: &Span) {
        let run = span.run_key();
        if span.is_root() {
            let mut spans = self.waiting.take(run);
            spans.push(span.clone());
            self.show(run, &spans);
        } else if self.shown.has(run) {
            let color = self.color;
            self.write(1, || if span.is_call() { String::new() } else { late(span, color) + "\n\n" });
        } else {
            let evicted = self.waiting.add(run, span.clone());
            self.dropped(evicted, "evicted");
        }
    }

    /// Tasks that go on elsewhere have no end here: what there is of them is shown.
    fn show_handed_over(&mut self) {
        const NOT_TWICE_WITHIN: Duration = Duration::from_secs(1);
        let now = Instant::now();
        if self.swept.is_some_and(|before| now.duration_since(before) < NOT_TWICE_WITHIN) {
            return;
        }
        self.swept = Some(now);
        for (run, spans) in self.waiting.take_handed_over() {
            self.show(run, &spans);
        }
    }

    fn show(&mut self, run: RunKey, spans: &[Span]) {
        self.shown.add(run);
        let (color, legend) = (self.color, !std::mem::replace(&mut self.has_legend, true));
        self.write(spans.len(), || {
            let mut text = String::new();
            for waterfall in Waterfall::of(spans) {
                text += &waterfall.render(color);
                text += "\n\n";
            }
            if legend {
                text += &Waterfall::legend(color);
                text += "\n\n";
            }
            text
        });
    }

    /// Writes what tells of so many spans. Whatever the writer does, this thread goes on.
    fn write(&mut self, spans: usize, text: impl FnOnce() -> String) {
        let out = &mut self.out;
        match guarded(|| out.write_all(text().as_bytes())) {
            Ok(()) => self.written += spans,
            Err(error) => self.failed(spans, &error),
        }
    }

    /// What was written is out only now.
    fn send(&mut self) {
        let written = std::mem::take(&mut self.written);
        let out = &mut self.out;
        match guarded(|| out.flush()) {
            Ok(()) => {
                if let Some(books) = &self.books {
                    books.exported(written);
                }
            }
            Err(error) => self.failed(written, &error),
        }
    }

    fn failed(&self, spans: usize, error: &io::Error) {
        if let Some(books) = &self.books {
            books.failed(&error.to_string());
        }
        self.dropped(spans, "write_failed");
    }

    fn dropped(&self, spans: usize, reason: &'static str) {
        if let Some(books) = &self.books {
            books.dropped(spans, reason);
        }
    }
}

/// A writer of the program's own may panic.
fn guarded(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))
}

impl SpanSink for Console {
    fn name(&self) -> &'static str {
        "console"
    }

    fn keep_books(&mut self, books: &Arc<Books>) -> bool {
        self.books = Some(Arc::clone(books));
        true
    }

    /// Short: people look at it.
    fn delay(&self) -> Duration {
        Duration::from_millis(100)
    }

    fn export(&mut self, spans: &[Span], _: Instant) -> Result<Sent, SendError> {
        for span in spans {
            self.take(span);
        }
        self.show_handed_over();
        self.send();
        Ok(Sent::default())
    }

    fn shutdown(&mut self, _: Instant) -> Result<(), String> {
        for (run, spans) in self.waiting.take_all() {
            self.show(run, &spans);
        }
        self.send();
        Ok(())
    }
}

/// Spans whose task has not ended.
#[derive(Default)]
struct Waiting {
    most_spans: usize,
    most_tasks: usize,
    spans: usize,
    runs: HashMap<RunKey, (u64, Vec<Span>)>,
    /// The runs, the oldest first.
    order: BTreeMap<u64, RunKey>,
    next: u64,
}

impl Waiting {
    fn new(most_spans: usize, most_tasks: usize) -> Self {
        Self { most_spans, most_tasks, ..Self::default() }
    }

    /// Keeps a span; gives how many had to go for it.
    fn add(&mut self, run: RunKey, span: Span) -> usize {
        let entry = self.runs.entry(run);
        if matches!(entry, Entry::Vacant(_)) {
            self.order.insert(self.next, run);
        }
        let (_, spans) = entry.or_insert_with(|| {
            self.next += 1;
            (self.next - 1, Vec::new())
        });
        spans.push(span);
        self.spans += 1;
        let mut evicted = 0;
        while self.spans > self.most_spans || self.runs.len() > self.most_tasks {
            let Some(oldest) = self.order.values().next().copied() else { break };
            evicted += self.take(oldest).len();
        }
        evicted
    }

    /// What waits for the end of that run.
    fn take(&mut self, run: RunKey) -> Vec<Span> {
        let Some((number, spans)) = self.runs.remove(&run) else { return Vec::new() };
        self.order.remove(&number);
        self.spans -= spans.len();
        spans
    }

    fn take_handed_over(&mut self) -> Vec<(RunKey, Vec<Span>)> {
        let is_gone = |run: &&RunKey| {
            let spans = self.runs.get(*run).map(|(_, spans)| &spans[..]).unwrap_or_default();
            spans.iter().any(|span| span.task().is_some_and(|task| task.is_handed_over()))
        };
        let gone: Vec<RunKey> = self.order.values().filter(is_gone).copied().collect();
        gone.into_iter().map(|run| (run, self.take(run))).collect()
    }

    fn take_all(&mut self) -> Vec<(RunKey, Vec<Span>)> {
        let runs: Vec<RunKey> = self.order.values().copied().collect();
        runs.into_iter().map(|run| (run, self.take(run))).collect()
    }
}

/// The tasks that were shown last.
#[derive(Default)]
struct Shown {
    runs: HashSet<RunKey>,
    order: VecDeque<RunKey>,
}

impl Shown {
    fn has(&self, run: RunKey) -> bool {
        self.runs.contains(&run)
    }

    fn add(&mut self, run: RunKey) {
        if self.runs.insert(run) {
            self.order.push_back(run);
        }
        if self.order.len() > MOST_SHOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.runs.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;
