//! `#[derive(Subscriber)]`: which handler gets which event, and what a handler may be.

use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::future::Future;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tasker_telemetry::prelude::*;
use tasker_telemetry::{Builder, Catalog};

/// A payment needs a human.
#[derive(Debug, Clone, Serialize, Event)]
#[event("payment.risk_flagged")]
struct RiskFlagged {
    payment_id: String,
}

/// An order can be sent.
#[derive(Debug, Clone, Serialize, Event)]
#[event("order.ready")]
struct OrderReady;

/// What the handlers wrote down, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn write(&self, line: impl Display) {
        self.0.lock().expect("no handler panics").push(line.to_string());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no handler panics").clone()
    }
}

/// Publishes both events to the subscribers of `builder` only, and waits until they are handled.
fn deliver(builder: Builder) {
    let telemetry = builder.auto_subscribers(false).build().expect("right settings");
    telemetry.in_scope(|| {
        publish(RiskFlagged { payment_id: "p1".to_owned() });
        publish(OrderReady);
    });
    telemetry.shutdown_blocking().expect("quick handlers");
}

#[derive(Subscriber)]
#[subscribe("payment.risk_flagged", "order.ready", "task.failed", "observability.task.enqueue")]
#[subscriber(manual)]
struct ByName(Log);

impl ByName {
    fn handle_payment_risk_flagged(&self, event: &RiskFlagged) {
        self.0.write(&event.payment_id);
    }

    async fn handle_order_ready(&self, OrderReady: &OrderReady) -> Result<(), fmt::Error> {
        self.0.write("ready");
        Ok(())
    }

    fn handle_task_failed(&self, event: &event::task::Failed) {
        self.0.write(&event.error_message);
    }

    fn handle_observability_task_enqueue(&self, _: &event::observability::TaskEnqueue) {}
}

#[test]
fn each_event_goes_to_its_handler() {
    let log = Log::default();
    deliver(Telemetry::builder().subscriber(ByName(log.clone())));
    assert_eq!(log.lines(), ["p1", "ready"]);
}

#[derive(Subscriber)]
#[subscribe(self::OrderReady, RiskFlagged, event::task::Completed)]
#[subscriber(manual)]
struct ByType(Log);

impl ByType {
    fn handle_order_ready(&self, _: &OrderReady) {
        self.0.write("ready");
    }

    fn handle_risk_flagged(&self, event: &EventRecord) {
        self.0.write(event.name());
    }

    fn handle_completed(&self, event: &event::task::Completed) {
        self.0.write(&event.task_name);
    }
}

#[test]
fn a_type_subscribes_to_its_event() {
    let log = Log::default();
    deliver(Telemetry::builder().subscriber(ByType(log.clone())));
    assert_eq!(log.lines(), ["payment.risk_flagged", "ready"]);
    assert_eq!(ByType::SPEC.patterns, ["order.ready", "payment.risk_flagged", "task.completed"]);
}

#[derive(Subscriber)]
#[subscribe("*", "order.*", "order.ready")]
#[subscriber(manual)]
struct Wildcards(Log);

impl Wildcards {
    fn handle_event(&self, event: &EventRecord) {
        self.0.write(format_args!("any {}", event.name()));
    }

    fn handle_order_ready(&self, _: &OrderReady) {
        self.0.write("ready");
    }
}

#[test]
fn an_event_is_handled_once_by_the_nearest_subscription() {
    let log = Log::default();
    deliver(Telemetry::builder().subscriber(Wildcards(log.clone())));
    assert_eq!(log.lines(), ["any payment.risk_flagged", "ready"]);
}

/// Any handler may take the record.
#[derive(Subscriber)]
#[subscribe("payment.risk_flagged", "step.failed", "order.*")]
#[subscriber(manual)]
struct Records(Log);

impl Records {
    fn handle_payment_risk_flagged(&self, event: &EventRecord) {
        self.0.write(&event.payload()["payment_id"]);
    }

