//! The live view: one line an event, as it happens; or the event as JSON.

use std::cell::Cell;
use std::io::{self, Write as _};
use std::sync::mpsc::Sender;

use tasker_telemetry::prelude::*;

use crate::paint::{Paint, clip, duration, pad};
use crate::seen::Seen;

/// Sees every event, prints it, and keeps it for the views that come at the end.
#[derive(Subscriber)]
#[subscribe("*")]
#[subscriber(manual)]
pub(crate) struct Live {
    output: Output,
    journal: Sender<Seen>,
    /// When the first event happened.
    beginning: Cell<Option<f64>>,
}

/// What standard output is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Output {
    /// People.
    Lines(Paint),
    /// Programs: one JSON object a line.
    Json,
    /// Something else.
    Silent,
}

impl Live {
    pub(crate) const fn new(output: Output, journal: Sender<Seen>) -> Self {
        Self { output, journal, beginning: Cell::new(None) }
    }

    fn handle_event(&self, event: &EventRecord) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        match self.output {
            Output::Json => {
                serde_json::to_writer(&mut stdout, event)?;
                stdout.write_all(b"\n")
            }
            Output::Silent => Ok(()),
            Output::Lines(paint) => {
                let seen = Seen::from(event);
                let beginning = self.beginning.get().unwrap_or(seen.at);
                self.beginning.set(Some(beginning));
                let line = line(&seen, seen.at - beginning, paint);
                let _ = self.journal.send(seen); // nobody keeps it: then it is not missed either
                writeln!(stdout, "{line}")
            }
        }
    }
}

/// `  1.204s ORD-1003 step.failed                charge            2/5 250 ms no answer from the gateway`
///
/// What belongs to no attempt begins where the step would stand.
fn line(seen: &Seen, since: f64, paint: Paint) -> String {
    let name = pad(seen.name(), 26);
    let name = match seen.name() {
        "task.completed" => paint.bold(paint.green(name)),
        "task.failed" => paint.bold(paint.red(name)),
        "step.completed" => paint.green(name),
        "step.failed" | "step.max_retries_reached" => paint.red(name),
        "step.retry_requested" | "step.cancelled" | "task.cancelled" => paint.yellow(name),
        "task.initialize_requested" => paint.bold(name),
        system if is_system(system) => paint.dim(name),
        _ => paint.magenta(name),
    };
    let place = match seen.text("step_name") {
        step if !step.is_empty() && is_system(seen.name()) => {
            let attempt = format!("{}/{}", seen.count("attempt_number"), seen.count("retry_limit"));
            format!("{} {} ", pad(step, 17), pad(&attempt, 3))
        }
        _ => String::new(),
    };
    let since = paint.dim(format_args!("{since:7.3}s"));
    let line = format!("{since} {} {name} {place}{}", pad(seen.task_id(), 8), detail(seen));
    line.trim_end().to_owned()
}

/// What else there is to say. Routine is kept short; what failed is told in full.
fn detail(seen: &Seen) -> String {
    let took = || duration(seen.number("execution_duration"));
    let joined = |values: Vec<String>| values.join(" · ");
    match seen.name() {
        "task.initialize_requested" => clip(&joined(seen.values("context")), 55),
        "task.completed" => format!("{}, {} steps", took(), seen.count("total_steps")),
        "task.failed" => {
            let cause = seen.first("error_chain");
            let separator = if cause.is_empty() { "" } else { ": " };
            format!("{} {}{separator}{cause}", took(), seen.text("error_message"))
        }
        "step.execution_requested" => clip(&joined(seen.values("step_inputs")), 33),
        "step.started" if seen.number("queue_time") >= 0.000_5 => {
            format!("waited {} for a place", duration(seen.number("queue_time")))
        }
        "step.completed" => took(),
        "step.failed" => format!("{} {}", took(), seen.text("error_message")),
        "step.retry_requested" => {
            format!("in {} ({})", duration(seen.number("backoff_seconds")), seen.text("backoff_strategy"))
        }
        "step.max_retries_reached" => "given up".to_owned(),
        "step.cancelled" | "task.cancelled" => seen.text("reason").to_owned(),
        system if is_system(system) => String::new(),
        _ => joined(seen.payload()),
    }
}

fn is_system(event: &str) -> bool {
    ["task.", "step.", "workflow.", "observability."].iter().any(|namespace| event.starts_with(namespace))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(event: serde_json::Value) -> String {
        line(&Seen::new(0.0, event), 1.204, Paint { is_on: false })
    }

    #[test]
    fn a_failed_attempt_tells_everything() {
        let text = plain(json!({
            "event": "step.failed", "task_id": "ORD-1003", "step_name": "charge", "attempt_number": 2, "retry_limit": 5,
            "execution_duration": 0.25, "error_message": "no answer from the gateway",
        }));
        let words =
            "  1.204s ORD-1003 step.failed                charge            2/5 250 ms no answer from the gateway";
        assert_eq!(text, words);
    }

    #[test]
    fn lines_have_no_spaces_at_the_end_and_columns_stand_below_each_other() {
        let started = plain(json!({"event": "task.start_requested", "task_id": "ORD-1"}));
        assert_eq!(started, "  1.204s ORD-1    task.start_requested");
        let custom = plain(
            json!({"event": "payment.risk_flagged", "task_id": "ORD-1", "card_number": "[FILTERED]", "risk_score": 0.5, "event_id": "x"}),
        );
        assert!(custom.ends_with(" payment.risk_flagged       [FILTERED] · risk_score=0.5"), "{custom}");
    }
}
