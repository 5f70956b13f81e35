//! What a body leaves: nothing stays behind when it ends, panics or is dropped, and what it forgets is not the step's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;

use crate::world::{Tools, WAYS, World, our_places, pause, seen, world};

#[test]
fn neither_panics_nor_cancellations_leave_a_context_behind() {
    #[step]
    fn panics() {
        panic!("in a step");
    }
    #[step]
    async fn hangs() {
        std::future::pending::<()>().await;
    }
    for way in WAYS {
        let world = world(false, way);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.telemetry.in_scope(panics)));
        assert!(panicked.is_err() && !Context::current().has_active_span());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut cancelled = Box::pin(world.telemetry.scope(hangs()));
        assert!(cancelled.as_mut().poll(&mut cx).is_pending());
        assert!(!Context::current().has_active_span());
        drop(cancelled);
        assert!(!Context::current().has_active_span());
    }
}

/// Opens spans when it is dropped.
struct OpensWhenDropped(Tools, &'static str);

impl Drop for OpensWhenDropped {
    fn drop(&mut self) {
        self.0.open(self.1);
    }
}

#[step]
async fn inner_that_hangs(tools: Tools, turns: u32) {
    let _opens = OpensWhenDropped(tools, "inner, dropped");
    for _ in 0..turns {
        pause().await;
    }
    std::future::pending::<()>().await;
}

#[step(retry_limit = 2)]
async fn attempt_that_hangs(tools: Tools, turns: u32) -> Result<(), String> {
    let _opens = OpensWhenDropped(tools.clone(), "attempt, dropped");
    inner_that_hangs(tools, turns).await;
    Ok(())
}

#[step]
async fn hangs_around(tools: Tools, turns: u32) {
    let _opens = OpensWhenDropped(tools.clone(), "dropped after what is inside");
    let _ = attempt_that_hangs(tools.clone(), turns).await;
}

#[task(id = id)]
async fn order_that_hangs(id: u64, tools: Tools) {
    let _opens = OpensWhenDropped(tools.clone(), "of the task, dropped");
    hangs_around(tools, u32::try_from(id).unwrap()).await;
}

/// A future that is dropped before its end cleans up: what it opens then belongs to the step whose values they are, too.
#[test]
fn what_is_opened_while_a_cancelled_body_is_dropped_is_inside_it() {
    for way in WAYS {
        cancel_and_look(&world(true, way));
    }
}

fn cancel_and_look(world: &World) {
    let polled = |polls: u64| {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut order = Box::pin(world.telemetry.scope(order_that_hangs(polls - 1, world.tools.clone())));
        (0..polls).for_each(|_| assert!(order.as_mut().poll(&mut cx).is_pending()));
        order
    };
    tracing::subscriber::with_default(world.subscriber(), || {
        // Cancelled in its first poll, in the second, and where two lie in each other's way.
        drop(polled(1));
        drop(polled(2));
        let (first, second) = (polled(3), polled(4));
        let moved = std::thread::scope(|scope| {
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            scope.spawn(move || tracing::dispatcher::with_default(&dispatch, || drop(first))).join()
        });
        assert!(moved.is_ok());
        drop(second);
        assert!(!Context::current().has_active_span(), "something stayed behind");
    });
    assert_is_in_place(world, 4 * 4);
}

/// `calls` of `open`, each by the tracer, by `tracing`, and by the tracer inside that: all where their names say.
fn assert_is_in_place(world: &World, calls: usize) {
    let (ours, foreign) = world.spans();
    let places = our_places(&ours);
    let names: HashMap<_, _> = foreign.iter().map(|span| (span.span_context.span_id(), &*span.name)).collect();
    for span in &foreign {
        if let Some(around) = span.name.strip_suffix("|inside") {
            assert_eq!(names.get(&span.parent_span_id), Some(&around));
            continue;
        }
        let step = places[span.name.rsplit_once('/').unwrap().0];
        let seen = (span.span_context.trace_id().to_string(), span.parent_span_id.to_string());
        assert_eq!(seen, (step.trace_id().to_string(), step.span_id().to_string()), "{}", span.name);
    }
    assert_eq!(foreign.len(), 3 * calls);
    let injected = world.tools.injected.lock().unwrap();
    assert_eq!(injected.len(), calls);
    for (place, traceparent) in &*injected {
        let step = places[place];
        assert_eq!(*traceparent, format!("00-{}-{}-01", step.trace_id(), step.span_id()), "{place}");
    }
}

/// What it sees in its first poll, in a later one while it holds something attached, and when that is gone.
#[step]
async fn holds(attach: impl FnOnce() -> opentelemetry::ContextGuard) -> [(String, Option<String>); 3] {
    let first = seen();
    let guard = attach();
    pause().await;
    let later = seen();
    pause().await;
    drop(guard);
    [first, later, seen()]
}

#[task]
async fn holder(attach: impl FnOnce() -> opentelemetry::ContextGuard) -> [(String, Option<String>); 3] {
    holds(attach).await
}

/// A guard that is held across an await stands in the way of others on its thread; the step itself is not to be changed by it.
#[test]
fn what_a_body_leaves_attached_across_an_await_does_not_become_the_steps_own() {
    for way in WAYS {
        let world = world(false, way);
        let tracer = world.tools.tracer.clone();
        let baggage = || Context::current_with_baggage([KeyValue::new("tenant", "of the body")]).attach();
        let span = || Context::current_with_span(tracer.start("of the body")).attach();
        let around = Context::current_with_baggage([KeyValue::new("tenant", "acme")]).attach();
        let held = [block_on(world.telemetry.scope(holder(baggage))), block_on(world.telemetry.scope(holder(span)))];
        drop(around);
        assert_eq!(seen(), (opentelemetry::SpanId::INVALID.to_string(), None));
        world.telemetry.flush_blocking().unwrap();
        let steps = world.ours.named("tasker.step.execution");
        assert_eq!(steps.len(), held.len());
        for (step, seen) in steps.iter().zip(held) {
            let own = (step.span_id().to_string(), Some("acme".to_owned()));
            assert_eq!(seen, [own.clone(), own.clone(), own]);
        }
    }
}

/// An error that remembers in which span it was asked what it is.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.lock().unwrap().push(seen().0);
        f.write_str("asked")
    }
}

#[step]
async fn fails(error: Asked) -> Result<(), Asked> {
    Err(error)
}

#[step]
fn fails_at_once(error: Asked) -> Result<(), Asked> {
    Err(error)
}

/// What is done about a failure is none of the step's work.
#[test]
fn an_error_is_asked_what_it_is_when_the_step_is_over() {
    #[task]
    async fn both(error: Asked) {
        let _ = fails(error.clone()).await;
        let _ = fails_at_once(error);
    }
    for way in WAYS {
        let (world, asked) = (world(false, way), Asked::default());
        block_on(world.telemetry.scope(both(asked.clone())));
        world.telemetry.flush_blocking().unwrap();
        let root = world.ours.named("tasker.task.execution")[0].span_id().to_string();
        let asked = asked.0.lock().unwrap();
        assert!(asked.len() >= 2 && asked.iter().all(|span| *span == root), "{asked:?}, the task is {root}");
    }
}
