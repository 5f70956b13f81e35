//! The host sees no difference: random programs of steps that return, fail, panic, nest, run side by side and are dropped
//! half-way give the same result and the same side effects in the same order, with the macros and without. Nor do those who
//! listen: most steps take a shorter way through the life cycle, and what is told of them is the same.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use integration_tests::{EXPECTED, quiet_expected_panics};
use proptest::prelude::*;
use tasker_telemetry::Builder;
use tasker_telemetry::metrics::Format;
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Recording, block_on};
use tasker_telemetry::trace::InMemorySpans;

/// What a step does, one after the other.
type Program = Vec<Node>;

#[derive(Debug, Clone)]
enum Node {
    /// A side effect.
    Log(u8),
    /// Gives the thread back once.
    Yield,
    /// Ends the step with an error.
    Fail(u8),
    /// Panics.
    Panic(u8),
    /// Ends the step early, well.
    Return(u8),
    /// A side effect when the step ends, however it does.
    Guard(u8),
    /// A step inside; its error ends this one, too.
    Step(Program),
    /// A step inside; its error is forgotten.
    Try(Program),
    /// A step that is a plain function.
    Plain(Vec<u8>, Option<u8>),
    /// A task inside.
    Task(Program),
    /// Two steps side by side.
    Join(Program, Program),
    /// A step that is polled so many times and then dropped.
    Drop(u8, Program),
}

type Log = Arc<Mutex<Vec<String>>>;

fn log(to: &Log, entry: impl Into<String>) {
    to.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(entry.into());
}

struct Guard(u8, Log);

