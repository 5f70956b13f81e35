//! The attributes of a span and of its events, handed out as borrowed values.

use std::fmt::Write;

use super::Span;
use crate::catalog::Source;
use crate::failure::Failure;
use crate::id;
use crate::lifecycle::TaskCore;
use crate::publisher::{Fact, Record, StepPlace};
use crate::value::Value;

/// A value of an attribute, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AttributeValue<'a> {
    Str(&'a str),
    I64(i64),
    F64(f64),
    /// An integer that OpenTelemetry's do not hold, to be written as text: as a float it would be another number.
    Big(u64),
    Bool(bool),
    Json(&'a serde_json::Value),
    /// A UUID, to be written as text.
    Uuid(uuid::Uuid),
    /// A text and another, with `::` between.
    Path(&'a str, &'a str),
}

impl AttributeValue<'_> {
    /// The value as one that is kept.
    pub(crate) fn to_value(self) -> Value {
        match self {
            Self::Str(text) => Value::Str(text.to_owned().into()),
            Self::I64(number) => Value::I64(number),
            Self::F64(number) => Value::F64(number),
            Self::Big(number) => Value::Str(number.to_string().into()),
            Self::Bool(is) => Value::Bool(is),
            Self::Json(json) => Value::Json(json.clone()),
            Self::Uuid(uuid) => Value::Str(uuid.to_string().into()),
            Self::Path(module, function) => Value::Str(format!("{module}::{function}").into()),
        }
    }
}

impl<'a> From<&'a Value> for AttributeValue<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Bool(is) => Self::Bool(*is),
            Value::I64(number) => Self::I64(*number),
            Value::U64(number) => i64::try_from(*number).map_or(Self::Big(*number), Self::I64),
            Value::F64(number) => Self::F64(*number),
            Value::Str(text) => Self::Str(text),
            Value::Json(json) => Self::Json(json),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "the nearest number there is")]
const fn approximately(number: u64) -> f64 {
    number as f64
}

fn seconds(nanos: u64) -> f64 {
    approximately(nanos) / 1e9
}

fn integer(number: u64) -> AttributeValue<'static> {
    AttributeValue::I64(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Takes attributes, one at a time.
pub(crate) type Visit<'v> = dyn for<'a> FnMut(&'a str, AttributeValue<'a>) + 'v;

impl Span {
    /// The attribute of that name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Value> {
        let mut found = None;
        self.visit_attributes(&mut |key, value| {
            if key == name {
                found = Some(value.to_value());
            }
        });
        found
    }

    /// All attributes, in the order in which they are sent.
    #[must_use]
    pub fn attributes(&self) -> Vec<(String, Value)> {
        let mut attributes = Vec::new();
        self.visit_attributes(&mut |key, value| attributes.push((key.to_owned(), value.to_value())));
        attributes
    }

    /// Hands out the attributes.
    pub(crate) fn visit_attributes(&self, visit: &mut Visit<'_>) {
        if let Some(carried) = self.carried() {
            return carried.attributes.iter().for_each(|(key, value)| visit(key, of_json(value)));
        }
        if let Some(call) = self.call() {
            return call.attributes.iter().for_each(|(key, value)| visit(key, value.into()));
        }
        self.visit_fixed(visit);
        self.visit_own(visit);
    }

    /// The attributes that are this span's own: all but those of [`visit_fixed`](Self::visit_fixed).
    pub(crate) fn visit_own(&self, visit: &mut Visit<'_>) {
        let Some(task) = self.task() else { return };
        visit("tasker.task_id", AttributeValue::Str(task.id().as_str()));
        if let Some(id) = task.given_correlation_id() {
            visit("tasker.correlation_id", AttributeValue::Str(id));
        }
        match self.record.step {
            Some(place) => self.visit_step(task, place, visit),
            None => self.visit_task(task, visit),
        }
    }

    /// What [`visit_fixed`](Self::visit_fixed) depends on: step and task, by the addresses of their statics.
    pub(crate) fn fixed_key(&self) -> Option<(usize, usize)> {
        if self.carried().is_some() || self.call().is_some() {
            return None;
        }
        let task = self.task()?;
        let place = match self.record.step {
            // An engine that allows another number of attempts than the step says.
            Some(place) if place.retry_limit(task) != place.spec.retry_limit.max(1) => return None,
            Some(place) => std::ptr::from_ref(place.spec).addr(),
            None => task.place().map_or(0, |(_, source)| std::ptr::from_ref(source).addr()),
        };
        Some((task.name().as_ptr().addr(), place))
    }

    /// Those that are the same for every span of one step, or task, of one task: an exporter may write them once.
    pub(crate) fn visit_fixed(&self, visit: &mut Visit<'_>) {
        let Some(task) = self.task() else { return };
        visit("tasker.task_name", AttributeValue::Str(task.name()));
        let (function, source) = match self.record.step {
            Some(place) => {
                let spec = place.spec;
                visit("tasker.step_name", AttributeValue::Str(spec.name));
                visit("tasker.retry_limit", AttributeValue::I64(i64::from(place.retry_limit(task))));
                (spec.function, &spec.source)
            }
            None => match task.place() {
                Some(place) => place,
                None => return,
            },
        };
        let Source { module, file, line } = *source;
        visit("code.function.name", AttributeValue::Path(module, function));
        visit("code.file.path", AttributeValue::Str(file));
        visit("code.line.number", AttributeValue::I64(i64::from(line)));
    }

    /// The rest of a step's.
    fn visit_step(&self, task: &TaskCore, place: StepPlace, visit: &mut Visit<'_>) {
        visit("tasker.step_id", AttributeValue::Uuid(id::step_id(task.nonce(), place.number)));
        visit("tasker.attempt_number", AttributeValue::I64(i64::from(place.attempt)));
        let (nanos, queue_nanos, inputs) = match &self.record.fact {
            Fact::Completed { nanos, queue_nanos, inputs } | Fact::Cancelled { nanos, queue_nanos, inputs, .. } => {
                (*nanos, *queue_nanos, inputs.as_ref())
            }
            Fact::Failed { nanos, queue_nanos, failure, .. } => (*nanos, *queue_nanos, failure.inputs.as_ref()),
            _ => (0, 0, None),
        };
        visit("tasker.execution_duration", AttributeValue::F64(seconds(nanos)));
        visit("tasker.queue_time", AttributeValue::F64(seconds(queue_nanos)));
        if let Some(failure) = self.failure() {
            visit("tasker.error", AttributeValue::Str(&failure.message));
            visit("error.type", AttributeValue::Str(failure.error_type()));
        }
        if let Fact::Cancelled { reason, .. } = &self.record.fact {
            visit("tasker.cancel_reason", AttributeValue::Str(reason.as_str()));
        }
        if let Some(inputs) = inputs {
            visit_fields(place.spec.fields, inputs, visit);
        }
    }

    /// The rest of a task's.
    fn visit_task(&self, task: &TaskCore, visit: &mut Visit<'_>) {
        if let Fact::TaskEnded(end) = &self.record.fact {
            visit("tasker.total_steps", integer(end.total_steps));
            visit("tasker.completed_steps", integer(end.completed_steps));
            visit("tasker.failed_steps", integer(end.failed_steps));
            visit("tasker.execution_duration", AttributeValue::F64(seconds(end.nanos)));
            if let Some(failure) = &end.failure {
                visit("tasker.error", AttributeValue::Str(&failure.message));
                visit("error.type", AttributeValue::Str(failure.error_type()));
            }
            if let Some(reason) = end.reason.as_deref() {
                visit("tasker.cancel_reason", AttributeValue::Str(reason));
            }
        }
        visit_context(task, visit);
    }
}

