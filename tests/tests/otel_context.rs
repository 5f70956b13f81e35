//! While a body is polled its span is the current OpenTelemetry context: what other libraries open inside becomes its children,
//! whatever threads and awaits lie between, and nothing stays behind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{FutureExt as _, Span as _, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider, SpanData};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::{InMemorySpans, Sampling, Span, TraceParenting};
use tasker_telemetry::{Builder, with_current_scope};
use tracing::instrument::{Instrument, WithSubscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// One telemetry, and one SDK with its tracer: nothing global.
struct World {
    telemetry: Telemetry,
    ours: InMemorySpans,
    foreign: InMemorySpanExporter,
    _provider: SdkTracerProvider,
    tools: Tools,
}

/// What bodies open spans with.
#[derive(Clone)]
struct Tools {
    tracer: SdkTracer,
    /// Through `tracing`, too.
    tracing: bool,
    /// What a propagator injected, by step.
    injected: Arc<Mutex<Vec<(String, String)>>>,
}

fn world(tracing: bool, set: impl FnOnce(Builder) -> Builder) -> World {
    let (ours, foreign) = (InMemorySpans::default(), InMemorySpanExporter::default());
    let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(ours.clone());
    let provider = SdkTracerProvider::builder().with_simple_exporter(foreign.clone()).build();
    let tools = Tools { tracer: provider.tracer("foreign"), tracing, injected: Arc::default() };
    World { telemetry: set(builder).build().unwrap(), ours, foreign, _provider: provider, tools }
}

impl World {
    fn spans(&self) -> (Vec<Span>, Vec<SpanData>) {
        self.telemetry.flush_blocking().unwrap();
        (self.ours.spans(), self.foreign.get_finished_spans().unwrap())
    }

    /// A subscriber of `tracing` as users of tracing-opentelemetry have it.
    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + 'static {
        let ours = filter_fn(|metadata| metadata.target() != "tasker_telemetry::span");
        let layer = tracing_opentelemetry::layer().with_tracer(self.tools.tracer.clone());
        tracing_subscriber::registry().with(layer.with_filter(ours))
    }
}

/// `task/step`, as the scopes say.
fn place() -> String {
    let task = TaskScope::current().map(|task| task.task_id().to_owned()).unwrap_or_default();
    let step = StepScope::current().map(|step| step.step_name().to_owned()).unwrap_or_default();
    format!("{task}/{step}")
}

impl Tools {
    /// Opens a span that says where it should be.
    fn open(&self, how: &str) {
        let name = format!("{}/{how}", place());
        self.tracer.start(name.clone()).end();
        let mut headers = HashMap::new();
        TraceContextPropagator::new().inject_context(&Context::current(), &mut headers);
        self.injected.lock().unwrap().push((place(), headers.remove("traceparent").unwrap_or_default()));
        if self.tracing {
            let _span = tracing::info_span!("of tracing", otel.name = format!("{name} by tracing")).entered();
            self.tracer.start(format!("{name} by tracing|inside")).end();
        }
    }

    /// The same by an instrumented future.
    async fn open_around(&self, how: &str) {
        if self.tracing {
            let span = tracing::info_span!("of tracing", otel.name = format!("{}/{how} instrumented", place()));
            async {
                pause().await;
                self.tracer.start(format!("{}/{how} instrumented|inside", place())).end();
                pause().await;
            }
            .instrument(span)
            .await;
        }
    }
}

/// Lets others run.
async fn pause() {
    let mut polled = false;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut polled, true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

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
async fn order(id: u64, tools: Tools) {
    pause().await;
    fetch(tools.clone()).await;
    plain(&tools);
    let _ = retried(tools.clone()).await;
    tools.open("in the task");
}

const TASKS: u64 = 50;
/// Calls of `open` in one order.
const OPENED: usize = 13;

async fn orders(world: &World, outer: bool) {
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

/// Where each of our spans is: `task/step`.
fn our_places(ours: &[Span]) -> HashMap<String, &Span> {
    let text = |span: &Span, name: &str| match span.attribute(name) {
        Some(tasker_telemetry::Value::Str(text)) => text.into_owned(),
        _ => String::new(),
    };
    // Of attempts and repeated steps the last: what opens spans in them is told apart below.
    ours.iter()
        .map(|span| (format!("{}/{}", text(span, "tasker.task_id"), text(span, "tasker.step_name")), span))
        .collect()
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

fn one_thread() -> tokio::runtime::Runtime {
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

/// Most steps go a way of their own if no log wants a span of them; and one does as soon as another test has a subscriber.
const WAYS: [fn(Builder) -> Builder; 2] = [|builder| builder, |builder| builder.log_spans(false)];

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

/// In which span, and with which baggage, code finds itself.
fn seen() -> (String, Option<String>) {
    Context::map_current(|context| {
        let span = context.span().span_context().span_id().to_string();
        (span, context.baggage().get("tenant").map(ToString::to_string))
    })
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