    fn handle_step_failed(&self, _: &EventRecord) {}

    async fn handle_event(&self, event: &EventRecord) {
        self.0.write(event.name());
    }
}

#[test]
fn handlers_may_take_the_record() {
    let log = Log::default();
    deliver(Telemetry::builder().subscriber(Records(log.clone())));
    assert_eq!(log.lines(), ["\"p1\"", "order.ready"]);
}

#[test]
fn an_event_published_by_name_has_no_payload_type() {
    let (typed, records) = (Log::default(), Log::default());
    let builder = Telemetry::builder().subscriber(ByName(typed.clone())).subscriber(Records(records.clone()));
    let telemetry = builder.auto_subscribers(false).build().expect("right settings");
    telemetry.in_scope(|| {
        publish_event("payment.risk_flagged", serde_json::json!({ "payment_id": "p2" })).expect("a known event");
    });
    telemetry.shutdown_blocking().expect("quick handlers");
    assert!(typed.lines().is_empty());
    assert_eq!(records.lines(), ["\"p2\""]);
}

/// Neither `Error` nor `Display` nor `Debug`.
struct Nothing;

#[derive(Debug)]
struct OnlyDebug;

#[derive(Debug)]
struct Own;

impl Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("own")
    }
}

impl Error for Own {}

type Outcome<T> = Result<T, Own>;

trait Named: 'static {
    type Error: Debug;
}

impl Named for u8 {
    type Error = OnlyDebug;
}

/// Every kind of handler.
#[derive(Subscriber)]
#[subscribe(
    "task.initialize_requested",
    "task.start_requested",
    "task.completed",
    "task.failed",
    "task.retry_requested",
    "task.cancelled",
    "task.resolved_manually",
    "step.execution_requested",
    "step.started",
    "step.completed",
    "step.failed",
    "step.retry_requested",
    "step.max_retries_reached",
    "step.cancelled",
    "step.resolved_manually",
    "workflow.task_started",
    "workflow.task_completed",
    "workflow.viable_steps_discovered",
    "workflow.no_viable_steps",
    "workflow.step_completed",
    "observability.task.enqueue",
    "observability.task.start",
    "observability.step.processing",
    "observability.step.backoff"
)]
#[subscriber(manual)]
struct Kinds<T: Named>(T);

