//! The comparison.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value as Json;

use super::mismatch::{Mismatch, Mismatches};
use super::run::{AttemptId, End, Ended, Fields, Run, Task, text, time};
use super::values::{agree, shown};
use super::{Caller, Checker, FieldNames, Report, STEP_SPAN, TASK_SPAN};
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

pub(super) fn check(checker: &Checker, spans: &[ReceivedSpan], run: &Run) -> Result<Report, Mismatches> {
    let mut check = Check::new(checker, spans);
    for problem in &run.problems {
        check.says("the events", problem.clone());
    }
    check.messages();
    for (task_id, task) in &run.tasks {
        check.task(task_id, task);
    }
    check.traces();
    check.leftovers();
    if check.mismatches.is_empty() { Ok(check.report) } else { Err(Mismatches(check.mismatches)) }
}

/// Spans by what they say they are, and what was found so far.
struct Check<'a> {
    checker: &'a Checker,
    spans: &'a [ReceivedSpan],
    roots: HashMap<&'a str, Vec<usize>>,
    attempts: HashMap<&'a str, BTreeMap<AttemptId, Vec<usize>>>,
    /// The spans that belong to what ran.
    used: HashSet<usize>,
    /// The tasks of each trace.
    tasks_of_trace: BTreeMap<&'a str, HashSet<&'a str>>,
    /// Parents that need not be there, since their task has not ended.
    pending_roots: HashSet<&'a str>,
    report: Report,
    mismatches: Vec<Mismatch>,
}

impl<'a> Check<'a> {
    fn new(checker: &'a Checker, spans: &'a [ReceivedSpan]) -> Self {
        let mut roots: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut attempts: HashMap<&str, BTreeMap<AttemptId, Vec<usize>>> = HashMap::new();
        for (index, span) in spans.iter().enumerate() {
            let Some(task_id) = span.text("tasker.task_id") else { continue };
            if span.name == TASK_SPAN {
                roots.entry(task_id).or_default().push(index);
            } else if span.name == STEP_SPAN
                && let (Some(step_id), Some(number)) = (span.text("tasker.step_id"), span.int("tasker.attempt_number"))
            {
                let id = AttemptId { step_id: step_id.to_owned(), number };
                attempts.entry(task_id).or_default().entry(id).or_default().push(index);
            }
        }
        for of_task in roots.values_mut() {
            of_task.sort_by_key(|index| spans[*index].end);
        }
        Self {
            checker,
            spans,
            roots,
            attempts,
            used: HashSet::new(),
            tasks_of_trace: BTreeMap::new(),
            pending_roots: HashSet::new(),
            report: Report::default(),
            mismatches: Vec::new(),
        }
    }

    fn says(&mut self, subject: impl Into<String>, problem: impl Into<String>) {
        self.mismatches.push(Mismatch { subject: subject.into(), problem: problem.into() });
    }

    fn expects<T: PartialEq + std::fmt::Debug>(&mut self, subject: &str, what: &str, expected: &T, seen: &T) {
        if expected != seen {
            self.says(subject, format!("{what}: expected {expected:?}, seen {seen:?}"));
        }
    }

    /// What each span must be, whatever it is of.
    fn messages(&mut self) {
        let mut seen = HashSet::new();
        for span in self.spans {
            let subject = span.to_string();
            for problem in &span.problems {
                self.says(subject.as_str(), problem.clone());
            }
            if span.end < span.start {
                self.says(subject.as_str(), format!("ends {} ns before it starts", span.start - span.end));
            }
            if span.dropped > 0 {
                self.says(subject.as_str(), format!("{} attributes, events or links were left out", span.dropped));
            }
            if self.checker.fidelity.duplicates && !seen.insert((&span.trace_id, &span.span_id)) {
                self.says(subject.as_str(), "came twice: expected one span of that id");
            }
            for (name, value) in &self.checker.resource {
                let found = span.resource.get(name);
                if found != Some(&Value::Str(value.clone())) {
                    self.says(subject.as_str(), format!("resource {name}: expected {value:?}, seen {}", shown(found)));
                }
            }
        }
    }

