//! One transition, one event, whoever looks: 2,000 tasks of 5 steps on 8 threads, some retried, some failing, some
//! cancelled, some panicking; every count is exact, and every subscriber sees each task's events in causal order.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use integration_tests::{EXPECTED, quiet_expected_panics};
use tasker_telemetry::prelude::*;
use tokio::sync::Notify;

const TASKS: u32 = 2_000;

/// What becomes of a task, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// All five steps at the first attempt.
    Smooth,
    /// The third step needs three attempts.
    Retried,
    /// The fourth step fails for good at its first attempt: the error is permanent.
    Permanent,
    /// The second step fails three times and then for good.
    Exhausted,
    /// Dropped while its fifth step waits.
    Cancelled,
    /// The first step panics.
    Panicking,
}

const fn fate(task: u32) -> Fate {
    match task % 10 {
        0 | 1 => Fate::Retried,
        2 => Fate::Permanent,
        3 => Fate::Exhausted,
        4 => Fate::Cancelled,
        5 => Fate::Panicking,
        _ => Fate::Smooth,
    }
}

#[derive(Debug)]
enum StepError {
    Flaky,
    Hopeless,
}

impl std::fmt::Display for StepError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for StepError {}

impl Retryable for StepError {
    fn retry_advice(&self) -> RetryAdvice {
        match self {
            Self::Flaky => RetryAdvice::Retry,
            Self::Hopeless => RetryAdvice::Permanent,
        }
    }
}

/// Told when a task that is to be cancelled has come to its last step.
static REACHED: LazyLock<Vec<Notify>> = LazyLock::new(|| (0..TASKS).map(|_| Notify::new()).collect());

#[step(retry_limit = 3)]
async fn work(task: u32, number: u32) -> Result<(), StepError> {
    tokio::task::yield_now().await;
    let attempt = StepScope::current().map_or(0, |step| step.attempt_number());
    match (fate(task), number) {
        (Fate::Retried, 3) if attempt < 3 => Err(StepError::Flaky),
        (Fate::Permanent, 4) => Err(StepError::Hopeless),
        (Fate::Exhausted, 2) => Err(StepError::Flaky),
        _ => Ok(()),
    }
}

/// One attempt, which may end in its first poll.
#[step]
async fn once(task: u32, number: u32) -> Result<(), StepError> {
    if task.is_multiple_of(2) {
        tokio::task::yield_now().await;
    }
    match (fate(task), number) {
        (Fate::Panicking, 1) => panic!("{EXPECTED} of task {task}"),
        (Fate::Cancelled, 5) => {
            REACHED[task as usize].notify_one();
            std::future::pending().await
        }
        _ => Ok(()),
    }
}

#[task(id = task)]
async fn run(task: u32) -> Result<(), StepError> {
    once(task, 1).await?;
    for number in 2..=4 {
        work(task, number).await?;
    }
    once(task, 5).await
}

/// Keeps name and identity of what it sees, by task, in the order in which it sees it.
#[derive(Default, Clone)]
struct Seen(Arc<Mutex<HashMap<String, Vec<Line>>>>);

#[derive(Clone, Debug)]
struct Line {
    event: &'static str,
    step_id: Option<String>,
    attempt: Option<u32>,
    event_id: String,
}

impl Seen {
    fn keep(&self, event: &EventRecord) {
        let line = Line {
            event: event.name(),
            step_id: event.step_id().map(str::to_owned),
            attempt: event.attempt_number(),
            event_id: event.event_id(),
        };
        self.0.lock().unwrap().entry(event.task_id().unwrap().to_owned()).or_default().push(line);
    }
}

#[derive(Subscriber)]
#[subscribe("*")]
#[subscriber(manual)]
struct Everything(Seen);

impl Everything {
    fn handle_event(&self, event: &EventRecord) {
        self.0.keep(event);
    }
}

#[derive(Subscriber)]
#[subscribe("step.*")]
#[subscriber(manual)]
struct Steps(Seen);

impl Steps {
    async fn handle_event(&self, event: &EventRecord) {
        if event.attempt_number() == Some(2) {
            tokio::task::yield_now().await;
        }
        self.0.keep(event);
    }
}

#[derive(Subscriber)]
#[subscribe("task.failed", "task.completed")]
#[subscriber(manual)]
struct Ends(Seen);

impl Ends {
    fn handle_task_failed(&self, event: &EventRecord) {
        self.0.keep(event);
    }

    fn handle_task_completed(&self, event: &EventRecord) {
        self.0.keep(event);
    }
}

#[derive(Subscriber)]
#[subscribe("*")]
#[subscriber(manual, inline)]
struct OnTheSpot(Seen);

impl OnTheSpot {
    fn handle_event(&self, event: &EventRecord) {
        self.0.keep(event);
    }
}