#[allow(clippy::unused_self, clippy::unnecessary_wraps, clippy::unused_async, reason = "handlers of every form")]
impl<T: Named> Kinds<T> {
    fn handle_task_initialize_requested(&self, _: &event::task::InitializeRequested) {}
    fn handle_task_start_requested(&self, _: &event::task::StartRequested) -> Outcome<()> {
        Err(Own)
    }
    fn handle_task_completed(&self, _: &event::task::Completed) -> Result<(), String> {
        Err("text".to_owned())
    }
    fn handle_task_failed(&self, _: &event::task::Failed) -> anyhow::Result<()> {
        anyhow::bail!("any")
    }
    fn handle_task_retry_requested(&self, _: &event::task::RetryRequested) -> Result<(), Box<dyn Error>> {
        Err(Own.into())
    }
    fn handle_task_cancelled(&self, _: &event::task::Cancelled) -> Result<(), Box<dyn Error + Send + Sync>> {
        Err("boxed".into())
    }
    fn handle_task_resolved_manually(&self, _: &event::task::ResolvedManually) -> Result<(), Nothing> {
        Err(Nothing)
    }
    fn handle_step_execution_requested(&self, _: &event::step::ExecutionRequested) -> Result<(), OnlyDebug> {
        Err(OnlyDebug)
    }
    fn handle_step_started(&self, _: &event::step::Started) -> Result<(), &'static str> {
        Err("static")
    }
    fn handle_step_completed(&self, _: &event::step::Completed) -> Result<(), T::Error> {
        Ok(())
    }
    async fn handle_step_failed(&self, _: &event::step::Failed) {}
    async fn handle_step_retry_requested(&self, _: &event::step::RetryRequested) -> anyhow::Result<()> {
        Ok(())
    }
    async fn handle_step_max_retries_reached(&self, _: &event::step::MaxRetriesReached) -> Result<(), Nothing> {
        // Held over an await, and not `Send`.
        let shared = Rc::new(Cell::new(0));
        std::future::ready(()).await;
        shared.set(1);
        Ok(())
    }
    async fn handle_step_cancelled(&self, _: &event::step::Cancelled) -> Result<(), Box<dyn Error>> {
        Ok(())
    }
    fn handle_step_resolved_manually(&self, _: &event::step::ResolvedManually) -> impl Future<Output = ()> {
        std::future::ready(())
    }
    fn handle_workflow_task_started(&self, event: &event::workflow::TaskStarted) -> impl Future<Output = Outcome<()>> {
        let _ = event;
        async { Err(Own) }
    }
    fn handle_workflow_task_completed<'a>(
        &'a self,
        event: &'a event::workflow::TaskCompleted,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + 'a>> {
        Box::pin(async move { Err(event.task_name.clone()) })
    }
    async fn handle_workflow_viable_steps_discovered(&self, _: &EventRecord) -> Result<(), T::Error> {
        Ok(())
    }
    pub(crate) fn handle_workflow_no_viable_steps(&self, _: &event::workflow::NoViableSteps) {}
    pub(crate) fn handle_workflow_step_completed(&self, _: &event::workflow::StepCompleted) {}
    fn handle_observability_task_enqueue(&self, _: &event::observability::TaskEnqueue) {}
    fn handle_observability_task_start(&self, _: &event::observability::TaskStart) {}
    fn handle_observability_step_processing(&self, _: &event::observability::StepProcessing) {}
    fn handle_observability_step_backoff(&self, _: &event::observability::StepBackoff) {}
}

#[test]
fn every_system_event_can_be_subscribed_to() {
    assert_eq!(Kinds::<u8>::SPEC.patterns.len(), 24);
    deliver(Telemetry::builder().subscriber(Kinds(7_u8)));
}

/// Registers itself; need not be `Send`.
#[derive(Default, Subscriber)]
#[subscribe("order.ready")]
struct Itself {
    seen: Rc<Cell<u32>>,
}

static ITSELF: AtomicUsize = AtomicUsize::new(0);

impl Itself {
    async fn handle_order_ready(&self, _: &OrderReady) {
        self.seen.set(self.seen.get() + 1);
        ITSELF.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_default_type_registers_itself() {
    let telemetry = Telemetry::builder().build().expect("right settings");
    telemetry.in_scope(|| publish(OrderReady));
    telemetry.shutdown_blocking().expect("quick handlers");
    assert_eq!(ITSELF.load(Ordering::Relaxed), 1);
}

/// Runs where the event is published.
#[derive(Subscriber)]
#[subscribe("order.ready", "payment.*")]
#[subscriber(manual, inline)]
struct Inlined(Log);

impl Inlined {
    fn handle_order_ready(&self, _: &OrderReady) -> Result<(), Nothing> {
        self.0.write(format_args!("{:?}", std::thread::current().id()));
        Ok(())
    }

    fn handle_event(&self, event: &EventRecord) {
        self.0.write(event.name());
    }
}

#[derive(Default, Subscriber)]
#[subscribe("payment.risk_flagged")]
#[subscriber(inline)]
struct InlinedItself;

impl InlinedItself {
    fn handle_payment_risk_flagged(&self, _: &RiskFlagged) {}
}

#[test]
fn inline_handlers_run_on_the_publishing_thread() {
    let log = Log::default();
    deliver(Telemetry::builder().subscriber(Inlined(log.clone())));
    assert_eq!(log.lines(), ["payment.risk_flagged".to_owned(), format!("{:?}", std::thread::current().id())]);
    assert!(InlinedItself::SPEC.inline && !Itself::SPEC.inline);
}

mod wanted {
    use tasker_telemetry::EventRecord;

    pub(crate) fn orders(event: &EventRecord) -> bool {
        event.name().starts_with("order.")
    }
}

#[derive(Subscriber)]
#[subscribe("*")]
#[subscriber(manual, filter = wanted::orders)]
struct Filtered(Log);

impl Filtered {
    fn handle_event(&self, event: &EventRecord) {
        self.0.write(event.name());
    }
}

#[test]
fn a_filter_keeps_events_away() {
    let log = Log::default();
    deliver(Telemetry::builder().subscriber(Filtered(log.clone())));
    assert_eq!(log.lines(), ["order.ready"]);
}

#[derive(Default, Subscriber)]
#[subscribe("order.ready")]
enum r#Enum {
    #[default]
    Idle,
}

impl r#Enum {
    fn handle_order_ready(&self, _: &OrderReady) {
        assert!(matches!(self, Self::Idle));
    }
}