impl Drop for Guard {
    fn drop(&mut self) {
        log(&self.1, format!("guard {}", self.0));
    }
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            Poll::Ready(())
        } else {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

async fn poll_times<F: Future>(times: u8, mut future: Pin<Box<F>>) {
    for _ in 0..times {
        let done = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        if done {
            return;
        }
    }
}

/// The same interpreter twice: with the macros and without. The text is the same, only the attributes differ.
macro_rules! interpreter {
    ($module:ident, $(#[$step:meta])?, $(#[$task:meta])?) => {
        mod $module {
            use super::*;

            $(#[$step])?
            pub(super) async fn step(program: &Program, to: &Log) -> Result<u32, String> {
                let mut guards = Vec::new();
                let mut sum = 0;
                for node in program {
                    match node {
                        Node::Log(n) => log(to, format!("log {n}")),
                        Node::Yield => yield_once().await,
                        Node::Fail(n) => Err(format!("error {n}"))?,
                        Node::Panic(n) => panic!("{EXPECTED} {n}"),
                        Node::Return(n) => return Ok(sum + u32::from(*n)),
                        Node::Guard(n) => guards.push(Guard(*n, Arc::clone(to))),
                        Node::Step(inner) => sum += Box::pin(step(inner, to)).await?,
                        Node::Try(inner) => match Box::pin(step(inner, to)).await {
                            Ok(n) => sum += n,
                            Err(error) => log(to, format!("forgot {error}")),
                        },
                        Node::Plain(entries, end) => sum += plain(entries, *end, to)?,
                        Node::Task(inner) => sum += Box::pin(task(inner, to)).await?,
                        Node::Join(a, b) => {
                            let (a, b) = futures::join!(Box::pin(step(a, to)), Box::pin(step(b, to)));
                            sum += a? + b?;
                        }
                        Node::Drop(times, inner) => poll_times(*times, Box::pin(step(inner, to))).await,
                    }
                }
                log(to, format!("sum {sum}"));
                Ok(sum + 1)
            }

            $(#[$step])?
            fn plain(entries: &[u8], end: Option<u8>, to: &Log) -> Result<u32, String> {
                let _guard = Guard(0, Arc::clone(to));
                for entry in entries {
                    log(to, format!("plain {entry}"));
                }
                match end {
                    Some(n) if n % 2 == 0 => Err(format!("plain error {n}")),
                    Some(n) => panic!("{EXPECTED} in a plain function {n}"),
                    None => Ok(u32::try_from(entries.len()).unwrap_or(0)),
                }
            }

            $(#[$task])?
            pub(super) async fn task(program: &Program, to: &Log) -> Result<u32, String> {
                let result = step(program, to).await;
                log(to, "task ends");
                result
            }
        }
    };
}
interpreter!(bare, ,);
interpreter!(annotated, #[step], #[task(max_concurrent_steps = 100)]);
interpreter!(unbounded, #[step], #[task]);

fn programs() -> impl Strategy<Value = Program> {
    let leaf = prop_oneof![
        4 => any::<u8>().prop_map(Node::Log),
        3 => Just(Node::Yield),
        1 => any::<u8>().prop_map(Node::Fail),
        1 => any::<u8>().prop_map(Node::Panic),
        1 => any::<u8>().prop_map(Node::Return),
        2 => any::<u8>().prop_map(Node::Guard),
        1 => (proptest::collection::vec(any::<u8>(), 0..3), proptest::option::weighted(0.3, any::<u8>()))
            .prop_map(|(entries, end)| Node::Plain(entries, end)),
    ];
    let node = leaf.prop_recursive(4, 40, 5, |inner| {
        let program = proptest::collection::vec(inner, 0..5);
        prop_oneof![
            3 => program.clone().prop_map(Node::Step),
            2 => program.clone().prop_map(Node::Try),
            1 => program.clone().prop_map(Node::Task),
            2 => (program.clone(), program.clone()).prop_map(|(a, b)| Node::Join(a, b)),
            2 => (0..4_u8, program).prop_map(|(times, inner)| Node::Drop(times, inner)),
        ]
    });
    proptest::collection::vec(node, 0..6)
}

/// Result or panic message, and the side effects in their order.
type Seen = (Result<Result<u32, String>, String>, Vec<String>);

fn observe<F: Future<Output = Result<u32, String>>>(run: impl FnOnce(Log) -> F) -> Seen {
    let to = Log::default();
    let result = catch_unwind(AssertUnwindSafe(|| block_on(run(Arc::clone(&to)))));
    let result = result.map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default());
    let entries = to.lock().unwrap().clone();
    (result, entries)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_host_sees_no_difference(program in programs()) {
        quiet_expected_panics();
        let expected = observe(|to| { let program = program.clone(); async move { bare::task(&program, &to).await } });

        let off = observe(|to| { let program = program.clone(); async move { annotated::task(&program, &to).await } });
        prop_assert_eq!(&off, &expected, "telemetry off");

        let silent = Telemetry::builder().auto_subscribers(false).build().unwrap();
        let unheard = observe(|to| { let program = program.clone(); silent.scope(async move { annotated::task(&program, &to).await }) });
        prop_assert_eq!(&unheard, &expected, "nobody listens");

        let recording = Recording::new();
        let heard = observe(|to| { let program = program.clone(); recording.scope(async move { annotated::task(&program, &to).await }) });
        prop_assert_eq!(&heard, &expected, "somebody listens");

        // And what was told adds up: everything that began ended once.
        let events = recording.events();
        let count = |name| events.count(name);
        prop_assert_eq!(
            count("step.execution_requested"),
            count("step.completed") + count("step.failed") + count("step.cancelled"),
            "steps begun and ended"
        );
        prop_assert_eq!(
            count("task.start_requested"),
            count("task.completed") + count("task.failed") + count("task.cancelled"),
            "tasks begun and ended"
        );
    }
}

/// Keeps what it is told, with ids in the order in which they came up.
#[derive(Default, Clone, Subscriber)]
#[subscribe("*")]
#[subscriber(manual)]
struct Told(Arc<Mutex<Vec<String>>>, Arc<Mutex<Vec<String>>>);

impl Told {
    fn handle_event(&self, event: &EventRecord) {
        let json = event.payload();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let id = |name: &str| {
            let (id, mut ids) = (text(name), self.1.lock().unwrap());
            ids.iter().position(|known| *known == id).unwrap_or_else(|| {
                ids.push(id);
                ids.len() - 1
            })
        };
        let (task, step, attempt) = (id("task_id"), id("step_id"), &json["attempt_number"]);
        let error = [text("error_class"), text("error_message"), text("reason")].join("/");
        let steps = [&json["total_steps"], &json["completed_steps"], &json["failed_steps"]];
        let took = json["execution_duration"].as_f64().is_some_and(|seconds| (0.0..60.0).contains(&seconds));
        let entry = format!("{} of {task}/{step}#{attempt} {error} {steps:?} {took}", event.name());
        self.0.lock().unwrap().push(entry);
    }
}

/// Whoever has to be told on the spot makes every step take the long way.
#[derive(Default, Subscriber)]
#[subscribe("*")]
#[subscriber(manual, inline)]
struct OnTheSpot;

#[allow(clippy::unused_self, reason = "the form of a handler")]
impl OnTheSpot {
    fn handle_event(&self, _: &EventRecord) {}
}

/// Everything that is told of a program, in events, spans and metrics, but for ids and times.
fn telling(set: impl FnOnce(Builder) -> Builder, program: &Program) -> (Seen, Vec<String>) {
    let (told, spans) = (Told::default(), InMemorySpans::default());
    let builder = Telemetry::builder().auto_subscribers(false).subscriber(told.clone()).in_memory_spans(spans.clone());
    let telemetry = set(builder).build().unwrap();
    let seen = observe(|to| {
        let program = program.clone();
        telemetry.scope(async move { unbounded::task(&program, &to).await })
    });
    telemetry.flush_blocking().unwrap();

    let spans = spans.spans();
    let place = |id| spans.iter().position(|span| Some(span.span_id()) == id);
    let lines = spans.iter().map(|span| {
        let end = format!("{:?} {:?}", span.status(), span.kind());
        format!("{} in {:?}: {end}", span.name(), place(span.parent_span_id()))
    });
    let metrics = telemetry.metrics().render(Format::Prometheus);
    let counts = metrics.lines().filter(|line| {
        let counted =
            ["tasker_task", "tasker_step", "tasker_events_published"].iter().any(|name| line.starts_with(name));
        counted && !line.contains("_sum") && !line.contains("duration_seconds_bucket")
    });
    // Which step's series comes first is not said: some are recorded when a step begins, some when it ends.
    let mut counts: Vec<_> = counts.map(str::to_owned).collect();
    counts.sort();
    let mut all = told.0.lock().unwrap().clone();
    all.extend(lines);
    all.extend(counts);
    (seen, all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_short_way_and_the_long_tell_the_same(program in programs()) {
        quiet_expected_panics();
        let (short_seen, short) = telling(|builder| builder, &program);
        let (long_seen, long) = telling(|builder| builder.subscriber(OnTheSpot), &program);
        prop_assert_eq!(short_seen, long_seen);
        prop_assert_eq!(short, long);
    }
}