    fn task(&mut self, task_id: &str, task: &Task) {
        let roots = self.roots.get(task_id).cloned().unwrap_or_default();
        let mut attempts = self.attempts.remove(task_id).unwrap_or_default();
        if self.checker.whole_or_absent && roots.is_empty() && attempts.is_empty() {
            self.report.absent += 1;
            return;
        }
        let name = task.runs.first().and_then(|run| text(&run.event, "task_name")).unwrap_or_default();
        let subject = format!("task {name} {task_id}");
        if roots.len() != task.runs.len() {
            let problem = format!(
                "expected {} spans {TASK_SPAN}, as often as it ended; seen {}",
                task.runs.len(),
                self.listed(&roots)
            );
            self.says(subject.as_str(), problem);
        }
        // Those that are too many are reported above.
        self.used.extend(&roots);
        for (ended, root) in task.runs.iter().zip(&roots) {
            self.report.tasks += 1;
            let (first, this) = (&self.spans[roots[0]].trace_id, &self.spans[*root].trace_id);
            self.expects(&subject, "trace id of a further run", first, this);
            self.root(&subject, task_id, task, ended, *root);
        }
        let mut trace_id = roots.first().map(|root| self.spans[*root].trace_id.as_str());
        let mut parent_of_all = None;
        let mut span_of: HashMap<AttemptId, usize> = HashMap::new();
        for (id, attempt) in &task.attempts {
            let found = attempts.remove(id).unwrap_or_default();
            self.used.extend(&found);
            let subject = format!("{subject} / step {} {} attempt {}", attempt.step_name, id.step_id, id.number);
            match (&attempt.ended, &found[..]) {
                (None, []) => {}
                // It was cancelled while it waited for its turn, so there may be nothing to show.
                (Some(ended), []) if ended.end == End::Cancelled && !attempt.is_started => {}
                (None, found) => {
                    let problem = format!("never ended: expected no span, seen {}", self.listed(found));
                    self.says(subject.as_str(), problem);
                }
                (Some(_), []) => self.says(subject.as_str(), format!("expected one span {STEP_SPAN}, seen none")),
                (Some(_), [_, ..]) => {
                    if found.len() > 1 {
                        let problem = format!("expected one span {STEP_SPAN}, seen {}", self.listed(&found));
                        self.says(subject.as_str(), problem);
                    }
                    span_of.insert(id.clone(), found[0]);
                }
            }
        }
        let by_span: HashMap<&str, (&AttemptId, usize)> =
            span_of.iter().map(|(id, index)| (self.spans[*index].span_id.as_str(), (id, *index))).collect();
        for (id, index) in &span_of {
            let Some((attempt, ended)) =
                task.attempts.get(id).and_then(|attempt| Some((attempt, attempt.ended.as_ref()?)))
            else {
                continue;
            };
            self.report.attempts += 1;
            let span = &self.spans[*index];
            let subject = format!(
                "{subject} / step {} {} attempt {} (span {})",
                attempt.step_name, id.step_id, id.number, span.span_id
            );
            let expected = *trace_id.get_or_insert(&span.trace_id);
            self.expects(&subject, "trace id", &expected, &span.trace_id.as_str());
            self.attempt(&subject, &attempt.step_name, ended, span);
            self.link(&subject, id, task, &span_of, span);
            self.parent(&subject, &attempt.step_name, task, &roots, &by_span, &mut parent_of_all, span);
        }
        if let Some(trace_id) = trace_id {
            let task_id =
                roots.iter().chain(span_of.values()).find_map(|index| self.spans[*index].text("tasker.task_id"));
            self.tasks_of_trace.entry(trace_id).or_default().extend(task_id);
        }
    }

