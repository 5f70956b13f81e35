//! The state machine, pair by pair: what each transition is, what is none, and that the life cycle tells each once.

use std::collections::BTreeMap;

use tasker_telemetry::prelude::*;
use tasker_telemetry::state::{Entity, IllegalTransition, State, transition};
use tasker_telemetry::testing::{Recording, record};

/// One row a state that something is in, one column a state that it is to take, in the order of `State::ALL`: pending, in progress,
/// complete, error, cancelled, resolved manually. `-` is illegal.
const TASK: [[&str; 6]; 6] = [
    ["-", "task.start_requested", "-", "task.failed", "task.cancelled", "-"],
    ["task.retry_requested", "-", "task.completed", "task.failed", "task.cancelled", "-"],
    ["-", "-", "-", "-", "task.cancelled", "-"],
    ["task.retry_requested", "-", "-", "-", "-", "task.resolved_manually"],
    ["-", "-", "-", "-", "-", "-"],
    ["-", "-", "-", "-", "task.cancelled", "-"],
];

const STEP: [[&str; 6]; 6] = [
    ["-", "step.started", "-", "step.failed", "step.cancelled", "step.resolved_manually"],
    ["-", "-", "step.completed", "step.failed", "step.cancelled", "-"],
    ["-", "-", "-", "-", "-", "-"],
    ["step.retry_requested", "-", "-", "-", "-", "step.resolved_manually"],
    ["-", "-", "-", "-", "-", "-"],
    ["-", "-", "-", "-", "-", "-"],
];

#[test]
fn each_pair_is_one_event_or_an_error() {
    let mut pairs = 0;
    for (entity, table) in [(Entity::Task, TASK), (Entity::Step, STEP)] {
        for (from, row) in State::ALL.into_iter().zip(table) {
            for (to, expected) in State::ALL.into_iter().zip(row) {
                pairs += 1;
                match transition(entity, from, to) {
                    Ok(event) => assert_eq!(event.name(), expected, "{entity:?} {from} -> {to}"),
                    Err(error) => {
                        assert_eq!(expected, "-", "{entity:?} {from} -> {to}");
                        assert_eq!(error, IllegalTransition { entity, from, to });
                        let text = error.to_string();
                        assert!(text.contains(from.as_str()) && text.contains(to.as_str()), "{text}");
                    }
                }
            }
        }
    }
    assert_eq!(pairs, 72);
}

#[step(retry_limit = 2)]
async fn attempt(fails: u32, panics: bool, hangs: bool) -> Result<(), String> {
    assert!(!panics, "{}", integration_tests::EXPECTED);
    if hangs {
        std::future::pending::<()>().await;
    }
    let attempt = StepScope::current().map_or(0, |step| step.attempt_number());
    if attempt <= fails { Err("no".to_owned()) } else { Ok(()) }
}

#[task]
async fn workflow(fails: u32, panics: bool, hangs: bool) -> Result<(), String> {
    attempt(fails, panics, hangs).await
}

type Counts = BTreeMap<String, usize>;

fn transitions(events: &tasker_telemetry::testing::Events) -> Counts {
    let mut counts = Counts::new();
    for event in events {
        // Those of the contract that are transitions; the others go before or beside one.
        let is_one = !matches!(
            event.name(),
            "task.initialize_requested" | "step.execution_requested" | "step.max_retries_reached"
        ) && !event.name().starts_with("observability.");
        if is_one {
            *counts.entry(event.name().to_owned()).or_default() += 1;
        }
    }
    counts
}

fn counts(expected: &[(&str, usize)]) -> Counts {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn what_really_happened_is_told_once() {
    integration_tests::quiet_expected_panics();
    for (fails, expected) in [
        (0, counts(&[("task.start_requested", 1), ("step.started", 1), ("step.completed", 1), ("task.completed", 1)])),
        (
            1,
            counts(&[
                ("task.start_requested", 1),
                ("step.started", 2),
                ("step.failed", 1),
                ("step.retry_requested", 1),
                ("step.completed", 1),
                ("task.completed", 1),
            ]),
        ),
        (
            2,
            counts(&[
                ("task.start_requested", 1),
                ("step.started", 2),
                ("step.failed", 2),
                ("step.retry_requested", 1),
                ("task.failed", 1),
            ]),
        ),
    ] {
        let run = record(workflow(fails, false, false)).await;
        assert_eq!(transitions(&run), expected, "{fails} failures");
    }

    let recording = Recording::new();
    let panicked = tokio::spawn(recording.scope(workflow(0, true, false))).await;
    assert!(panicked.is_err());
    let expected = counts(&[("task.start_requested", 1), ("step.started", 1), ("step.failed", 1), ("task.failed", 1)]);
    assert_eq!(transitions(&recording.events()), expected);

    let recording = Recording::new();
    let mut dropped = Box::pin(recording.scope(workflow(0, false, true)));
    assert!(futures::poll!(dropped.as_mut()).is_pending());
    drop(dropped);
    let expected =
        counts(&[("task.start_requested", 1), ("step.started", 1), ("step.cancelled", 1), ("task.cancelled", 1)]);
    assert_eq!(transitions(&recording.events()), expected);
}
