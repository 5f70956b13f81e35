//! From spans to what is drawn: a task, its steps, their attempts, and which steps ran inside which.
//!
//! All texts are made harmless here: behind this module nothing knows what came from where.

use std::collections::HashMap;

use super::paint::{clip, harmless};
use crate::publisher::Fact;
use crate::state::State;
use crate::time::Timestamp;
use crate::trace::span::visit_context;
use crate::trace::{Span, SpanId, TraceId};
use crate::value::Value;

/// The most cells of a text that is shown whole, such as an error's message.
const LONGEST_TEXT: usize = 200;

/// One run of a task.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) trace: TraceId,
    /// As the program has it; not for a terminal.
    pub(super) id: String,
    pub(super) name: String,
    /// The task's `fields(..)`.
    pub(super) context: Vec<String>,
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
    /// [`State::InProgress`] when its own span is not there.
    pub(super) state: State,
    pub(super) handed_over: bool,
    pub(super) error: String,
    pub(super) steps: Vec<Step>,
    /// How many steps it had, whether they are here or not.
    pub(super) total_steps: u64,
}

/// One step of a task.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) name: String,
    /// The first of the step's `fields(..)`.
    pub(super) input: Option<String>,
    /// In their order; never empty.
    pub(super) attempts: Vec<Attempt>,
    /// The step, and its attempt, that it ran in: both as places in their lists.
    pub(super) within: Option<(usize, usize)>,
}

/// One attempt of a step.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) number: u32,
    /// When it asked to run.
    pub(super) asked: Timestamp,
    /// When its body began.
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
    pub(super) state: State,
    /// Another attempt followed, or was to.
    pub(super) retried: bool,
    /// The last part of the error's class: `Timeout`.
    pub(super) class: String,
}

impl Step {
    /// How the step ended, as far as its attempts tell.
    pub(super) fn state(&self) -> State {
        match self.attempts.last() {
            Some(last) if !last.retried => last.state,
            _ => State::InProgress,
        }
    }

    /// The wait that came after that attempt, if the one that followed is there.
    pub(super) fn backoff_after(&self, attempt: usize) -> Option<(Timestamp, Timestamp)> {
        let (one, next) = (self.attempts.get(attempt)?, self.attempts.get(attempt + 1)?);
        (next.number == one.number + 1).then_some((one.end, next.asked.max(one.end)))
    }
}

/// One run of a task that spans belong to.
pub(in crate::trace) type RunKey = (TraceId, SpanId);

/// The runs that the spans tell of, in the order in which they began.
pub(super) fn tasks(spans: &[Span]) -> Vec<Task> {
    let mut runs: Vec<Vec<&Span>> = Vec::new();
    let mut places: HashMap<RunKey, usize> = HashMap::new();
    for span in spans {
        let place = *places.entry(span.run_key()).or_insert(runs.len());
        match runs.get_mut(place) {
            Some(run) => run.push(span),
            None => runs.push(vec![span]),
        }
    }
    let mut tasks: Vec<Task> = runs.iter().filter_map(|run| task(run)).collect();
    tasks.sort_by_key(|task| task.begin);
    tasks
}

fn task(spans: &[&Span]) -> Option<Task> {
    let root = spans.iter().find(|span| span.is_root());
    let core = root.or(spans.first())?.task()?;
    let steps = steps(spans);
    let attempts = || steps.iter().flat_map(|step| &step.attempts);
    let begin = root.map(|root| root.start()).or_else(|| attempts().map(|attempt| attempt.asked).min());
    let end = root.map(|root| root.end()).or_else(|| attempts().map(|attempt| attempt.end).max());
    let total_steps = match root.map(|root| &root.record.fact) {
        Some(Fact::TaskEnded(end)) => end.total_steps,
        _ => 0,
    };
    let mut context = Vec::new();
    visit_context(core, &mut |name, value| context.push(readable(name, &value.to_value())));
    Some(Task {
        trace: core.trace_id(),
        id: core.id().as_str().to_owned(),
        name: core.name().to_owned(),
        context,
        begin: begin.unwrap_or_default(),
        end: end.unwrap_or_default(),
        state: root.map_or(State::InProgress, |root| state(root)),
        handed_over: core.is_handed_over(),
        error: root
            .and_then(|root| root.failure())
            .map_or_else(String::new, |failure| shown(&failure.message, LONGEST_TEXT)),
        total_steps,
        steps,
    })
}

/// The steps, in the order in which they asked to run.
fn steps(spans: &[&Span]) -> Vec<Step> {
    let mut found: HashMap<String, Vec<(&Span, Told)>> = HashMap::new();
    for span in spans.iter().filter(|span| !span.is_root() && !span.is_call()) {
        let told = Told::of(span);
        found.entry(told.step_id.clone()).or_default().push((span, told));
    }
    let mut found: Vec<Vec<(&Span, Told)>> = found.into_values().collect();
    for attempts in &mut found {
        attempts.sort_by_key(|(_, told)| told.attempt.number);
        attempts.dedup_by_key(|(span, _)| span.span_id());
    }
    // Of those that asked at the same time, the one that is the first by its number, where there is one.
    found.sort_by_cached_key(|attempts| {
        let asked = attempts.iter().map(|(_, told)| told.attempt.asked).min();
        attempts
            .first()
            .map(|(span, told)| (asked, span.record.step.map_or(u32::MAX, |place| place.number), told.step_id.clone()))
    });

    let mut places: HashMap<SpanId, (usize, usize)> = HashMap::new();
    for (step, attempts) in found.iter().enumerate() {
        places.extend(attempts.iter().enumerate().map(|(attempt, (span, _))| (span.span_id(), (step, attempt))));
    }
    let step = |attempts: Vec<(&Span, Told)>| {
        let (span, told) = attempts.first()?;
        Some(Step {
            name: told.name.clone(),
            input: attempts.iter().find_map(|(_, told)| told.input.clone()),
            within: span.parent_span_id().and_then(|parent| places.get(&parent).copied()),
            attempts: attempts.into_iter().map(|(_, told)| told.attempt).collect(),
        })
    };
    found.into_iter().filter_map(step).collect()
}

