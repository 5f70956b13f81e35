//! The subscriber that makes records of the `tracing` crate out of events.

use std::sync::Arc;

use serde_json::Value as Json;
use tracing::dispatcher::{self, Dispatch as Subscribers};
use tracing::subscriber::NoSubscriber;

use super::LogLevel;
use super::level::{FAILURES, LogControl};
#[cfg(feature = "otlp")]
use super::line::LogLine;
use crate::catalog::{Source, SubscriberSpec};
use crate::event::{Category, EventKind, EventRecord};
use crate::subscriber::{Dispatch, DynSubscriber, Registration};
#[cfg(feature = "otlp")]
use crate::trace::Exporter;

/// As what it stands in the books.
pub(crate) static SPEC: SubscriberSpec = SubscriberSpec {
    name: "tasker_telemetry::logs::LogSubscriber",
    patterns: &["task.*", "step.*", "workflow.*", "observability.*"],
    inline: false,
    source: Source { module: module_path!(), file: file!(), line: line!() },
};

/// Makes records as `control` says at the time.
pub(crate) fn registration(
    control: Arc<LogControl>,
    #[cfg(feature = "otlp")] exporter: Option<Exporter<LogLine>>,
) -> Registration {
    // Tests and programs with several subscribers have theirs on the thread that builds; most have one for the process, and may
    // set it later.
    let here = dispatcher::get_default(|here| (!here.is::<NoSubscriber>()).then(|| here.clone()));
    let make = move || LogSubscriber {
        control,
        here,
        #[cfg(feature = "otlp")]
        exporter,
    };
    Registration::Queued(Box::new(move || Box::new(make())), &SPEC)
}

struct LogSubscriber {
    control: Arc<LogControl>,
    here: Option<Subscribers>,
    #[cfg(feature = "otlp")]
    exporter: Option<Exporter<LogLine>>,
}

impl DynSubscriber for LogSubscriber {
    fn spec(&self) -> &'static SubscriberSpec {
        &SPEC
    }

    fn dispatch<'a>(&'a self, record: &'a EventRecord) -> Option<Dispatch<'a>> {
        if self.control.wanted() & record.kind().bit() == 0 {
            return None;
        }
        match &self.here {
            Some(here) => dispatcher::with_default(here, || self.tell(record)),
            None => self.tell(record),
        }
        Some(Dispatch::Done(Ok(())))
    }
}

/// One record. A macro, since target and level are part of what `tracing` registers once.
macro_rules! tell {
    ($to:expr, $target:literal, $level:ident, $event:expr, $message:expr) => {{
        let event: &EventRecord = $event;
        let payload = event.payload();
        $to.send(event, tracing::Level::$level, $target, &$message);
        let text = |name: &str| payload.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
        let number = |name: &str| payload.get(name).and_then(Json::as_f64);
        let count = |name: &str| payload.get(name).and_then(Json::as_u64);
        tracing::event!(
            target: $target,
            tracing::Level::$level,
            correlation_id = text("correlation_id"),
            task_id = event.task_id(),
            step_id = event.step_id(),
            trace_id = text("trace_id"),
            span_id = text("span_id"),
            task_name = event.task_name(),
            step_name = event.step_name(),
            attempt_number = event.attempt_number(),
            retry_limit = count("retry_limit"),
            execution_duration = number("execution_duration"),
            queue_time = number("queue_time"),
            backoff_seconds = number("backoff_seconds"),
            total_steps = count("total_steps"),
            completed_steps = count("completed_steps"),
            failed_steps = count("failed_steps"),
            error_class = text("error_class"),
            error_type = text("error_type"),
            error_message = text("error_message"),
            at = %event.timestamp(),
            "{}", $message
        );
    }};
}

impl LogSubscriber {
    /// Sends the line over OTLP, if lines are sent.
    #[cfg_attr(
        not(feature = "otlp"),
        allow(clippy::unused_self, unused_variables, reason = "there is no way to send it")
    )]
    fn send(&self, event: &EventRecord, level: tracing::Level, target: &str, message: &dyn std::fmt::Display) {
        #[cfg(feature = "otlp")]
        if let Some(exporter) = &self.exporter {
            exporter.send(std::iter::once(LogLine::of_event(event, level, target, message.to_string())));
        }
    }

    fn tell(&self, event: &EventRecord) {
        let (level, kind) = (self.control.level(), event.kind());
        if let Some(threshold) = self.control.slow()
            && matches!(kind, EventKind::StepCompleted | EventKind::StepFailed)
            && event
                .payload()
                .get("execution_duration")
                .and_then(Json::as_f64)
                .is_some_and(|took| took >= threshold.as_secs_f64())
        {
            tell!(self, "tasker_telemetry::step", WARN, event, format_args!("slow step: at least {threshold:?}"));
        }
        match (event.category(), FAILURES & kind.bit() != 0) {
            (Category::Task, true) if level >= LogLevel::Warn => {
                tell!(self, "tasker_telemetry::task", WARN, event, event.name());
            }
            (Category::Step, true) if level >= LogLevel::Warn => {
                tell!(self, "tasker_telemetry::step", WARN, event, event.name());
            }
            _ if level < LogLevel::Debug => {}
            (Category::Task, _) => tell!(self, "tasker_telemetry::task", DEBUG, event, event.name()),
            (Category::Step, _) => tell!(self, "tasker_telemetry::step", DEBUG, event, event.name()),
            (Category::Workflow, _) => tell!(self, "tasker_telemetry::workflow", DEBUG, event, event.name()),
            (Category::Observability, _) => tell!(self, "tasker_telemetry::observability", DEBUG, event, event.name()),
            (Category::Custom, _) => {}
        }
    }
}