/// The `fields(..)` of a task, wherever it began.
pub(in crate::trace) fn visit_context(task: &TaskCore, visit: &mut Visit<'_>) {
    visit_fields(task.field_names(), task.fields(), visit);
    for (name, value) in task.origin().iter().flat_map(|origin| &origin.context) {
        visit(name, of_json(value));
    }
}

/// The `fields(..)`.
fn visit_fields(names: &[&'static str], values: &[Value], visit: &mut Visit<'_>) {
    for (name, value) in names.iter().zip(values) {
        visit(name, value.into());
    }
}

/// An error, by the conventions for exceptions.
pub(crate) fn visit_exception(failure: &Failure, visit: &mut Visit<'_>) {
    visit("exception.type", AttributeValue::Str(&failure.class));
    visit("exception.message", AttributeValue::Str(&failure.message));
    let frames = failure.backtrace();
    if failure.chain.is_empty() && frames.is_empty() {
        return;
    }
    let mut text = failure.message.clone();
    for cause in &failure.chain {
        let _ = write!(text, "\ncaused by: {cause}");
    }
    for frame in frames {
        let _ = write!(text, "\n    at {frame}");
    }
    visit("exception.stacktrace", AttributeValue::Str(&text));
}

/// The payload of a custom event, without what every event has.
pub(super) fn visit_payload(record: &Record, visit: &mut Visit<'_>) {
    let event = crate::publisher::build(record);
    let serde_json::Value::Object(fields) = event.payload() else { return };
    for (name, value) in fields {
        // An absent value is an absent attribute.
        if !value.is_null() && !crate::event::HEADER_FIELDS.contains(&name.as_str()) {
            visit(name, of_json(value));
        }
    }
}

pub(super) fn of_json(json: &serde_json::Value) -> AttributeValue<'_> {
    match json {
        serde_json::Value::Bool(is) => AttributeValue::Bool(*is),
        serde_json::Value::String(text) => AttributeValue::Str(text),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), ..) => AttributeValue::I64(number),
            (None, Some(number), _) => AttributeValue::Big(number),
            (None, None, number) => AttributeValue::F64(number.unwrap_or_default()),
        },
        other => AttributeValue::Json(other),
    }
}
