//! From events to histories: what became of each task, its steps and their attempts. What the tables at the end count.

use crate::seen::Seen;

/// One task.
#[derive(Debug, Clone, Default)]
pub(crate) struct TaskRun {
    pub(crate) id: String,
    pub(crate) end: Option<End>,
    pub(crate) steps: Vec<StepRun>,
}

/// One step of a task.
#[derive(Debug, Clone, Default)]
pub(crate) struct StepRun {
    id: String,
    pub(crate) name: String,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) gave_up: bool,
}

/// One attempt of a step. Times are in seconds, as the events have them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt {
    number: u64,
    /// When its body began.
    begin: f64,
    pub(crate) duration: f64,
    pub(crate) end: Option<End>,
    pub(crate) error: String,
    pub(crate) error_class: String,
    /// Another attempt followed.
    pub(crate) retried: bool,
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Failed,
    Cancelled,
}

impl StepRun {
    pub(crate) fn end(&self) -> Option<End> {
        self.attempts.last().and_then(|attempt| attempt.end)
    }
}

/// The histories that the events tell, in the order in which the tasks were created.
pub(crate) fn histories(events: &[Seen]) -> Vec<TaskRun> {
    let mut tasks: Vec<TaskRun> = Vec::new();
    for event in events {
        let id = event.task_id();
        let index = tasks.iter().rposition(|task| task.id == id).unwrap_or_else(|| {
            tasks.push(TaskRun { id: id.to_owned(), ..TaskRun::default() });
            tasks.len() - 1
        });
        let task = &mut tasks[index];
        if event.name().starts_with("task.") {
            add_to_task(task, event);
        } else if !event.text("step_id").is_empty() {
            add_to_step(task, event);
        }
    }
    tasks
}

fn add_to_task(task: &mut TaskRun, event: &Seen) {
    let end = match event.name() {
        "task.completed" => End::Completed,
        "task.failed" => End::Failed,
        "task.cancelled" => End::Cancelled,
        _ => return,
    };
    task.end = Some(end);
}

fn add_to_step(task: &mut TaskRun, event: &Seen) {
    let id = event.text("step_id");
    let index = task.steps.iter().position(|step| step.id == id).unwrap_or_else(|| {
        let name = event.text("step_name").to_owned();
        task.steps.push(StepRun { id: id.to_owned(), name, ..StepRun::default() });
        task.steps.len() - 1
    });
    let step = &mut task.steps[index];
    let number = event.count("attempt_number");
    let index = step.attempts.iter().position(|attempt| attempt.number == number).unwrap_or_else(|| {
        step.attempts.push(Attempt { number, begin: event.at, ..Attempt::default() });
        step.attempts.len() - 1
    });
    let attempt = &mut step.attempts[index];
    let end = match event.name() {
        "step.started" => {
            attempt.begin = event.at;
            return;
        }
        "step.retry_requested" => {
            attempt.retried = true;
            return;
        }
        "step.max_retries_reached" => {
            step.gave_up = true;
            return;
        }
        "step.completed" => End::Completed,
        "step.failed" => End::Failed,
        "step.cancelled" => End::Cancelled,
        _ => return,
    };
    attempt.end = Some(end);
    attempt.duration = event.at - attempt.begin;
    event.text("error_message").clone_into(&mut attempt.error);
    event.text("error_class").clone_into(&mut attempt.error_class);
}

/// Events of a small run, for the tests of this and other modules.
#[cfg(test)]
pub(crate) mod samples {
    use serde_json::json;

    use crate::seen::Seen;

    /// One task with one step that needs two attempts, and one step that completes at once.
    pub(crate) fn retried() -> Vec<Seen> {
        let event = |at: f64, event: &str, step: &str, attempt: u64| {
            let mut json = json!({"event": event, "task_id": "ORD-1", "task_name": "order_process"});
            if !step.is_empty() {
                json["step_id"] = format!("id of {step}").into();
                json["step_name"] = step.into();
                json["attempt_number"] = attempt.into();
            }
            Seen::new(at, json)
        };
        let with = |mut json: serde_json::Value, at: f64, more: serde_json::Value| {
            json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Seen::new(at, json)
        };
        let failed = json!({"event": "step.failed", "task_id": "ORD-1", "step_id": "id of charge", "step_name": "charge", "attempt_number": 1});
        let again = json!({"event": "step.retry_requested", "task_id": "ORD-1", "step_id": "id of charge", "step_name": "charge", "attempt_number": 1});
        let requested = json!({"event": "task.initialize_requested", "task_id": "ORD-1", "task_name": "order_process"});
        vec![
            with(requested, 10.0, json!({"context": {"customer": "佐藤 美咲"}})),
            event(10.0, "task.start_requested", "", 0),
            event(10.0, "step.execution_requested", "fetch_cart", 1),
            event(10.0, "step.started", "fetch_cart", 1),
            event(10.1, "step.completed", "fetch_cart", 1),
            event(10.1, "step.execution_requested", "charge", 1),
            event(10.2, "step.started", "charge", 1),
            with(failed, 10.5, json!({"error_message": "no answer", "error_class": "shop::PaymentError::Timeout"})),
            with(again, 10.5, json!({"backoff_seconds": 0.1})),
            event(10.6, "step.execution_requested", "charge", 2),
            event(10.6, "step.started", "charge", 2),
            event(11.0, "step.completed", "charge", 2),
            event(11.0, "task.completed", "", 0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_has_steps_and_attempts() {
        let tasks = histories(&samples::retried());
        let [task] = &tasks[..] else { panic!("{tasks:?}") };
        assert_eq!((task.end, task.steps.len()), (Some(End::Completed), 2));
        let [first, second] = &task.steps[1].attempts[..] else { panic!() };
        assert_eq!((first.end, second.end), (Some(End::Failed), Some(End::Completed)));
        assert_eq!(first.error_class, "shop::PaymentError::Timeout");
        assert!((first.duration - 0.3).abs() < 1e-9);
        assert_eq!((first.retried, second.retried), (true, false));
    }

    #[test]
    fn a_task_whose_end_is_missing_is_still_shown() {
        let events = samples::retried();
        let tasks = histories(&events[..7]);
        assert_eq!(tasks[0].end, None);
        assert_eq!(tasks[0].steps[1].end(), None);
    }
}
