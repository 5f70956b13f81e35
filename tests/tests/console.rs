//! The console exporter: one waterfall for each task, whatever becomes of what it writes to.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::{Carrier, ExporterHealth, Sampling};

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

/// The first column of a row.
fn name(line: &str) -> String {
    line.chars().take(31).collect::<String>().trim_end().to_owned()
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
    let of_first: Vec<String> = text.lines().skip(2).take_while(|line| !line.is_empty()).map(name).collect();
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
fn spans_that_travelled_with_their_task_are_drawn_like_others() {
    #[task(id = "ORD-9", fields(customer = "Zoë"))]
    async fn hands_over() -> Carrier {
        let _ = charge(9).await;
        ship().await;
        TaskScope::current().unwrap().hand_over()
    }
    let pages = [Page::good(), Page::good()];
    let [one, two] = [0, 1].map(|at| {
        let builder = Telemetry::builder().auto_subscribers(false).sampling(Sampling::none().keep_failures());
        builder.console_to(pages[at].clone()).build().unwrap()
    });
    let carrier = block_on(one.scope(hands_over()));
    let sent = serde_json::to_string(&carrier).unwrap();
    let task = two.in_scope(|| TaskScope::resume(serde_json::from_str(&sent).unwrap()));
    block_on(task.scope(pack()));
    task.fail(&Refused);
    one.flush_blocking().unwrap();
    two.flush_blocking().unwrap();
    let text = pages[1].text();
    assert!(text.starts_with("ORD-9, failed after ") && text.contains("refused  Zoë\n"), "{text}");
    let names: Vec<String> = text.lines().skip(2).take_while(|line| !line.is_empty()).map(name).collect();
    let expected = [
        "hands_over",
        "├─ charge amount=9",
        "│  ├─ attempt 1: Refused",
        "│  │  wait",
        "│  └─ attempt 2",
        "├─ ship",
        "│  └─ pack",
        "└─ pack",
    ];
    assert_eq!(names, expected, "{text}");
    assert_eq!((pages[0].text().as_str(), books(&two).exported), ("", 6));
}

#[test]
fn a_writer_that_fails_costs_its_spans_and_nothing_else() {
    type Fault = fn(&[u8]) -> io::Result<usize>;
    let faults: [Fault; 4] = [
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
