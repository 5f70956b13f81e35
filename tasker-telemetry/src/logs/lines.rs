//! Lines of a log, as JSON or text, that say of which task and step they are (feature `logs`).

use std::fmt::{self, Write as _};

use serde_json::Value as Json;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::line::LogLine;
use crate::scope::{StepScope, TaskScope};
use crate::telemetry::{self, Core};
use crate::time::Timestamp;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LineFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// `timestamp LEVEL target: message name=value ..`
    Text,
}

/// A format for `tracing_subscriber::fmt` that writes of every line, whoever logged it, in which task and step it was logged.
///
/// The fields stand in one order: `timestamp`, `level`, `target`, `message`; then `correlation_id`, `task_id`, `step_id`, `trace_id`,
/// `span_id`, `task_name`, `step_name`, `attempt_number`, as far as there is a task or step; then the line's own, of which one
/// with such a name stands for it. The telemetry's filter holds for them: fields whose names it masks, what its expressions for
/// values match, and what was masked in the same task.
///
/// ```
/// use tasker_telemetry::logs::Lines;
/// use tasker_telemetry::prelude::*;
///
/// #[step]
/// fn charge(amount: u64) { tracing::info!(amount, "charging"); }
///
/// // `.init()` makes it the process's; it takes layers, filters and writers as any other.
/// let subscriber = tracing_subscriber::fmt().event_format(Lines::json()).finish();
/// # let telemetry = Telemetry::builder().auto_subscribers(false).build()?;
/// tracing::subscriber::with_default(subscriber, || telemetry.in_scope(|| charge(5)));
/// // {"timestamp":"..","level":"INFO","target":"..","message":"charging","correlation_id":"..","task_id":"..","step_id":"..",..,"amount":5}
/// # Ok::<(), tasker_telemetry::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines {
    format: LineFormat,
}

impl Lines {
    /// In that format.
    #[must_use]
    pub const fn new(format: LineFormat) -> Self {
        Self { format }
    }

    /// One JSON object a line.
    #[must_use]
    pub const fn json() -> Self {
        Self::new(LineFormat::Json)
    }

    /// Text for people.
    #[must_use]
    pub const fn text() -> Self {
        Self::new(LineFormat::Text)
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let line = line_of(event);
        match self.format {
            LineFormat::Json => writeln!(writer, "{}", line.into_json()),
            LineFormat::Text => line.write(&mut writer),
        }
    }
}

/// What was logged here, as it may be shown.
pub(super) fn line_of(event: &Event<'_>) -> LogLine {
    let metadata = event.metadata();
    let mut own = Own::default();
    event.record(&mut own);
    let (task, step) = (TaskScope::current(), StepScope::current());
    let mut fields = place(task.as_ref(), step.as_ref());
    fields.retain(|(name, _)| own.fields.iter().all(|(other, _)| other != name));
    // Records of the life cycle come from another thread, masked, and with places of their own.
    if let Some(core) = telemetry::current() {
        mask(&core, task.as_ref(), &mut own);
    }
    fields.append(&mut own.fields);
    let target = metadata.target().to_owned();
    LogLine { at: Timestamp::now(), level: *metadata.level(), target, message: own.message, fields }
}

impl LogLine {
    fn into_json(self) -> String {
        // By hand, since the order of fields is a promise and a map of serde_json has its own.
        let quoted = |text: &str| Json::from(text).to_string();
        let mut out = format!(
            "{{\"timestamp\":\"{}\",\"level\":\"{}\",\"target\":{},\"message\":{}",
            self.at,
            self.level,
            quoted(&self.target),
            quoted(&self.message)
        );
        for (name, value) in &self.fields {
            let _ = write!(out, ",{}:{value}", quoted(name));
        }
        out.push('}');
        out
    }

    fn write(self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{} {:>5} {}: {}", self.at, self.level, self.target, one_line(&self.message))?;
        for (name, value) in &self.fields {
            match value {
                Json::String(text) if is_plain(text) => write!(writer, " {name}={text}")?,
                other => write!(writer, " {name}={other}")?,
            }
        }
        writeln!(writer)
    }
}

/// Where the line was logged.
fn place(task: Option<&TaskScope>, step: Option<&StepScope>) -> Vec<(String, Json)> {
    let mut fields = Vec::new();
    let mut put = |name: &str, value: Option<Json>| fields.extend(value.map(|value| (name.to_owned(), value)));
    let Some(task) = task else { return fields };
    let core = task.core_of_task();
    put("correlation_id", Some(Json::from(&**core.correlation_id())));
    put("task_id", Some(task.task_id().into()));
    put("step_id", step.map(|step| step.step_id().into()));
    put("trace_id", Some(Json::from(&**core.trace_text())));
    put("span_id", step.and_then(StepScope::span_id).map(|id| id.to_string().into()));
    put("task_name", Some(task.task_name().into()));
    put("step_name", step.map(|step| step.step_name().into()));
    put("attempt_number", step.map(|step| step.attempt_number().into()));
    fields
}

fn mask(core: &Core, task: Option<&TaskScope>, own: &mut Own) {
    let filter = core.filter();
    let secrets = task.map(|task| task.core_of_task().secrets());
    let text = |text: &mut String| *text = filter.error_text(std::mem::take(text), secrets);
    text(&mut own.message);
    for (name, value) in &mut own.fields {
        if filter.masks(name) {
            *value = filter.mask().into();
        } else if let Json::String(value) = value {
            text(value);
        } else {
            filter.attribute(name, value);
        }
    }
}

/// What the line itself says.
#[derive(Default)]
struct Own {
    message: String,
    fields: Vec<(String, Json)>,
}

impl Own {
    fn put(&mut self, field: &Field, value: Json) {
        match (field.name(), value) {
            ("message", Json::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            (name, value) => self.fields.push((name.strip_prefix("r#").unwrap_or(name).to_owned(), value)),
        }
    }
}

impl Visit for Own {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value.to_string().into());
    }
}

/// Without line breaks: a line is a line.
fn one_line(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\'))
}
