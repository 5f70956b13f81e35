//! From what ran to what is drawn.

use crate::prelude::*;
use crate::state::State;
use crate::testing::block_on;
use crate::trace::{InMemorySpans, Span, Waterfall};

#[derive(Debug, thiserror::Error)]
#[error("no\u{1b}[2J answer\nfrom the gateway")]
struct Timeout;

#[step(fields(deep))]
async fn inner(deep: u64) {
    if deep > 0 {
        Box::pin(inner(deep - 1)).await;
    }
}

#[step(retry_limit = 3, backoff = Backoff::fixed().base(std::time::Duration::from_millis(1)), fields(amount))]
async fn charge(amount: &str) -> Result<(), Timeout> {
    inner(1).await;
    if StepScope::current().is_some_and(|step| step.attempt_number() < 3) { Err(Timeout) } else { Ok(()) }
}

#[step]
async fn refuse() -> Result<(), Timeout> {
    Err(Timeout)
}

#[task(id = id, max_concurrent_steps = 2, fields(customer, lines = 3))]
async fn order(id: &str, customer: &str) -> Result<(), Timeout> {
    inner(0).await;
    charge("9.90 \u{1b}[31mEUR").await?;
    refuse().await
}

fn spans(id: &str) -> Vec<Span> {
    let spans = InMemorySpans::default();
    let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone());
    let telemetry = builder.build().unwrap();
    block_on(telemetry.scope(order(id, "Zoë\r\nX: \u{9b}31m\u{202e}"))).unwrap_err();
    telemetry.flush_blocking().unwrap();
    spans.spans()
}

/// The first column, of the rows.
fn names(waterfall: &Waterfall) -> Vec<String> {
    let text = waterfall.render(false);
    text.lines().skip(2).map(|line| line.chars().take(31).collect::<String>().trim_end().to_owned()).collect()
}

#[test]
fn steps_attempts_and_nested_steps_stand_where_they_ran() {
    let [waterfall] = &Waterfall::of(&spans("ORD-1"))[..] else { panic!("one task, one waterfall") };
    let expected = [
        "order",
        "├─ inner deep=0",
        "├─ charge 9.90 \u{fffd}[31mEUR",
        "│  ├─ attempt 1: Timeout",
        "│  │  └─ inner deep=1",
        "│  │     └─ inner deep=0",
        "│  │  wait",
        "│  ├─ attempt 2: Timeout",
        "│  │  └─ inner deep=1",
        "│  │     └─ inner deep=0",
        "│  │  wait",
        "│  └─ attempt 3",
        "│     └─ inner deep=1",
        "│        └─ inner deep=0",
        "└─ refuse: Timeout",
    ];
    assert_eq!(names(waterfall), expected, "{waterfall}");
    assert_eq!((waterfall.task_id(), waterfall.task_name()), ("ORD-1", "order"));
    assert_eq!((waterfall.status(), waterfall.steps(), waterfall.retries()), (State::Error, 9, 2));
}

#[test]
fn a_terminal_obeys_nothing_that_the_program_said() {
    let spans = spans("ORD-1\u{1b}]0;owned\u{7}\n");
    let waterfall = &Waterfall::of(&spans)[0];
    let (plain, colored) = (waterfall.render(false), waterfall.render(true));
    assert!(plain.chars().all(|char| char == '\n' || !char.is_control()), "{plain:?}");
    assert_eq!(plain.lines().count(), names(waterfall).len() + 2);
    assert!(plain.starts_with("ORD-1\u{fffd}]0;owned\u{fffd} , failed after "), "{plain}");
    let first = plain.lines().next().unwrap();
    assert!(first.ends_with("no\u{fffd}[2J answer from the gateway  Zoë  X: \u{fffd}31m\u{fffd} · lines=3"), "{first}");
    let mut rest = colored.clone();
    for code in [0, 1, 2, 31, 32, 33] {
        rest = rest.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(rest, plain, "in colour it is the same");
    assert_eq!(waterfall.task_id(), "ORD-1\u{1b}]0;owned\u{7}\n", "for the program, as it is");
}

#[test]
fn the_times_are_those_of_the_spans() {
    let spans = spans("ORD-2");
    let root = spans.last().unwrap();
    let waterfall = &Waterfall::of(&spans)[0];
    assert_eq!((waterfall.start(), waterfall.trace_id()), (root.start(), root.trace_id()));
    assert_eq!(waterfall.duration(), root.end().saturating_duration_since(root.start()));
    let model = &waterfall.task;
    let charge = &model.steps[1];
    let of_charge: Vec<_> =
        spans.iter().filter(|span| span.attribute("tasker.step_name") == Some("charge".into())).collect();
    for (attempt, span) in charge.attempts.iter().zip(&of_charge) {
        assert_eq!((attempt.begin, attempt.end), (span.start(), span.end()));
        let Some(crate::Value::F64(queue)) = span.attribute("tasker.queue_time") else { panic!("{span:?}") };
        let waited = attempt.begin.saturating_duration_since(attempt.asked).as_secs_f64();
        assert!((waited - queue).abs() < 1e-9, "{waited} {queue}");
    }
    let (from, to) = charge.backoff_after(0).unwrap();
    assert_eq!((from, to), (charge.attempts[0].end, charge.attempts[1].asked));
    assert!(to.saturating_duration_since(from) >= std::time::Duration::from_millis(1));
}

#[test]
fn what_is_not_there_is_said_and_tasks_are_apart() {
    let mut both = spans("ORD-3");
    let root = both.pop().unwrap();
    assert!(Waterfall::of(&both)[0].render(false).starts_with("ORD-3, not over"));
    assert_eq!(Waterfall::of(&both)[0].status(), State::InProgress);
    let alone = Waterfall::of(std::slice::from_ref(&root));
    assert!(
        alone[0]
            .render(false)
            .ends_with("9 of 9 steps are not shown: not over yet, run elsewhere, or their spans were dropped")
    );
    both.extend(spans("ORD-4"));
    both.push(root.clone());
    both.push(root);
    let both = Waterfall::of(&both);
    assert_eq!(both.iter().map(Waterfall::task_id).collect::<Vec<_>>(), ["ORD-3", "ORD-4"]);
    assert_eq!(both.iter().map(Waterfall::steps).collect::<Vec<_>>(), [9, 9]);
    assert!(Waterfall::of(&[]).is_empty());
}
