//! What a task or step finds around itself: foreign spans, baggage, a decision not to sample, its caller.

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{FutureExt as _, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::{Sampling, TraceParenting};

use crate::children::{one_thread, order, orders};
use crate::world::{pause, world};

#[step]
async fn leaf() {}

#[task]
async fn steps_in_foreign_spans(tracer: SdkTracer) {
    let span = tracer.start("http request");
    let inside = Context::current_with_span(span);
    leaf().with_context(inside.clone()).await;
    plain_leaf(&inside);
    leaf().await;
}

fn plain_leaf(inside: &Context) {
    let _guard = inside.clone().attach();
    block_on(leaf());
}

#[test]
fn a_step_begun_inside_a_foreign_span_of_its_trace_is_its_child() {
    let world = world(false, |builder| builder);
    block_on(world.telemetry.scope(steps_in_foreign_spans(world.tools.tracer.clone())));
    let (ours, foreign) = world.spans();
    let request = foreign.iter().find(|span| span.name == "http request").unwrap();
    let (root, steps) = (&world.ours.named("tasker.task.execution")[0], world.ours.named("tasker.step.execution"));
    assert_eq!(request.parent_span_id.to_bytes(), root.span_id().to_bytes());
    let parents: Vec<_> = steps.iter().map(|step| step.parent_span_id().unwrap().to_bytes()).collect();
    let request = request.span_context.span_id().to_bytes();
    assert_eq!(parents, [request, request, root.span_id().to_bytes()]);
    assert!(ours.iter().all(|span| span.trace_id() == root.trace_id()));
}

#[test]
fn a_step_inside_a_span_of_another_trace_stays_in_its_own() {
    #[task]
    async fn strays(tracer: SdkTracer) {
        let elsewhere = Context::new().with_span(tracer.start_with_context("elsewhere", &Context::new()));
        leaf().with_context(elsewhere).await;
    }
    let world = world(false, |builder| builder);
    block_on(world.telemetry.scope(strays(world.tools.tracer.clone())));
    world.telemetry.flush_blocking().unwrap();
    let (root, step) = (&world.ours.named("tasker.task.execution")[0], &world.ours.named("tasker.step.execution")[0]);
    assert_eq!((step.trace_id(), step.parent_span_id()), (root.trace_id(), Some(root.span_id())));
}

#[step]
async fn reads_baggage() -> Option<String> {
    pause().await;
    let read = |context: &Context| context.baggage().get("tenant").map(|tenant| tenant.as_str().to_owned());
    let spawned = tokio::spawn(async move { Context::map_current(read) }.in_current_scope());
    assert_eq!(spawned.await.unwrap(), Context::map_current(read));
    Context::map_current(read)
}

#[task]
async fn passes_baggage() -> [Option<String>; 2] {
    let from_outside = reads_baggage().await;
    let more = Context::current_with_baggage([KeyValue::new("tenant", "another")]);
    [from_outside, reads_baggage().with_context(more).await]
}

#[test]
fn baggage_survives() {
    let world = world(false, |builder| builder);
    let outside = Context::new().with_baggage([KeyValue::new("tenant", "acme")]);
    let read = one_thread().block_on(world.telemetry.scope(passes_baggage()).with_context(outside));
    assert_eq!(read, [Some("acme".to_owned()), Some("another".to_owned())]);
    assert!(Context::current().baggage().is_empty());
}

#[test]
fn what_is_sampled_out_is_so_for_everybody() {
    let world = world(false, |builder| builder.sampling(Sampling::none()));
    one_thread().block_on(orders(&world, false));
    let (ours, foreign) = world.spans();
    assert_eq!((ours.len(), foreign.len()), (0, 0));
    let injected = world.tools.injected.lock().unwrap();
    assert!(injected.iter().all(|(_, traceparent)| traceparent.ends_with("-00")), "{injected:?}");
}

#[test]
fn a_task_that_goes_on_in_its_callers_trace_is_a_child_of_the_callers_span() {
    let world = world(false, |builder| builder.trace_parenting(TraceParenting::Child));
    let caller = Context::new().with_span(world.tools.tracer.start_with_context("caller", &Context::new()));
    one_thread().block_on(world.telemetry.scope(order(7, world.tools.clone())).with_context(caller.clone()));
    drop(caller);
    let (ours, foreign) = world.spans();
    let caller = foreign.iter().find(|span| span.name == "caller").unwrap();
    let trace = caller.span_context.trace_id().to_bytes();
    assert!(ours.iter().all(|span| span.trace_id().to_bytes() == trace));
    assert!(foreign.iter().all(|span| span.span_context.trace_id().to_bytes() == trace));
    let root = &world.ours.named("tasker.task.execution")[0];
    assert_eq!(root.parent_span_id().unwrap().to_bytes(), caller.span_context.span_id().to_bytes());
}
