//! One span, held against the events of what it is of.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::check::Check;
use super::run::{End, Ended, Fields, Task, text, time};
use super::values::{agree, shown};
use super::{Caller, FieldNames};
use crate::span::{Kind, ReceivedSpan, StatusCode, Value};

/// The fields that every event has, or that tell where a custom one was published.
const HEADER: [&str; 12] = [
    "event",
    "event_id",
    "event_type",
    "timestamp",
    "task_id",
    "task_name",
    "correlation_id",
    "trace_id",
    "span_id",
    "step_id",
    "step_name",
    "attempt_number",
];

impl Check<'_> {
    pub(super) fn root(&mut self, subject: &str, task_id: &str, task: &Task, ended: &Ended, index: usize) {
        let span = &self.spans[index];
        let subject = &format!("{subject} (span {})", span.span_id);
        let kind = if self.checker.resumed.contains(task_id) { Kind::Consumer } else { Kind::Internal };
        self.expects(subject, "kind", &kind, &span.kind);
        let none = || (String::new(), Vec::new());
        let (parent, links) = match &self.checker.caller {
            Caller::None => none(),
            Caller::Linked { trace_id, span_id } => (String::new(), vec![(trace_id.clone(), span_id.clone())]),
            Caller::Parent { trace_id, span_id } => {
                self.expects(subject, "trace id", trace_id, &span.trace_id);
                (span_id.clone(), Vec::new())
            }
        };
        self.expects(subject, "parent", &parent, &span.parent_span_id);
        if task.runs.len() == 1 {
            let seen: Vec<_> = span.links.iter().map(|l| (l.trace_id.clone(), l.span_id.clone())).collect();
            self.expects(subject, "links", &links, &seen);
        }
        let plain = task_id.replace('-', "");
        let is_uuid = task_id.len() == 36 && plain.len() == 32 && plain.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_uuid && !matches!(self.checker.caller, Caller::Parent { .. }) {
            self.expects(subject, "trace id, the task id's own 16 bytes", &plain.to_ascii_lowercase(), &span.trace_id);
        }
        self.ids(subject, ended, span);
        self.times(subject, ended, span);
        self.status(subject, ended, span);
        for name in ["task_id", "task_name", "total_steps", "completed_steps", "failed_steps", "execution_duration"] {
            self.attribute(subject, &format!("tasker.{name}"), ended.event.get(name), span);
        }
        self.common(subject, ended, "context", span);
        let mut expected = vec![Expected::at("task.started", ended.started_at)];
        match ended.end {
            End::Completed => expected.push(Expected::at("task.completed", Some(ended.completed_at))),
            End::Failed => {
                expected.push(Expected::at("task.failed", Some(ended.completed_at)));
                expected.push(Expected { is_optional: true, ..Expected::at("exception", None) });
            }
            End::Cancelled => expected.push(Expected { is_optional: true, ..Expected::at("task.cancelled", None) }),
        }
        self.events(subject, &expected, true, span);
    }

    pub(super) fn attempt(&mut self, subject: &str, step_name: &str, ended: &Ended, span: &ReceivedSpan) {
        self.expects(subject, "kind", &Kind::Internal, &span.kind);
        self.ids(subject, ended, span);
        self.times(subject, ended, span);
        self.status(subject, ended, span);
        let from_begin = |name: &str| ended.begin.as_ref().or(ended.request.as_ref()).and_then(|begin| begin.get(name));
        for name in ["task_id", "task_name", "step_id", "attempt_number", "execution_duration"] {
            self.attribute(subject, &format!("tasker.{name}"), ended.event.get(name), span);
        }
        self.attribute(subject, "tasker.step_name", Some(&step_name.into()), span);
        let limit = ended.event.get("retry_limit").or_else(|| from_begin("retry_limit"));
        self.attribute(subject, "tasker.retry_limit", limit, span);
        self.attribute(subject, "tasker.queue_time", from_begin("queue_time"), span);
        let failed = |field: &str| if ended.end == End::Failed { ended.event.get(field) } else { None };
        match ended.end {
            End::Failed => {
                self.attribute(subject, "tasker.error", failed("error_message"), span);
                match failed("error_type") {
                    Some(expected) => self.attribute(subject, "error.type", Some(expected), span),
                    None if span.text("error.type").is_none_or(str::is_empty) => {
                        self.says(subject, "error.type: expected a text, seen nothing");
                    }
                    None => {}
                }
            }
            End::Completed => {
                for name in ["tasker.error", "error.type"] {
                    if let Some(value) = span.attributes.get(name) {
                        self.says(subject, format!("{name}: expected nothing on success, seen {value:?}"));
                    }
                }
            }
            End::Cancelled => {}
        }
        self.common(subject, ended, "step_inputs", span);
        let mut expected = vec![Expected::at("step.started", ended.started_at)];
        match ended.end {
            End::Completed => expected.push(Expected::at("step.completed", Some(ended.completed_at))),
            End::Failed => expected.push(Expected::at("step.failed", Some(ended.completed_at))),
            End::Cancelled => expected.push(Expected { is_optional: true, ..Expected::at("step.cancelled", None) }),
        }
        if ended.end == End::Failed && self.checker.exceptions {
            let fields = [("exception.type", "error_class"), ("exception.message", "error_message")];
            let attributes =
                fields.iter().filter_map(|(name, field)| Some((*name, ended.event.get(*field)?))).collect();
            expected.push(Expected { attributes, ..Expected::at("exception", None) });
        }
        for fields in &ended.others {
            let name = text(fields, "event").unwrap_or_default();
            let attributes = if name == "step.retry_requested" { Vec::new() } else { payload(fields) };
            expected.push(Expected { attributes, ..Expected::at(name, time(fields, "timestamp")) });
        }
        self.events(subject, &expected, false, span);
    }

    /// The ids that the events tell, where they do.
    fn ids(&mut self, subject: &str, ended: &Ended, span: &ReceivedSpan) {
        for (field, seen) in [("trace_id", &span.trace_id), ("span_id", &span.span_id)] {
            if let Some(expected) = text(&ended.event, field) {
                self.expects(subject, &format!("{field} of the event"), &expected, &seen.as_str());
            }
        }
    }

    fn times(&mut self, subject: &str, ended: &Ended, span: &ReceivedSpan) {
        if let Some(started_at) = ended.started_at {
            self.time(subject, "start", started_at, span.start);
        }
        self.time(subject, "end", ended.completed_at, span.end);
        if let Some(seconds) = ended.event.get("execution_duration").and_then(Json::as_f64) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration, rounded")]
            let nanos = (seconds * 1e9).round() as u64;
            let took = span.end.saturating_sub(span.start);
            if nanos.abs_diff(took) > self.tolerance() {
                self.says(subject, format!("duration: expected {nanos} ns, seen {took} ns"));
            }
        }
    }

    pub(super) fn tolerance(&self) -> u64 {
        self.checker.tolerance + self.checker.fidelity.time_nanos
    }

    fn time(&mut self, subject: &str, what: &str, expected: u64, seen: u64) {
        if expected.abs_diff(seen) > self.tolerance() {
            let (sign, apart) = if seen < expected { ('-', expected - seen) } else { ('+', seen - expected) };
            self.says(subject, format!("{what}: expected {expected}, seen {seen} ({sign}{apart} ns)"));
        }
    }

    fn status(&mut self, subject: &str, ended: &Ended, span: &ReceivedSpan) {
        match ended.end {
            End::Completed => {
                self.expects(subject, "status", &self.checker.success, &span.status);
                self.expects(subject, "status message", &"", &span.status_message.as_str());
            }
            End::Failed => {
                self.expects(subject, "status", &StatusCode::Error, &span.status);
                let message = text(&ended.event, "error_message").unwrap_or_default();
                self.expects(subject, "status message", &message, &span.status_message.as_str());
            }
            End::Cancelled if span.status == StatusCode::Ok => {
                self.says(subject, "status: expected another than Ok for what was cancelled, seen Ok");
            }
            End::Cancelled => {}
        }
    }

    /// An attribute that has the value of an event's field; what no event tells is not asked for.
    fn attribute(&mut self, subject: &str, name: &str, expected: Option<&Json>, span: &ReceivedSpan) {
        let Some(expected) = expected else { return };
        let seen = span.attributes.get(name);
        if !agree(expected, seen, self.checker.fidelity) {
            self.says(subject, format!("{name}: expected {expected}, seen {}", shown(seen)));
        }
    }

    /// The place in the code and the user's fields.
    fn common(&mut self, subject: &str, ended: &Ended, fields: &str, span: &ReceivedSpan) {
        for name in ["code.function.name", "code.file.path", "code.line.number"] {
            match span.attributes.get(name) {
                Some(Value::Str(text)) if name != "code.line.number" && !text.is_empty() => {}
                Some(Value::Int(1..)) if name == "code.line.number" => {}
                None if !self.checker.code => {}
                other => self.says(subject, format!("{name}: expected the place in the code, seen {}", shown(other))),
            }
        }
        let prefix = match &self.checker.fields {
            FieldNames::Plain => "",
            FieldNames::Prefixed(prefix) => prefix.as_str(),
            FieldNames::Ignored => return,
        };
        let fields = ended.request.as_ref().and_then(|request| request.get(fields)?.as_object());
        for (name, value) in fields.into_iter().flatten() {
            self.attribute(subject, &format!("{prefix}{name}"), Some(value), span);
        }
    }

    fn events(&mut self, subject: &str, expected: &[Expected<'_>], lets_custom_be: bool, span: &ReceivedSpan) {
        let names: HashSet<&str> = expected.iter().map(|one| one.name).collect();
        for event in &span.events {
            let is_ours = event.name.starts_with("task.") || event.name.starts_with("step.");
            if !names.contains(event.name.as_str()) && (is_ours || !lets_custom_be) {
                self.says(subject, format!("span event {}: expected none, seen at {}", event.name, event.time));
            }
        }
        for name in names {
            let mut wanted: Vec<&Expected<'_>> = expected.iter().filter(|one| one.name == name).collect();
            let mut seen: Vec<_> = span.events_named(name).collect();
            if wanted.len() != seen.len() && !(wanted[0].is_optional && seen.is_empty()) {
                self.says(subject, format!("span event {name}: expected {}, seen {}", wanted.len(), seen.len()));
                continue;
            }
            wanted.sort_by_key(|one| one.time);
            seen.sort_by_key(|event| event.time);
            for (wanted, seen) in wanted.iter().zip(seen) {
                let what = format!("span event {name}");
                match wanted.time {
                    Some(time) => self.time(subject, &what, time, seen.time),
                    None if seen.time + self.tolerance() < span.start || seen.time > span.end + self.tolerance() => {
                        self.says(subject, format!("{what}: at {}, outside its span", seen.time));
                    }
                    None => {}
                }
                for (attribute, value) in &wanted.attributes {
                    let found = seen.attributes.get(*attribute);
                    if !agree(value, found, self.checker.fidelity) {
                        self.says(subject, format!("{what}: {attribute}: expected {value}, seen {}", shown(found)));
                    }
                }
            }
        }
    }
}

/// An event that must be on a span.
struct Expected<'a> {
    name: &'a str,
    time: Option<u64>,
    attributes: Vec<(&'a str, &'a Json)>,
    is_optional: bool,
}

impl<'a> Expected<'a> {
    fn at(name: &'a str, time: Option<u64>) -> Self {
        Self { name, time, attributes: Vec::new(), is_optional: false }
    }
}

fn payload(fields: &Fields) -> Vec<(&str, &Json)> {
    let is_payload = |name: &&String| !HEADER.contains(&name.as_str());
    let names = fields.keys().filter(is_payload);
    names.map(|name| (name.as_str(), &fields[name])).collect()
}