/// The events of a task, as they must come.
fn expected(fate: Fate) -> Vec<(&'static str, Option<u32>)> {
    let mut events = vec![("task.initialize_requested", None), ("task.start_requested", None)];
    let attempt = |events: &mut Vec<_>, number, end: &[&'static str]| {
        events.push(("step.execution_requested", Some(number)));
        events.push(("step.started", Some(number)));
        events.extend(end.iter().map(|name| (*name, Some(number))));
    };
    let smooth = |events: &mut Vec<_>, steps| {
        for _ in 0..steps {
            attempt(events, 1, &["step.completed"]);
        }
    };
    match fate {
        Fate::Smooth => {
            smooth(&mut events, 5);
            events.push(("task.completed", None));
        }
        Fate::Retried => {
            smooth(&mut events, 2);
            attempt(&mut events, 1, &["step.failed", "step.retry_requested"]);
            attempt(&mut events, 2, &["step.failed", "step.retry_requested"]);
            attempt(&mut events, 3, &["step.completed"]);
            smooth(&mut events, 2);
            events.push(("task.completed", None));
        }
        Fate::Permanent => {
            smooth(&mut events, 3);
            attempt(&mut events, 1, &["step.failed"]);
            events.push(("task.failed", None));
        }
        Fate::Exhausted => {
            smooth(&mut events, 1);
            attempt(&mut events, 1, &["step.failed", "step.retry_requested"]);
            attempt(&mut events, 2, &["step.failed", "step.retry_requested"]);
            attempt(&mut events, 3, &["step.failed", "step.max_retries_reached"]);
            events.push(("task.failed", None));
        }
        Fate::Cancelled => {
            smooth(&mut events, 4);
            attempt(&mut events, 1, &["step.cancelled"]);
            events.push(("task.cancelled", None));
        }
        Fate::Panicking => {
            attempt(&mut events, 1, &["step.failed"]);
            events.push(("task.failed", None));
        }
    }
    events
}

fn check_everything(seen: &Seen) -> usize {
    let seen = seen.0.lock().unwrap();
    assert_eq!(seen.len(), TASKS as usize);
    let mut ids = std::collections::HashSet::new();
    for (task, lines) in &*seen {
        let fate = fate(task.parse().unwrap());
        let names: Vec<_> = lines.iter().map(|line| (line.event, line.attempt)).collect();
        assert_eq!(names, expected(fate), "task {task}, {fate:?}");
        for line in lines {
            assert!(ids.insert(line.event_id.clone()), "two events have one id");
        }
        // The attempts of a step share its id; steps do not.
        let steps: std::collections::HashSet<_> = lines.iter().filter_map(|line| line.step_id.clone()).collect();
        let begun =
            lines.iter().filter(|line| line.event == "step.execution_requested" && line.attempt == Some(1)).count();
        assert_eq!(steps.len(), begun);
    }
    seen.values().map(Vec::len).sum()
}

#[test]
fn every_transition_has_one_event_for_every_subscriber() {
    quiet_expected_panics();
    // Whoever has to be told on the spot makes steps take another way through the life cycle.
    for on_the_spot in [true, false] {
        run_all(on_the_spot);
    }
}

fn run_all(on_the_spot: bool) {
    let (everything, steps, ends, inline) = (Seen::default(), Seen::default(), Seen::default(), Seen::default());
    let telemetry = Telemetry::builder()
        .auto_subscribers(false)
        .subscriber(Everything(everything.clone()))
        .subscriber(Steps(steps.clone()))
        .subscriber(Ends(ends.clone()))
        .shutdown_timeout(Duration::from_secs(60));
    let telemetry = if on_the_spot { telemetry.subscriber(OnTheSpot(inline.clone())) } else { telemetry };
    let telemetry = telemetry.build().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let run = telemetry.scope(run(task));
                (
                    task,
                    tokio::spawn(async move {
                        tokio::select! {
                            _ = run => {}
                            () = REACHED[task as usize].notified() => {}
                        }
                    }),
                )
            })
            .collect();
        for (task, handle) in tasks {
            assert_eq!(handle.await.is_err(), fate(task) == Fate::Panicking);
        }
        telemetry.shutdown().await.unwrap();
    });

    let all: usize = (0..TASKS).map(|task| expected(fate(task)).len()).sum();
    assert_eq!(check_everything(&everything), all);
    if on_the_spot {
        assert_eq!(check_everything(&inline), all);
    }
    for (task, lines) in &*steps.0.lock().unwrap() {
        let names: Vec<_> = lines.iter().map(|line| (line.event, line.attempt)).collect();
        let steps_only: Vec<_> =
            expected(fate(task.parse().unwrap())).into_iter().filter(|(name, _)| name.starts_with("step.")).collect();
        assert_eq!(names, steps_only, "task {task}");
    }

    let health = telemetry.health();
    assert!(health.is_clean(), "{health:#?}");
    assert_eq!(health.published.values().sum::<u64>(), all as u64);
    let mut subscribers = vec![("Everything", &everything), ("Steps", &steps), ("Ends", &ends)];
    if on_the_spot {
        subscribers.push(("OnTheSpot", &inline));
    }
    for (name, seen) in subscribers {
        let books = health.subscriber(name).unwrap();
        let count: usize = seen.0.lock().unwrap().values().map(Vec::len).sum();
        assert_eq!(books.published, count as u64, "{name}");
        assert_eq!(books.delivered, count as u64, "{name}");
    }
    let ended = ends.0.lock().unwrap().len();
    let cancelled = (0..TASKS).filter(|task| fate(*task) == Fate::Cancelled).count();
    assert_eq!(ended, TASKS as usize - cancelled);
}