#[test]
fn subscribers_are_in_the_catalog() {
    for (spec, name) in [
        (ByName::SPEC, concat!(module_path!(), "::ByName")),
        (r#Enum::SPEC, concat!(module_path!(), "::Enum")),
        (Kinds::<u8>::SPEC, concat!(module_path!(), "::Kinds")),
    ] {
        assert_eq!(spec.name, name);
        assert_eq!(spec.source.module, module_path!());
        assert!(spec.source.file.ends_with("subscriber_derive.rs"));
        assert!(spec.source.line > 0);
        assert_eq!(Catalog::subscribers().iter().filter(|entry| std::ptr::eq(**entry, spec)).count(), 1);
    }
    assert_eq!(Wildcards::SPEC.patterns, ["*", "order.*", "order.ready"]);
}

/// The expansion names nothing that the user could have put something else in the place of.
mod hygiene {
    #![no_implicit_prelude]
    #![deny(warnings, missing_docs, clippy::all, clippy::pedantic)]
    #![allow(dead_code, reason = "only compiled")]

    mod tasker_telemetry {}
    mod core {}
    mod std {}
    struct Option;
    struct Some;
    struct Ok;
    struct Result;
    struct Send;
    struct Sized;
    #[allow(non_camel_case_types)]
    struct str;
    #[allow(non_camel_case_types)]
    struct bool;
    trait Subscriber {}

    use super::OrderReady;

    /// Listens.
    #[derive(::core::default::Default, ::tasker_telemetry::Subscriber)]
    #[subscribe("payment.risk_flagged", "task.failed", OrderReady, "*")]
    #[subscriber(inline, filter = all)]
    pub(crate) struct Listener;

    fn all(_: &::tasker_telemetry::EventRecord) -> ::core::primitive::bool {
        true
    }

    #[allow(clippy::unused_self, reason = "handlers that do nothing")]
    impl Listener {
        fn handle_payment_risk_flagged(&self, _: &super::RiskFlagged) {}
        fn handle_task_failed(&self, _: &::tasker_telemetry::event::task::Failed) {}
        fn handle_order_ready(&self, _: &OrderReady) {}
        fn handle_event(&self, _: &::tasker_telemetry::EventRecord) {}
    }
}

/// The runtime under another path.
mod elsewhere {
    pub(crate) mod telemetry {
        pub(crate) use ::tasker_telemetry::*;
    }

    use telemetry::prelude::*;

    #[derive(Default, Subscriber)]
    #[subscribe("task.failed", "order.ready")]
    #[subscriber(crate = crate::elsewhere::telemetry)]
    pub(crate) struct Moved;

    impl Moved {
        fn handle_task_failed(&self, _: &event::task::Failed) {
            let Self = self;
        }

        fn handle_order_ready(&self, _: &super::OrderReady) {
            let Self = self;
        }
    }
}

#[test]
fn the_runtime_may_stand_elsewhere() {
    assert_eq!(elsewhere::Moved::SPEC.patterns, ["task.failed", "order.ready"]);
}
