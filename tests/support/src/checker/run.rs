//! What ran, by the events of the run.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

/// The fields of an event as it is printed.
pub(super) type Fields = Map<String, Json>;

/// How a task or an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    Failed,
    Cancelled,
}

/// A task that ended, or an attempt of a step that did.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) end: End,
    /// Nanoseconds since 1970; `None` where no event tells.
    pub(super) started_at: Option<u64>,
    pub(super) completed_at: u64,
    /// The event that ended it.
    pub(super) event: Fields,
    /// The event that began it: `step.started`, or `task.start_requested`.
    pub(super) begin: Option<Fields>,
    /// What was asked for: `step.execution_requested`, or `task.initialize_requested`.
    pub(super) request: Option<Fields>,
    /// Further events that must be on its span, in their order: custom ones, `step.retry_requested`.
    pub(super) others: Vec<Fields>,
}

/// A task by its id: every run of it, in order of their ends.
#[derive(Debug, Default)]
pub(super) struct Task {
    pub(super) runs: Vec<Ended>,
    pub(super) attempts: BTreeMap<AttemptId, Attempt>,
}

/// Step id and attempt number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AttemptId {
    pub(super) step_id: String,
    pub(super) number: i64,
}

/// An attempt, ended or not.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    pub(super) step_name: String,
    pub(super) is_started: bool,
    pub(super) ended: Option<Ended>,
}

/// What ran.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) tasks: BTreeMap<String, Task>,
    /// What is wrong with the events themselves.
    pub(super) problems: Vec<String>,
}

impl Run {
    /// From events in the order of their publication, of one process or several.
    pub(super) fn from_events(events: &[Json]) -> Self {
        let mut run = Self::default();
        let mut open = Open::default();
        for event in events {
            let Json::Object(fields) = event else {
                run.problems.push(format!("not an event: {event}"));
                continue;
            };
            if let Err(problem) = run.add(fields, &mut open) {
                run.problems.push(format!("{problem}: {event}"));
            }
        }
        run.put_others(open);
        run
    }

    fn add(&mut self, fields: &Fields, open: &mut Open) -> Result<(), String> {
        let name = text(fields, "event").ok_or("an event without name")?;
        let Some(task_id) = text(fields, "task_id") else { return Ok(()) };
        let task = self.tasks.entry(task_id.to_owned()).or_default();
        let attempt_id = || {
            let step_id = text(fields, "step_id")?.to_owned();
            Some(AttemptId { step_id, number: fields.get("attempt_number")?.as_i64()? })
        };
        match name {
            "task.initialize_requested" => _ = open.task_requests.insert(task_id.to_owned(), fields.clone()),
            "task.start_requested" => _ = open.task_begins.insert(task_id.to_owned(), fields.clone()),
            "task.completed" | "task.failed" | "task.cancelled" => {
                let begin = open.task_begins.remove(task_id);
                let request = open.task_requests.remove(task_id);
                task.runs.push(Ended::new(fields, begin, request)?);
            }
            "step.execution_requested" | "step.started" | "step.completed" | "step.failed" | "step.cancelled" => {
                let id = attempt_id().ok_or("a step event without step_id and attempt_number")?;
                let attempt = task.attempts.entry(id.clone()).or_default();
                text(fields, "step_name").unwrap_or_default().clone_into(&mut attempt.step_name);
                let key = (task_id.to_owned(), id);
                match name {
                    "step.execution_requested" => _ = open.step_requests.insert(key, fields.clone()),
                    "step.started" => {
                        attempt.is_started = true;
                        open.step_begins.insert(key, fields.clone());
                    }
                    _ if attempt.ended.is_some() => return Err("the attempt ended already".to_owned()),
                    _ => {
                        let (begin, request) = (open.step_begins.remove(&key), open.step_requests.remove(&key));
                        attempt.ended = Some(Ended::new(fields, begin, request)?);
                    }
                }
            }
            _ => {
                let is_system = ["task.", "step.", "workflow.", "observability."].iter().any(|p| name.starts_with(p));
                if (!is_system || name == "step.retry_requested")
                    && let Some(id) = attempt_id()
                {
                    open.others.push((task_id.to_owned(), id, fields.clone()));
                }
            }
        }
        Ok(())
    }

    /// They may come before or after the end of the attempt they belong to.
    fn put_others(&mut self, open: Open) {
        for (task_id, id, fields) in open.others {
            let attempt = self.tasks.get_mut(&task_id).and_then(|task| task.attempts.get_mut(&id));
            if let Some(ended) = attempt.and_then(|attempt| attempt.ended.as_mut()) {
                ended.others.push(fields);
            }
        }
    }
}

/// What has begun and not ended, while the events are read.
#[derive(Debug, Default)]
struct Open {
    task_requests: HashMap<String, Fields>,
    task_begins: HashMap<String, Fields>,
    step_requests: HashMap<(String, AttemptId), Fields>,
    step_begins: HashMap<(String, AttemptId), Fields>,
    others: Vec<(String, AttemptId, Fields)>,
}

impl Ended {
    fn new(fields: &Fields, begin: Option<Fields>, request: Option<Fields>) -> Result<Self, String> {
        let end = match text(fields, "event").and_then(|name| name.rsplit_once('.')) {
            Some((_, "completed")) => End::Completed,
            Some((_, "failed")) => End::Failed,
            _ => End::Cancelled,
        };
        let started_at = time(fields, "started_at").or_else(|| time(begin.as_ref()?, "started_at"));
        let completed_at = time(fields, "completed_at").or_else(|| time(fields, "timestamp"));
        let completed_at = completed_at.ok_or("neither completed_at nor timestamp")?;
        Ok(Self { end, started_at, completed_at, event: fields.clone(), begin, request, others: Vec::new() })
    }
}

pub(super) fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Json::as_str)
}

/// A time of an event, in nanoseconds since 1970.
pub(super) fn time(fields: &Fields, name: &str) -> Option<u64> {
    let time: Timestamp = text(fields, name)?.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}