    fn root(&mut self, subject: &str, task_id: &str, task: &Task, ended: &Ended, index: usize) {
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

    fn attempt(&mut self, subject: &str, step_name: &str, ended: &Ended, span: &ReceivedSpan) {
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

    fn tolerance(&self) -> u64 {
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

    /// Attempt n > 1 links to attempt n - 1, and to nothing else.
    fn link(
        &mut self,
        subject: &str,
        id: &AttemptId,
        task: &Task,
        span_of: &HashMap<AttemptId, usize>,
        span: &ReceivedSpan,
    ) {
        let before = AttemptId { step_id: id.step_id.clone(), number: id.number - 1 };
        let expected = match span_of.get(&before) {
            Some(index) => vec![(self.spans[*index].trace_id.as_str(), self.spans[*index].span_id.as_str())],
            // The one before was killed: it has no span, but it had an id.
            None if task.attempts.contains_key(&before) && span.links.len() == 1 => return,
            None => Vec::new(),
        };
        let seen: Vec<_> = span.links.iter().map(|link| (link.trace_id.as_str(), link.span_id.as_str())).collect();
        self.expects(subject, "links", &expected, &seen);
    }

    #[allow(clippy::too_many_arguments, reason = "all that a parent depends on")]
    fn parent(
        &mut self,
        subject: &str,
        step_name: &str,
        task: &Task,
        roots: &[usize],
        by_span: &HashMap<&str, (&AttemptId, usize)>,
        parent_of_all: &mut Option<&'a str>,
        span: &'a ReceivedSpan,
    ) {
        let default = vec![String::new()];
        let outer = self.checker.nesting.get(step_name).unwrap_or(&default);
        let parent = span.parent_span_id.as_str();
        if let Some((id, index)) = by_span.get(parent) {
            let name = task.attempts.get(*id).map_or("", |attempt| attempt.step_name.as_str());
            if !outer.iter().any(|outer| outer == name) {
                self.says(subject, format!("parent: expected {}, seen step {name} {parent}", place(outer)));
            }
            let parent = &self.spans[*index];
            let lives = parent.start.saturating_sub(self.tolerance())..=parent.end + self.tolerance();
            if !lives.contains(&span.start) {
                self.says(subject, format!("parent: {parent} was not running when it started"));
            }
        } else if !outer.iter().any(String::is_empty) {
            self.says(subject, format!("parent: expected {}, seen {parent:?}", place(outer)));
        } else if roots.is_empty() && !parent.is_empty() {
            // The task has not ended, so its root is not there: but it has one, and only one.
            self.pending_roots.insert(parent);
            let first = *parent_of_all.get_or_insert(parent);
            self.expects(subject, "parent, the root that is not there yet", &first, &parent);
        } else if !roots.iter().any(|root| self.spans[*root].span_id == parent) {
            let ids: Vec<_> = roots.iter().map(|root| self.spans[*root].span_id.as_str()).collect();
            self.says(subject, format!("parent: expected the task's root {}, seen {parent:?}", ids.join(" or ")));
        } else if roots.len() > 1 {
            let root = roots.iter().map(|root| &self.spans[*root]).find(|root| root.span_id == parent);
            let lives = root.is_some_and(|root| {
                (root.start.saturating_sub(self.tolerance())..=root.end + self.tolerance()).contains(&span.start)
            });
            if !lives {
                self.says(subject, "parent: the root of another run of the task");
            }
        }
    }

    /// One trace per task, and one task per trace unless a caller's trace holds them all.
    fn traces(&mut self) {
        if matches!(self.checker.caller, Caller::Parent { .. }) {
            return;
        }
        for (trace_id, tasks) in std::mem::take(&mut self.tasks_of_trace) {
            if tasks.len() > 1 {
                self.says(format!("trace {trace_id}"), format!("expected one task, seen {tasks:?}"));
            }
        }
    }

    /// Spans of what did not run.
    fn leftovers(&mut self) {
        let ids: HashSet<(&str, &str)> = self.spans.iter().map(|s| (s.trace_id.as_str(), s.span_id.as_str())).collect();
        for (index, span) in self.spans.iter().enumerate() {
            if self.used.contains(&index) {
                continue;
            }
            if span.name == TASK_SPAN || span.name == STEP_SPAN {
                self.says(
                    span.to_string(),
                    format!("expected no such span: nothing that ran is of {}", identity(span)),
                );
            } else if !self.checker.foreign {
                self.says(span.to_string(), "expected no span of that name");
            } else {
                self.report.foreign += 1;
                let parent = span.parent_span_id.as_str();
                if !parent.is_empty()
                    && !ids.contains(&(span.trace_id.as_str(), parent))
                    && !self.pending_roots.contains(parent)
                {
                    self.says(span.to_string(), format!("its parent {parent} is not in trace {}", span.trace_id));
                }
            }
        }
    }

    fn listed(&self, indices: &[usize]) -> String {
        match indices {
            [] => "none".to_owned(),
            some => {
                let ids: Vec<_> = some.iter().map(|index| self.spans[*index].span_id.as_str()).collect();
                format!("{}: {}", ids.len(), ids.join(" "))
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

fn place(outer: &[String]) -> String {
    let names: Vec<_> = outer.iter().map(|name| if name.is_empty() { "the task's root" } else { name }).collect();
    names.join(" or ")
}

/// What a span says it is of.
fn identity(span: &ReceivedSpan) -> String {
    let value = |name: &str| shown(span.attributes.get(name));
    if span.name == TASK_SPAN {
        return format!("task {}", value("tasker.task_id"));
    }
    format!(
        "task {} step {} attempt {}",
        value("tasker.task_id"),
        value("tasker.step_id"),
        value("tasker.attempt_number")
    )
}
