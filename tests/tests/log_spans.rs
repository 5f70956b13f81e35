//! What users log inside a step says of which step, task and trace, whatever thread and await it is logged behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use integration_tests::{EXPECTED, quiet_expected_panics};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::InMemorySpans;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

async fn pause() {
    let mut polled = false;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut polled, true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[step(retry_limit = 2)]
async fn charge(order: u64) -> Result<(), String> {
    tracing::info!("before {order}");
    pause().await;
    tracing::info!("after {order}");
    if StepScope::current().is_some_and(|step| step.attempt_number() == 1) { Err("no".into()) } else { Ok(()) }
}

#[step]
fn plain() {
    tracing::info!("in a plain function");
}

#[task(id = order)]
async fn order_process(order: u64) {
    tracing::info!("in the task {order}");
    let _ = charge(order).await;
    plain();
}

/// The lines that the code logs, each with its spans.
fn logged(set: impl FnOnce(tasker_telemetry::Builder) -> tasker_telemetry::Builder) -> Vec<String> {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).without_time().finish();
    tracing::subscriber::with_default(subscriber, || {
        let spans = InMemorySpans::default();
        let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans);
        let telemetry = set(builder).build().unwrap();
        // Two tasks that take turns on one thread.
        let both = async {
            let (mut one, mut two) = (Box::pin(order_process(1)), Box::pin(order_process(2)));
            std::future::poll_fn(|cx| {
                let ready = [one.as_mut().poll(cx).is_ready(), two.as_mut().poll(cx).is_ready()];
                if ready == [true, true] { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            })
            .await;
        };
        block_on(telemetry.scope(both));
        tracing::info!("outside");
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_line_says_of_which_step_task_and_trace_it_is() {
    let lines = logged(|builder| builder);
    let find = |text: &str| lines.iter().filter(|line| line.ends_with(text)).cloned().collect::<Vec<_>>();
    for order in [1, 2] {
        let task = &find(&format!("in the task {order}"))[0];
        assert!(task.contains(&format!("task_id=\"{order}\"")), "{task}");
        let trace = task.split("trace_id=").nth(1).unwrap().chars().take(32).collect::<String>();
        for text in ["before", "after"] {
            let both = find(&format!("{text} {order}"));
            assert_eq!(both.len(), 2, "{lines:#?}");
            for (line, attempt) in both.iter().zip(1..) {
                for part in [
                    format!("step_name=\"charge\" attempt={attempt} task_id=\"{order}\" step_id="),
                    format!("trace_id={trace}"),
                ] {
                    assert!(line.contains(&part), "{part} in {line}");
                }
            }
        }
    }
    assert!(find("in a plain function").iter().all(|line| line.contains("step_name=\"plain\"")));
    assert!(!find("outside")[0].contains("task_id"), "nothing is left behind");
}

#[test]
fn it_can_be_switched_off() {
    let lines = logged(|builder| builder.log_spans(false));
    assert!(lines.iter().any(|line| line.ends_with("after 2")));
    assert!(lines.iter().all(|line| !line.contains("task_id")), "{lines:#?}");
}

struct LogsWhenDropped(&'static str);

impl Drop for LogsWhenDropped {
    fn drop(&mut self) {
        tracing::info!("{}", self.0);
    }
}

#[step]
async fn hangs() {
    let _logs = LogsWhenDropped("the step goes");
    std::future::pending::<()>().await;
}

#[task(id = order)]
async fn order_that_hangs(order: u64) {
    let _logs = LogsWhenDropped("the task goes");
    hangs().await;
}

#[test]
fn what_is_logged_while_a_cancelled_body_is_dropped_is_logged_inside() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).without_time().finish();
    tracing::subscriber::with_default(subscriber, || {
        let telemetry = Telemetry::builder().auto_subscribers(false).build().unwrap();
        let mut order = Box::pin(telemetry.scope(order_that_hangs(7)));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(order.as_mut().poll(&mut cx).is_pending());
        drop(order);
        tracing::info!("outside");
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> =
        text.lines().map(|line| (line.contains("step_name=\"hangs\""), line.contains("task_id=\"7\""))).collect();
    assert_eq!(lines, [(true, true), (false, true), (false, false)], "{text}");
}

/// A layer that panics where it is told of one of our spans, from some time on.
struct Panics(Arc<AtomicBool>, fn(&str) -> bool);

impl<S: tracing::Subscriber> Layer<S> for Panics {
    fn on_enter(&self, _: &tracing::span::Id, _: Context<'_, S>) {
        assert!(!(self.0.load(Ordering::Relaxed) && self.1("enter")), "{EXPECTED} in a layer");
    }

    fn on_exit(&self, _: &tracing::span::Id, _: Context<'_, S>) {
        assert!(!(self.0.load(Ordering::Relaxed) && self.1("exit")), "{EXPECTED} in a layer");
    }
}

/// A drop may be part of an unwinding, and a panic there is the process's end.
#[test]
fn a_layer_that_panics_does_not_make_a_drop_panic() {
    quiet_expected_panics();
    let ways: [fn(&str) -> bool; 2] = [|what| what == "enter", |what| what == "exit"];
    for way in ways {
        let dropping = Arc::<AtomicBool>::default();
        let subscriber = tracing_subscriber::registry().with(Panics(Arc::clone(&dropping), way));
        tracing::subscriber::with_default(subscriber, || {
            let spans = InMemorySpans::default();
            let telemetry =
                Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone()).build().unwrap();
            let mut order = Box::pin(telemetry.scope(order_that_hangs(7)));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(order.as_mut().poll(&mut cx).is_pending());
            dropping.store(true, Ordering::Relaxed);
            drop(order);
            dropping.store(false, Ordering::Relaxed);
            telemetry.flush_blocking().unwrap();
            assert_eq!(spans.spans().len(), 2, "step and task are told to be cancelled");
            assert!(TaskScope::current().is_none());
        });
    }
}