/// What a span says of its attempt: by its attributes, since it may come from another process.
pub(super) struct Told {
    step_id: String,
    pub(super) name: String,
    input: Option<String>,
    pub(super) attempt: Attempt,
}

impl Told {
    pub(super) fn of(span: &Span) -> Self {
        let (mut step_id, mut name, mut input, mut number, mut queue) = (String::new(), String::new(), None, 1, 0.0);
        span.visit_attributes(&mut |key, value| match (key, value.to_value()) {
            ("tasker.step_id", Value::Str(text)) => step_id = text.into_owned(),
            ("tasker.step_name", Value::Str(text)) => name = shown(&text, LONGEST_TEXT),
            ("tasker.attempt_number", Value::I64(of)) => number = u32::try_from(of).unwrap_or(1),
            ("tasker.queue_time", Value::F64(seconds)) => queue = seconds,
            (key, value) if input.is_none() && !is_ours(key) => input = Some(readable(key, &value)),
            _ => {}
        });
        let Ending { ran, retried, class } = ending(span);
        let (begin, end) = if ran { (span.start(), span.end()) } else { (span.end(), span.end()) };
        // One that never ran waited for a place, or, after another attempt, for what was left of the backoff.
        let queue = if ran || number == 1 { nanos(queue) } else { 0 };
        let class = shown(class.rsplit("::").next().unwrap_or_default(), 60);
        let attempt = Attempt { number, asked: begin.before(queue), begin, end, state: state(span), retried, class };
        Self { step_id, name, input, attempt }
    }
}

/// The attributes that every span may have; others are of `fields(..)`.
fn is_ours(key: &str) -> bool {
    key.starts_with("tasker.") || key.starts_with("code.") || key == "error.type"
}

struct Ending {
    ran: bool,
    retried: bool,
    class: String,
}

fn ending(span: &Span) -> Ending {
    let class = span.failure().map_or_else(String::new, |failure| failure.class.clone());
    match &span.record.fact {
        Fact::Failed { retried, .. } => Ending { ran: true, retried: *retried, class },
        Fact::Cancelled { ran, .. } => Ending { ran: *ran, retried: false, class },
        Fact::Carried(_) => {
            let events = span.events();
            let has = |name: &str| events.iter().any(|event| event.name == name);
            let exception = events.iter().filter(|event| event.name == "exception");
            let mut types = exception.flat_map(|event| &event.attributes).filter(|(key, _)| key == "exception.type");
            let class = types.find_map(|(_, value)| match value {
                Value::Str(class) => Some(class.to_string()),
                _ => None,
            });
            Ending { ran: has("step.started"), retried: has("step.retry_requested"), class: class.unwrap_or_default() }
        }
        _ => Ending { ran: true, retried: false, class },
    }
}

fn state(span: &Span) -> State {
    match span.status_parts() {
        (2, _) => State::Error,
        (1, _) => State::Complete,
        _ if span.attribute("tasker.cancel_reason").is_some() => State::Cancelled,
        _ => State::Complete,
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

/// Texts speak for themselves, other values need their name.
fn readable(name: &str, value: &Value) -> String {
    match value {
        Value::Str(text) => shown(text, LONGEST_TEXT),
        other => shown(&format!("{name}={}", other.to_json()), LONGEST_TEXT),
    }
}

/// The text on one line, without what a terminal obeys, and not too long.
pub(super) fn shown(text: &str, cells: usize) -> String {
    // What is cut is cut before it is looked at: a text may be long.
    let beginning: String = text.chars().take(8 * cells + 1).collect();
    clip(&harmless(&beginning), cells)
}

/// A small run, for the tests of this and other modules.
#[cfg(test)]
pub(super) mod samples {
    use super::*;

    pub(crate) fn at(seconds: f64) -> Timestamp {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
        Timestamp::from_unix_nanos(((1_000.0 + seconds) * 1e9).round() as u64)
    }

    pub(crate) fn attempt(number: u32, [asked, begin, end]: [f64; 3], class: &str) -> Attempt {
        let state = if class.is_empty() { State::Complete } else { State::Error };
        let [asked, begin, end] = [asked, begin, end].map(at);
        Attempt { number, asked, begin, end, state, retried: false, class: class.to_owned() }
    }

    pub(crate) fn step(name: &str, within: Option<(usize, usize)>, attempts: Vec<Attempt>) -> Step {
        Step { name: name.to_owned(), input: None, attempts, within }
    }

    /// One task with one step that needs two attempts, and one step that completes at once.
    pub(crate) fn retried() -> Task {
        let mut charge = vec![attempt(1, [0.1, 0.2, 0.5], "Timeout"), attempt(2, [0.6, 0.6, 1.0], "")];
        charge[0].retried = true;
        Task {
            trace: TraceId::from_bytes([7; 16]),
            id: "ORD-1".to_owned(),
            name: "order_process".to_owned(),
            context: vec!["佐藤 美咲".to_owned()],
            begin: at(0.0),
            end: at(1.0),
            state: State::Complete,
            handed_over: false,
            error: String::new(),
            steps: vec![step("fetch_cart", None, vec![attempt(1, [0.0, 0.0, 0.1], "")]), step("charge", None, charge)],
            total_steps: 2,
        }
    }
}
