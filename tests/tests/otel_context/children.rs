//! What other libraries open in a step is its child, whatever threads and awaits lie between.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tasker_telemetry::prelude::*;
use tasker_telemetry::with_current_scope;
use tracing::instrument::{Instrument, WithSubscriber};

use crate::world::{Tools, WAYS, World, our_places, pause, world};

#[step]
fn plain(tools: &Tools) {
    tools.open("in a function");
}

#[step]
async fn nested(tools: &Tools) {
    tools.open("before");
    pause().await;
    plain(tools);
    tools.open("after");
}

#[step(retry_limit = 2)]
async fn retried(tools: Tools) -> Result<(), String> {
    pause().await;
    if StepScope::current().is_some_and(|step| step.attempt_number() == 1) {
        return Err("again".into());
    }
    tools.open("second attempt");
    Ok(())
}

#[step]
async fn fetch(tools: Tools) {
    tools.open("before");
    pause().await;
    tools.open("after");
    nested(&tools).await;
    tools.open("after nested");
    tools.open_around("around").await;
    let theirs = tools.clone();
    let spawned = async move {
        theirs.open("spawned");
        tokio::task::yield_now().await;
        theirs.open("spawned, later");
    };
    tokio::spawn(spawned.with_current_subscriber().in_current_scope()).await.unwrap();
    let theirs = tools.clone();
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let blocking = move || tracing::dispatcher::with_default(&dispatch, || theirs.open("blocking"));
    tokio::task::spawn_blocking(with_current_scope(blocking)).await.unwrap();
    tools.open("at the end");
}

#[task(id = id)]
pub(crate) async fn order(id: u64, tools: Tools) {
    pause().await;
    fetch(tools.clone()).await;
    plain(&tools);
    let _ = retried(tools.clone()).await;
    tools.open("in the task");
}

const TASKS: u64 = 50;
/// Calls of `open` in one order.
const OPENED: usize = 13;

pub(crate) async fn orders(world: &World, outer: bool) {
    let orders = (0..TASKS).map(|id| {
        let order = world.telemetry.scope(order(id, world.tools.clone()));
        let around = if outer { tracing::info_span!("outer", otel.name = "outer") } else { tracing::Span::none() };
        tokio::spawn(
            async move {
                order.instrument(around).await;
                assert!(!Context::current().has_active_span(), "something stayed behind");
            }
            .with_current_subscriber(),
        )
    });
    for order in orders.collect::<Vec<_>>() {
        order.await.unwrap();
    }
    assert!(!Context::current().has_active_span(), "something stayed behind");
}

/// Every foreign span is a child of the step, or of the span inside it, that its name says.
fn assert_parents(world: &World, outer: bool) {
    let (ours, foreign) = world.spans();
    let places = our_places(&ours);
    let ids: HashMap<_, _> = ours.iter().map(|span| (span.span_id().to_string(), span)).collect();
    let names: HashMap<_, _> = foreign.iter().map(|span| (span.span_context.span_id(), &*span.name)).collect();
    let mut checked = 0;
    for span in foreign.iter().filter(|span| span.name != "outer") {
        let (trace, parent) = (span.span_context.trace_id().to_string(), span.parent_span_id.to_string());
        let mut parts = span.name.rsplitn(2, '/');
        let place = parts.nth(1).unwrap();
        let step = places.get(place).unwrap_or_else(|| panic!("{} is nowhere", span.name));
        assert_eq!(trace, step.trace_id().to_string(), "{}", span.name);
        if let Some(around) = span.name.strip_suffix("|inside") {
            assert_eq!(names.get(&span.parent_span_id), Some(&around), "{}", span.name);
        } else {
            // `plain` runs twice in a task: either is right, as long as it is of this task.
            let parent = ids.get(&parent).unwrap_or_else(|| panic!("{}: {parent} is none of ours", span.name));
            let same = |name: &str| parent.attribute(name) == step.attribute(name);
            assert!(same("tasker.step_name") && same("tasker.task_id"), "{} is in {parent:?}", span.name);
            if span.name.contains("second attempt") {
                assert_eq!(parent.attribute("tasker.attempt_number"), Some(2_i64.into()));
            }
        }
        checked += 1;
    }
    let by_tracing = if world.tools.tracing { 3 * OPENED + 2 } else { OPENED };
    assert_eq!(checked, by_tracing * usize::try_from(TASKS).unwrap());
    assert_eq!(foreign.len() - checked, if outer { 50 } else { 0 });

    let injected = world.tools.injected.lock().unwrap();
    assert_eq!(injected.len(), OPENED * 50);
    for (place, traceparent) in &*injected {
        let parts: Vec<_> = traceparent.split('-').collect();
        let ["00", trace, span, "01"] = parts[..] else { panic!("{place}: `{traceparent}`") };
        let step = ids.get(span).unwrap_or_else(|| panic!("{place}: {span} is none of ours"));
        assert_eq!(trace, step.trace_id().to_string());
        assert_eq!(step.attribute("tasker.step_name"), places[place].attribute("tasker.step_name"));
    }
}

pub(crate) fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn two_threads() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn spans_of_the_api_are_children_of_the_step_they_are_opened_in() {
    for runtime in [one_thread(), two_threads()] {
        for way in WAYS {
            let world = world(false, way);
            runtime.block_on(orders(&world, false));
            assert_parents(&world, false);
        }
    }
}

#[test]
fn spans_of_tracing_are_children_of_the_step_they_are_opened_in() {
    for runtime in [one_thread(), two_threads()] {
        for outer in [false, true] {
            let world = world(true, |builder| builder);
            runtime.block_on(orders(&world, outer).with_subscriber(world.subscriber()));
            assert_parents(&world, outer);
            let (ours, foreign) = world.spans();
            let outer_ids: Vec<_> =
                foreign.iter().filter(|span| span.name == "outer").map(|span| span.span_context.span_id()).collect();
            let linked = ours.iter().filter(|span| {
                span.links()
                    .first()
                    .is_some_and(|link| outer_ids.iter().any(|id| id.to_bytes() == link.span_id().to_bytes()))
            });
            assert_eq!(linked.count(), outer_ids.len(), "each root links to the span around it");
        }
    }
}
