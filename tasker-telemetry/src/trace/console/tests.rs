//! What waits, what goes, and what stands in the books.

use std::sync::Mutex;

use super::*;
use crate::prelude::*;
use crate::trace::InMemorySpans;

#[step]
fn pack() {}

#[task(id = id)]
fn order(id: u64) {
    pack();
    pack();
}

/// The spans of that many tasks: two steps and the task, each.
fn spans(tasks: u64) -> Vec<Span> {
    let spans = InMemorySpans::default();
    let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone());
    let telemetry = builder.build().unwrap();
    (0..tasks).for_each(|id| telemetry.in_scope(|| order(id)));
    telemetry.flush_blocking().unwrap();
    spans.spans()
}

/// What it writes to.
#[derive(Default, Clone)]
struct Page {
    /// What was written, in how many writes.
    written: Arc<Mutex<(Vec<u8>, usize)>>,
    /// The number of the write that fails; 0: no write, but each flush.
    fails: Option<usize>,
    panics: bool,
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut page = self.written.lock().unwrap();
        page.1 += 1;
        if Some(page.1) == self.fails {
            drop(page);
            assert!(!self.panics, "a writer that panics");
            return Err(io::ErrorKind::StorageFull.into());
        }
        page.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.fails == Some(0) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().0.clone()).unwrap()
    }
}

/// Exports, and gives exported, dropped by reason, and what still waits.
fn export(console: &mut Console, spans: &[Span]) -> (u64, Vec<(&'static str, u64)>, u64) {
    let books = console.books.get_or_insert_with(|| Arc::new(Books::new("console"))).clone();
    books.produced(spans.len());
    console.export(spans, Instant::now()).unwrap();
    let health = books.health();
    (health.exported, health.dropped.into_iter().collect(), health.backlog)
}

#[test]
fn a_task_is_shown_when_its_end_is_there_whole_and_once() {
    let (page, spans) = (Page::default(), spans(2));
    let mut console = Console::new(page.clone(), false);
    assert_eq!(export(&mut console, &[spans[0].clone(), spans[3].clone(), spans[1].clone()]), (0, vec![], 3));
    assert_eq!(page.text(), "");
    assert_eq!(export(&mut console, &spans[2..3]), (3, vec![], 1));
    let text = page.text();
    assert!(text.starts_with("0, completed after ") && !text.contains("not shown"), "{text}");
    assert_eq!((text.matches("─ pack").count(), text.matches("█ completed").count()), (2, 1));
    export(&mut console, &spans[4..]);
    assert_eq!(page.text().matches("█ completed").count(), 1, "the legend stands there once");
    assert_eq!(page.text().matches("\norder ").count(), 2);
}

#[test]
fn what_comes_late_has_a_line_of_its_own() {
    let (page, spans) = (Page::default(), spans(1));
    let mut console = Console::new(page.clone(), false);
    export(&mut console, &[spans[0].clone(), spans[2].clone()]);
    assert!(page.text().contains("… 1 of 2 steps are not shown"));
    assert_eq!(export(&mut console, &spans[1..2]), (3, vec![], 0));
    let last = page.text();
    let last = last.trim_end().lines().last().unwrap();
    assert!(last.starts_with("0 ✓ pack attempt 1 completed after "), "{last}");
}

#[test]
fn what_waits_is_bounded_and_evictions_are_counted() {
    let (page, spans) = (Page::default(), spans(6));
    let steps: Vec<Span> = spans.iter().filter(|span| !span.is_root()).cloned().collect();
    let mut console = Console::new(page.clone(), false);
    console.waiting = Waiting::new(5, 4);
    assert_eq!(export(&mut console, &steps), (0, vec![("evicted", 8)], 4), "six tasks, two spans each");
    assert_eq!(console.waiting.runs.len(), console.waiting.order.len());
    console.shutdown(Instant::now()).unwrap();
    let health = console.books.as_ref().unwrap().health();
    assert_eq!((health.exported, health.backlog), (4, 0));
    assert!(page.text().starts_with("4, not over"), "{}", page.text());

    let mut console = Console::new(Page::default(), false);
    console.waiting = Waiting::new(100, 4);
    assert_eq!(export(&mut console, &steps), (0, vec![("evicted", 4)], 8), "six tasks, four may wait");
    assert_eq!(export(&mut console, &spans[17..]), (3, vec![("evicted", 4)], 6));
}

#[test]
fn what_cannot_be_written_is_counted_and_the_rest_goes_on() {
    let spans = spans(3);
    for panics in [false, true] {
        let page = Page { fails: Some(2), panics, ..Page::default() };
        let mut console = Console::new(page.clone(), false);
        assert_eq!(export(&mut console, &spans), (6, vec![("write_failed", 3)], 0));
        assert_eq!(page.text().matches("\norder ").count(), 2);
        let health = console.books.as_ref().unwrap().health();
        assert_eq!((health.failed_requests, health.last_error.is_some()), (1, true));
    }
    let mut console = Console::new(Page { fails: Some(0), ..Page::default() }, false);
    assert_eq!(export(&mut console, &spans), (0, vec![("write_failed", 9)], 0), "nothing is out until it is flushed");
}

#[test]
fn what_was_shown_is_remembered_within_bounds() {
    let run = |n: usize| {
        (crate::trace::TraceId::from_bytes((n as u128 + 1).to_be_bytes()), crate::trace::SpanId::from_bytes([1; 8]))
    };
    let mut shown = Shown::default();
    (0..3 * MOST_SHOWN).for_each(|n| shown.add(run(n)));
    assert_eq!((shown.runs.len(), shown.order.len()), (MOST_SHOWN, MOST_SHOWN));
    assert!(shown.has(run(3 * MOST_SHOWN - 1)) && !shown.has(run(0)));
}

#[test]
fn colour_is_for_terminals_unless_it_is_not_wanted() {
    assert!(color_for(true, |_| false));
    assert!(!color_for(true, |name| name == "NO_COLOR") && !color_for(false, |_| false));
}
