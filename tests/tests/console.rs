//! The console exporter: one waterfall for each task, whatever becomes of what it writes to.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::ExporterHealth;

/// What was written, and what happens to what is written next.
#[derive(Clone)]
struct Page {
    text: Arc<Mutex<Vec<u8>>>,
    next: fn(&[u8]) -> io::Result<usize>,
}

impl Page {
    fn new(next: fn(&[u8]) -> io::Result<usize>) -> Self {
        Self { text: Arc::default(), next }
    }

    fn good() -> Self {
        Self::new(|bytes| Ok(bytes.len()))
    }

    fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = (self.next)(bytes)?;
        self.text.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn printing(page: &Page) -> Telemetry {
    Telemetry::builder().auto_subscribers(false).console_to(page.clone()).build().unwrap()
}

fn books(telemetry: &Telemetry) -> ExporterHealth {
    telemetry.health().spans.unwrap().exporters.remove(0)
}

#[derive(Debug, PartialEq)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

#[step(retry_limit = 2, backoff = Backoff::fixed().base(Duration::from_millis(2)), fields(amount))]
async fn charge(amount: u64) -> Result<u64, Refused> {
    if StepScope::current().is_some_and(|step| step.attempt_number() == 1) { Err(Refused) } else { Ok(amount) }
}

#[step]
async fn pack() {}

#[step]
async fn ship() {
    pack().await;
}

#[task(id = id, fields(customer = "Zoë"))]
async fn order(id: u64) -> Result<u64, Refused> {
    let paid = charge(id).await?;
    ship().await;
    Ok(paid)
}

#[test]
fn a_task_that_ended_is_a_waterfall() {
    let page = Page::good();
    let telemetry = printing(&page);
    for id in [1, 2] {
        block_on(telemetry.scope(order(id))).unwrap();
    }
    telemetry.flush_blocking().unwrap();
    let text = page.text();
    let names = |line: &str| line.chars().take(31).collect::<String>().trim_end().to_owned();
    let of_first: Vec<String> = text.lines().skip(2).take_while(|line| !line.is_empty()).map(names).collect();
    let expected = [
        "order",
        "├─ charge amount=1",
        "│  ├─ attempt 1: Refused",
        "│  │  wait",
        "│  └─ attempt 2",
        "└─ ship",
        "   └─ pack",
    ];
    assert_eq!(of_first, expected, "{text}");
    for id in [1, 2] {
        assert_eq!(text.lines().filter(|line| line.starts_with(&format!("{id}, completed after "))).count(), 1);
    }
    assert!(!text.contains('\u{1b}'), "no colour unless it is a terminal");
    let books = books(&telemetry);
    assert_eq!((books.name, books.produced, books.exported, books.backlog), ("console", 10, 10, 0));
}

#[test]
fn at_shutdown_what_is_not_over_is_shown_as_it_stands() {
    #[task(id = "ORD-7")]
    async fn hangs() {
        pack().await;
        std::future::pending::<()>().await;
    }
    let page = Page::good();
    let telemetry = printing(&page);
    let mut task = Box::pin(telemetry.scope(hangs()));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(task.as_mut().poll(&mut cx).is_pending());
    telemetry.flush_blocking().unwrap();
    assert_eq!((page.text().as_str(), books(&telemetry).backlog), ("", 1), "it waits for the end");
    telemetry.shutdown_blocking().unwrap();
    let text = page.text();
    assert!(text.starts_with("ORD-7, not over") && text.contains("└─ pack "), "{text}");
    let books = books(&telemetry);
    assert_eq!((books.produced, books.exported, books.dropped_total()), (1, 1, 0));
}

#[test]
fn a_task_that_goes_on_elsewhere_is_shown_as_far_as_it_came() {
    #[task(id = "ORD-8")]
    async fn hands_over() {
        pack().await;
        let _ = TaskScope::current().unwrap().hand_over();
    }
    let page = Page::good();
    let telemetry = printing(&page);
    block_on(telemetry.scope(hands_over()));
    telemetry.flush_blocking().unwrap();
    assert!(page.text().starts_with("ORD-8, goes on elsewhere"), "{}", page.text());
    assert_eq!(books(&telemetry).exported, 1);
}

#[test]
fn a_writer_that_fails_costs_its_spans_and_nothing_else() {
    let faults: [fn(&[u8]) -> io::Result<usize>; 4] = [
        |_| Err(io::ErrorKind::StorageFull.into()),
        |_| Err(io::ErrorKind::BrokenPipe.into()),
        |_| Ok(0),
        |_| panic!("a writer that panics"),
    ];
    for fault in faults {
        let page = Page::new(fault);
        let telemetry = printing(&page);
        for id in 0..100 {
            assert_eq!(block_on(telemetry.scope(order(id))), Ok(id));
        }
        telemetry.shutdown_blocking().unwrap();
        let books = books(&telemetry);
        assert_eq!((books.produced, books.exported, books.backlog), (500, 0, 0));
        assert_eq!(books.dropped.into_iter().collect::<Vec<_>>(), [("write_failed", 500)]);
        assert!(books.failed_requests >= 100 && books.last_error.is_some());
    }
}

#[test]
fn a_writer_that_hangs_holds_up_no_step_and_shutdown_ends_in_time() {
    let page = Page::new(|_| {
        loop {
            std::thread::park();
        }
    });
    let builder = Telemetry::builder().auto_subscribers(false).shutdown_timeout(Duration::from_millis(300));
    let telemetry = builder.console_to(page).build().unwrap();
    for id in 0..100 {
        assert_eq!(block_on(telemetry.scope(order(id))), Ok(id));
    }
    telemetry.shutdown_blocking().unwrap_err();
    let books = books(&telemetry);
    assert_eq!(books.exported + books.dropped_total(), books.produced);
    assert_eq!((books.exported, books.dropped.get("shutdown")), (0, Some(&books.produced)));
}
