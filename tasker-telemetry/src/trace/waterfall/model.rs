//! From spans to what is drawn: a task, its steps, their attempts, and which steps ran inside which.
//!
//! All texts are made harmless here: behind this module nothing knows what came from where.

use std::collections::HashMap;

use super::paint::{clip, harmless};
use crate::publisher::Fact;
use crate::state::State;
use crate::time::Timestamp;
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
    let root = spans.iter().find(|span| span.record.step.is_none());
    let core = root.or(spans.first())?.task()?;
    let steps = steps(spans);
    let attempts = || steps.iter().flat_map(|step| &step.attempts);
    let begin = root.map(|root| root.start()).or_else(|| attempts().map(|attempt| attempt.asked).min());
    let end = root.map(|root| root.end()).or_else(|| attempts().map(|attempt| attempt.end).max());
    let total_steps = match root.map(|root| &root.record.fact) {
        Some(Fact::TaskEnded(end)) => end.total_steps,
        _ => 0,
    };
    let fields = core.field_names().iter().zip(core.fields());
    Some(Task {
        trace: core.trace_id(),
        id: core.id().as_str().to_owned(),
        name: core.name().to_owned(),
        context: fields.map(|(name, value)| readable(name, value)).collect(),
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
    /// The nonce of the task where the step ran, and the step's number there.
    type Place = (u64, u32);
    let mut found: HashMap<Place, Vec<&Span>> = HashMap::new();
    for span in spans {
        if let (Some(task), Some(place)) = (span.task(), span.record.step) {
            found.entry((task.nonce(), place.number)).or_default().push(span);
        }
    }
    let mut found: Vec<(Timestamp, Place, Vec<&Span>)> = found
        .into_iter()
        .map(|(place, mut attempts)| {
            attempts.sort_by_key(|span| span.record.step.map(|place| place.attempt));
            attempts.dedup_by_key(|span| span.span_id());
            let asked = attempts.iter().map(|span| attempt(span).asked).min().unwrap_or_default();
            (asked, place, attempts)
        })
        .collect();
    found.sort_by_key(|(asked, place, _)| (*asked, *place));

    let mut places: HashMap<SpanId, (usize, usize)> = HashMap::new();
    for (step, (.., attempts)) in found.iter().enumerate() {
        places.extend(attempts.iter().enumerate().map(|(attempt, span)| (span.span_id(), (step, attempt))));
    }
    let within = |attempts: &[&Span]| {
        let parent = attempts.first()?.record.step?.parent;
        places.get(&SpanId::of_u64(parent)?).copied()
    };
    let step = |(_, _, attempts): &(Timestamp, Place, Vec<&Span>)| Step {
        name: attempts.first().map_or_else(String::new, |span| name(span)),
        input: attempts.iter().find_map(|span| first_input(span)),
        attempts: attempts.iter().map(|span| attempt(span)).collect(),
        within: within(attempts),
    };
    found.iter().map(step).collect()
}

/// The step's name.
pub(super) fn name(span: &Span) -> String {
    span.record.step.map_or_else(String::new, |place| shown(place.spec.name, LONGEST_TEXT))
}

fn first_input(span: &Span) -> Option<String> {
    let name = span.record.step?.spec.fields.first()?;
    let inputs = match &span.record.fact {
        Fact::Completed { inputs, .. } | Fact::Cancelled { inputs, .. } => inputs.as_ref(),
        Fact::Failed { failure, .. } => failure.inputs.as_ref(),
        _ => None,
    };
    Some(readable(name, inputs?.first()?))
}

pub(super) fn attempt(span: &Span) -> Attempt {
    let (number, end) = (span.record.step.map_or(1, |place| place.attempt), span.end());
    let (begin, queue, retried) = match &span.record.fact {
        Fact::Failed { queue_nanos, retried, .. } => (span.start(), *queue_nanos, *retried),
        Fact::Completed { queue_nanos, .. } | Fact::Cancelled { queue_nanos, ran: true, .. } => {
            (span.start(), *queue_nanos, false)
        }
        // It never began. Its wait was for a place, or, after another attempt, what is left of the backoff.
        Fact::Cancelled { queue_nanos, ran: false, .. } => (end, if number > 1 { 0 } else { *queue_nanos }, false),
        _ => (span.start(), 0, false),
    };
    let class = span.failure().map_or("", |failure| failure.class.rsplit("::").next().unwrap_or_default());
    Attempt { number, asked: begin.before(queue), begin, end, state: state(span), retried, class: shown(class, 60) }
}

fn state(span: &Span) -> State {
    use crate::event::EventKind as Kind;
    match span.record.kind {
        Kind::StepCompleted | Kind::TaskCompleted => State::Complete,
        Kind::StepFailed | Kind::TaskFailed => State::Error,
        _ => State::Cancelled,
    }
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
