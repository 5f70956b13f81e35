//! From records to rows: what a batch of events makes of tasks, steps, attempts, errors and transitions.
//!
//! The events of one batch are folded: a step that was asked for, started and completed in one batch is one row, written once.
//! Whatever an event changes, in whatever tables, stands in the same batch, and a batch is one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::event::EventKind;
use crate::id;
use crate::lifecycle::TaskCore;
use crate::publisher::{Fact, Record, StepPlace};
use crate::state::State;
use crate::value::Value;

/// Rows to be written in one transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// One row a task; several times one after the other where a task was begun again within the batch.
    pub(super) tasks: Vec<Vec<TaskRow>>,
    pub(super) steps: Vec<StepRow>,
    pub(super) attempts: Vec<AttemptRow>,
    pub(super) errors: Vec<ErrorRow>,
    pub(super) transitions: Vec<TransitionRow>,
}

#[derive(Debug, Serialize)]
pub(super) struct TaskRow {
    #[serde(serialize_with = "shared")]
    task_id: Arc<str>,
    task_name: &'static str,
    state: State,
    run_key: Option<String>,
    #[serde(serialize_with = "shared")]
    correlation_id: Arc<str>,
    context: Option<String>,
    carrier: Option<String>,
    #[serde(serialize_with = "shared")]
    worker_id: Arc<str>,
    created_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    updated_at: i64,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct StepRow {
    step_id: String,
    #[serde(serialize_with = "shared")]
    task_id: Arc<str>,
    step_name: &'static str,
    state: State,
    attempts: u32,
    retry_limit: u32,
    inputs: Option<String>,
    created_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    retry_at: Option<i64>,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct AttemptRow {
    step_id: String,
    attempt: u32,
    #[serde(serialize_with = "shared")]
    task_id: Arc<str>,
    step_name: &'static str,
    state: State,
    requested_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    queue_nanos: Option<i64>,
    duration_nanos: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(super) struct ErrorRow {
    event_id: String,
    #[serde(serialize_with = "shared")]
    task_id: Arc<str>,
    step_id: Option<String>,
    step_name: Option<&'static str>,
    attempt: Option<u32>,
    occurred_at: i64,
    error_class: String,
    error_type: &'static str,
    error_message: String,
    error_chain: String,
    backtrace: String,
    retryable: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct TransitionRow {
    event_id: String,
    #[serde(serialize_with = "shared")]
    task_id: Arc<str>,
    step_id: Option<String>,
    attempt: Option<u32>,
    event: &'static str,
    from_state: Option<State>,
    to_state: Option<State>,
    occurred_at: i64,
    number: u32,
    part: String,
    #[serde(serialize_with = "shared")]
    worker_id: Arc<str>,
    reason: Option<String>,
}

fn shared<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// Folds the records of a batch, in their order.
pub(super) fn fold<'a>(records: impl IntoIterator<Item = &'a Record>, worker_id: &Arc<str>) -> Batch {
    let mut fold = Fold { worker_id, batch: Batch::default(), tasks: HashMap::new(), steps: HashMap::new() };
    for record in records {
        if let Some(task) = &record.task {
            fold.add(record, task);
        }
    }
    fold.batch
}

struct Fold<'a> {
    worker_id: &'a Arc<str>,
    batch: Batch,
    /// Where the row of each task stands.
    tasks: HashMap<Arc<str>, (usize, usize)>,
    steps: HashMap<(u64, u32), StepAt>,
}

/// Where the rows of a step stand.
struct StepAt {
    row: usize,
    attempts: HashMap<u32, usize>,
}

impl Fold<'_> {
    fn add(&mut self, record: &Record, task: &Arc<TaskCore>) {
        let at = nanos(record.at.as_unix_nanos());
        let (from, to) = transition(record);
        let step_id = record.step.map(|place| id::text(id::step_id(task.nonce(), place.number)));
        let event_id = id::text(id::event_id(record.at, task.nonce(), record.sequence));
        self.task(record, task, at, to);
        if let (Some(place), Some(step_id)) = (record.step, &step_id) {
            self.step(record, task, place, step_id, at, to);
        }
        let step = record.step.map(|place| (place, step_id.clone().unwrap_or_default()));
        self.error(record, task, step, &event_id, at);
        self.batch.transitions.push(TransitionRow {
            event_id,
            task_id: Arc::clone(task.id().text()),
            step_id,
            attempt: record.step.map(|place| place.attempt),
            event: record.kind.name(),
            from_state: to.and(from),
            to_state: to,
            occurred_at: at,
            number: record.sequence,
            part: part(task.nonce()),
            worker_id: Arc::clone(self.worker_id),
            reason: reason(record).map(clean),
        });
    }

    /// Every event says that there is such a task, and who runs it: its row does not depend on its first event.
    fn task(&mut self, record: &Record, task: &Arc<TaskCore>, at: i64, to: Option<State>) {
        let task_id = task.id().text();
        // A task that came from elsewhere belongs to the run that began there.
        let key = task.origin().map_or_else(|| Some(task.nonce()), |origin| origin.seed);
        let run_key = key.map(part);
        let found = self.tasks.get(task_id).copied();
        let same = found.filter(|&(wave, row)| {
            run_key.is_none()
                || self.batch.tasks[wave][row].run_key.as_ref().is_none_or(|key| Some(key) == run_key.as_ref())
        });
        let (wave, row) = same.unwrap_or_else(|| {
            let wave = found.map_or(0, |(wave, _)| wave + 1);
            if self.batch.tasks.len() == wave {
                self.batch.tasks.push(Vec::new());
            }
            self.batch.tasks[wave].push(TaskRow {
                task_id: Arc::clone(task_id),
                task_name: task.name(),
                state: State::InProgress,
                run_key: run_key.clone(),
                correlation_id: Arc::clone(task.correlation_id()),
                context: None,
                carrier: None,
                worker_id: Arc::clone(self.worker_id),
                created_at: at,
                started_at: None,
                ended_at: None,
                updated_at: at,
                reason: None,
            });
            let place = (wave, self.batch.tasks[wave].len() - 1);
            self.tasks.insert(Arc::clone(task_id), place);
            place
        });
        let row = &mut self.batch.tasks[wave][row];
        row.updated_at = at;
        row.run_key = row.run_key.take().or(run_key);
        if record.step.is_some() {
            return;
        }
        row.state = to.unwrap_or(row.state);
        match record.kind {
            EventKind::TaskInitializeRequested => {
                row.context = Some(text(&Json::Object(task.context().into_iter().collect())));
                row.carrier = serde_json::to_string(&task.carrier()).ok();
            }
            EventKind::TaskStartRequested => row.started_at = Some(at),
            _ => {}
        }
        if let Fact::TaskEnded(end) = &record.fact {
            row.started_at = Some(nanos(end.started_at.as_unix_nanos()));
        }
        if to.is_some_and(is_end) {
            row.ended_at = Some(at);
            row.reason = reason(record).map(clean);
        }
    }

    fn step(
        &mut self,
        record: &Record,
        task: &Arc<TaskCore>,
        place: StepPlace,
        step_id: &str,
        at: i64,
        to: Option<State>,
    ) {
        let batch = &mut self.batch;
        let found = self.steps.entry((task.nonce(), place.number)).or_insert_with(|| {
            batch.steps.push(StepRow {
                step_id: step_id.to_owned(),
                task_id: Arc::clone(task.id().text()),
                step_name: place.spec.name,
                // What a record that changes nothing says of it: it comes after the failure of the last attempt.
                state: to.unwrap_or(if record.kind == EventKind::StepExecutionRequested {
                    State::Pending
                } else {
                    State::Error
                }),
                attempts: place.attempt,
                retry_limit: place.spec.retry_limit.max(1),
                inputs: None,
                created_at: at,
                started_at: None,
                ended_at: None,
                retry_at: None,
                reason: None,
            });
            StepAt { row: batch.steps.len() - 1, attempts: HashMap::new() }
        });
        let row = &mut batch.steps[found.row];
        row.state = to.unwrap_or(row.state);
        row.attempts = row.attempts.max(place.attempt);
        row.ended_at = is_end(row.state).then_some(at);
        row.retry_at = None;
        row.reason = reason(record).map(clean);
        match (record.kind, &record.fact) {
            (_, Fact::Inputs(inputs)) => row.inputs = Some(text(&named(place.spec.fields, inputs))),
            (EventKind::StepStarted, _) => row.started_at = row.started_at.or(Some(at)),
            (EventKind::StepRetryRequested, Fact::Wait { wait_nanos, .. }) => {
                row.retry_at = Some(at.saturating_add(nanos(*wait_nanos)));
            }
            _ => {}
        }
        // A wait belongs to the attempt that failed, which has ended.
        if matches!(record.kind, EventKind::StepRetryRequested | EventKind::StepMaxRetriesReached) {
            return;
        }
        let attempt = *found.attempts.entry(place.attempt).or_insert_with(|| {
            batch.attempts.push(AttemptRow {
                step_id: step_id.to_owned(),
                attempt: place.attempt,
                task_id: Arc::clone(task.id().text()),
                step_name: place.spec.name,
                state: State::Pending,
                requested_at: at,
                started_at: None,
                ended_at: None,
                queue_nanos: None,
                duration_nanos: None,
            });
            batch.attempts.len() - 1
        });
        let row = &mut batch.attempts[attempt];
        row.state = to.unwrap_or(State::Pending);
        row.ended_at = is_end(row.state).then_some(at);
        match record.fact {
            Fact::Started { queue_nanos } => {
                row.started_at = Some(at);
                row.queue_nanos = Some(nanos(queue_nanos));
            }
            Fact::Completed { nanos: took, queue_nanos, .. } | Fact::Failed { nanos: took, queue_nanos, .. } => {
                row.ended(at, took, queue_nanos);
            }
            Fact::Cancelled { nanos: took, queue_nanos, ran: true, .. } => row.ended(at, took, queue_nanos),
            _ => {}
        }
    }

    fn error(&mut self, record: &Record, task: &TaskCore, step: Option<(StepPlace, String)>, event_id: &str, at: i64) {
        let failure = match (&record.fact, record.kind) {
            (Fact::Failed { failure, .. }, _) => failure,
            (Fact::TaskEnded(end), EventKind::TaskFailed) => match &end.failure {
                Some(failure) => failure,
                None => return,
            },
            _ => return,
        };
        self.batch.errors.push(ErrorRow {
            event_id: event_id.to_owned(),
            task_id: Arc::clone(task.id().text()),
            step_name: step.as_ref().map(|(place, _)| place.spec.name),
            attempt: step.as_ref().map(|(place, _)| place.attempt),
            step_id: step.map(|(_, step_id)| step_id),
            occurred_at: at,
            error_class: clean(failure.class.clone()),
            error_type: failure.error_type(),
            error_message: clean(failure.message.clone()),
            error_chain: text(&Json::from(failure.chain.clone())),
            backtrace: text(&Json::from(failure.backtrace().to_vec())),
            retryable: failure.retryable,
        });
    }
}

impl AttemptRow {
    fn ended(&mut self, at: i64, took: u64, queue_nanos: u64) {
        self.started_at = Some(at.saturating_sub(nanos(took)));
        self.duration_nanos = Some(nanos(took));
        self.queue_nanos = Some(nanos(queue_nanos));
    }
}

/// The states before and after; `None` for an event that changes none.
fn transition(record: &Record) -> (Option<State>, Option<State>) {
    use State::{Cancelled, Complete, Error, InProgress, Pending, ResolvedManually};
    let (from, to) = match record.kind {
        EventKind::TaskInitializeRequested => (None, Some(Pending)),
        EventKind::StepExecutionRequested => {
            // Later attempts became pending when they were asked for.
            (None, record.step.is_some_and(|place| place.attempt == 1).then_some(Pending))
        }
        EventKind::TaskStartRequested | EventKind::StepStarted => (Some(Pending), Some(InProgress)),
        EventKind::TaskCompleted | EventKind::StepCompleted => (Some(InProgress), Some(Complete)),
        EventKind::TaskFailed | EventKind::StepFailed => (Some(InProgress), Some(Error)),
        EventKind::TaskRetryRequested | EventKind::StepRetryRequested => (Some(Error), Some(Pending)),
        EventKind::TaskResolvedManually | EventKind::StepResolvedManually => (Some(Error), Some(ResolvedManually)),
        EventKind::TaskCancelled => (Some(InProgress), Some(Cancelled)),
        EventKind::StepCancelled => {
            let ran = matches!(record.fact, Fact::Cancelled { ran: true, .. });
            (Some(if ran { InProgress } else { Pending }), Some(Cancelled))
        }
        _ => (None, None),
    };
    (from, to)
}

const fn is_end(state: State) -> bool {
    !matches!(state, State::Pending | State::InProgress)
}

fn reason(record: &Record) -> Option<String> {
    match &record.fact {
        Fact::Cancelled { reason, .. } => Some(reason.as_str().to_owned()),
        Fact::TaskEnded(end) => end.reason.as_deref().map(str::to_owned),
        Fact::Wait { failure, .. } => Some(failure.message.clone()),
        _ => None,
    }
}

fn named(names: &[&'static str], values: &[Value]) -> Json {
    let fields: Map<String, Json> =
        names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.to_json())).collect();
    Json::Object(fields)
}

/// As it stands in a column of JSON.
fn text(json: &Json) -> String {
    let text = json.to_string();
    // A zero stands as an escape there; `PostgreSQL` takes none in any form.
    if text.contains("\\u0000") { text.replace("\\u0000", "\\ufffd") } else { text }
}

/// The texts of `PostgreSQL` can hold every character but this.
fn clean(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// How the part of a task's life that one process runs is called.
pub(super) fn part(nonce: u64) -> String {
    format!("{nonce:016x}")
}

pub(super) fn nanos(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}
