//! Failed attempts and tasks as errors in Sentry.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sentry_core::Hub;
use sentry_core::protocol::{Context, Event, Exception, Level, SpanId, TraceContext, TraceId, Values};
use serde_json::Value as Json;

use super::{Handled, subscribes, text};
use crate::event::{EventExt as _, EventRecord};

/// Sends each failed attempt of a step, and each failed task, to Sentry: through the client that the program made (`sentry::init`), with
/// its transport, its sampling and its `before_send`.
///
/// - An attempt after which another follows is a *warning*, any other an *error*; a panic is *fatal*.
/// - Exceptions are the error and its causes, the innermost first, as Sentry has it.
/// - Issues are grouped by task, step and class of the error (the fingerprint), not by message.
/// - Sentry's `event_id` is the event's own; its trace context is the task's trace; tags are
///   [`metric_tags`](crate::EventExt::metric_tags) and `error_type`.
/// - The values are masked as everywhere. A task's failure that a step has told of already is told again, as the task's own: leave it
///   out with [`steps_only`](Self::steps_only).
///
/// ```no_run
/// # mod sentry { pub struct Guard; pub fn init(_: &str) -> Guard { Guard } }
/// use tasker_telemetry::Telemetry;
/// use tasker_telemetry::subscribers::SentryEvents;
///
/// let _guard = sentry::init("https://key@o0.ingest.sentry.io/1");
/// let telemetry = Telemetry::builder().subscriber(SentryEvents::current()).build()?;
/// # Ok::<(), tasker_telemetry::BuildError>(())
/// ```
pub struct SentryEvents {
    hub: Arc<Hub>,
    tasks: bool,
}

subscribes!(SentryEvents, ["step.failed", "task.failed"]);

impl SentryEvents {
    /// Through the client of the calling code's hub: make it after `sentry::init`.
    #[must_use]
    pub fn current() -> Self {
        Self::to(Arc::new(Hub::new_from_top(Hub::current())))
    }

    /// Through the client of that hub, with its scope.
    #[must_use]
    pub const fn to(hub: Arc<Hub>) -> Self {
        Self { hub, tasks: true }
    }

    /// Failed tasks are left out.
    #[must_use]
    pub const fn steps_only(mut self) -> Self {
        self.tasks = false;
        self
    }

    fn take(&self, event: &EventRecord) -> Handled {
        if self.hub.client().is_none_or(|client| !client.is_enabled()) {
            return Err("there is no Sentry client: call `sentry::init` first".to_owned());
        }
        if self.tasks || event.name() != "task.failed" {
            self.hub.capture_event(sentry_event(event));
        }
        Ok(())
    }
}

fn sentry_event(event: &EventRecord) -> Event<'static> {
    let class = text(event, "error_class");
    let error = event.error();
    let is_task = event.name() == "task.failed";
    let level = match class {
        "panic" => Level::Fatal,
        _ if is_task || error.final_failure => Level::Error,
        _ => Level::Warning,
    };
    let step_name = event.step_name().unwrap_or_default();
    let task_name = event.task_name().unwrap_or_default();
    let mut tags: BTreeMap<String, String> = event
        .metric_tags()
        .iter()
        .filter_map(|tag| tag.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    tags.insert("error_type".to_owned(), error.error_type);
    let fingerprint = [event.name(), task_name, step_name, class];
    Event {
        event_id: event.event_id().parse().unwrap_or_default(),
        level,
        fingerprint: Cow::Owned(fingerprint.iter().map(|part| Cow::Owned((*part).to_owned())).collect()),
        transaction: Some(if step_name.is_empty() { task_name.to_owned() } else { format!("{task_name}/{step_name}") }),
        logger: Some("tasker_telemetry".to_owned()),
        platform: Cow::Borrowed("other"),
        timestamp: event.timestamp().into(),
        exception: exceptions(event, class),
        contexts: trace(event).map(|trace| ("trace".to_owned(), trace)).into_iter().collect(),
        tags,
        extra: extra(event),
        ..Event::default()
    }
}

/// The innermost cause first.
fn exceptions(event: &EventRecord, class: &str) -> Values<Exception> {
    let cause = |message: &Json| Exception {
        ty: "cause".to_owned(),
        value: message.as_str().map(str::to_owned),
        ..Exception::default()
    };
    let chain = event.payload().get("error_chain").and_then(Json::as_array);
    let mut exceptions: Vec<_> = chain.into_iter().flatten().rev().map(cause).collect();
    let (module, ty) = class.rsplit_once("::").map_or((None, class), |(module, ty)| (Some(module.to_owned()), ty));
    let value = Some(text(event, "error_message").to_owned());
    exceptions.push(Exception { ty: ty.to_owned(), value, module, ..Exception::default() });
    exceptions.into()
}

fn trace(event: &EventRecord) -> Option<Context> {
    let trace_id: TraceId = text(event, "trace_id").parse().ok()?;
    let span_id: SpanId = text(event, "span_id").parse().ok()?;
    let op = Some(if event.step_name().is_some() { "tasker.step" } else { "tasker.task" }.to_owned());
    Some(Context::Trace(Box::new(TraceContext { trace_id, span_id, op, ..TraceContext::default() })))
}

/// What else the event says.
fn extra(event: &EventRecord) -> BTreeMap<String, Json> {
    const TOLD: [&str; 7] =
        ["event", "event_id", "event_type", "timestamp", "error_message", "error_class", "error_chain"];
    let fields = event.payload().as_object().into_iter().flatten();
    fields
        .filter(|(name, value)| !TOLD.contains(&name.as_str()) && !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

impl fmt::Debug for SentryEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentryEvents").field("tasks", &self.tasks).finish_non_exhaustive()
    }
}
