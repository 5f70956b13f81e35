//! What is shown at the end. The numbers are counted from the events: they agree with what was printed before.

use std::collections::BTreeMap;

use tasker_telemetry::state::State;
use tasker_telemetry::trace::Waterfall;

use crate::history::{End, StepRun, TaskRun};
use crate::paint::{Paint, cell, duration};

/// The tasks that deserve a closer look, each under its title: the slowest, a failed one, a retried one.
pub(crate) fn remarkable(tasks: &[Waterfall]) -> Vec<(&'static str, &Waterfall)> {
    let mut chosen: Vec<(&'static str, &Waterfall)> = Vec::new();
    let title = if tasks.len() == 1 { "Only:" } else { "Slowest:" };
    chosen.extend(slowest(tasks).map(|task| (title, task)));
    let with = |title, end| {
        let is_new = |task: &&Waterfall| chosen.iter().all(|(_, seen)| !std::ptr::eq(*seen, *task));
        let found = tasks.iter().filter(|task| task.status() == end).filter(is_new);
        found.max_by_key(|task| (task.retries(), task.steps())).map(|task| (title, task))
    };
    let failed = with("Failed:", State::Error);
    let retried = with("Retried:", State::Complete).filter(|(_, task)| task.retries() > 0);
    chosen.extend(failed.into_iter().chain(retried));
    chosen
}

/// The task that took longest.
pub(crate) fn slowest(tasks: &[Waterfall]) -> Option<&Waterfall> {
    tasks.iter().max_by_key(|task| task.duration())
}

/// How the tasks ended, and what the steps did.
pub(crate) fn tables(tasks: &[TaskRun], paint: Paint) -> String {
    let ended = |end| tasks.iter().filter(|task| task.end == Some(end)).count().to_string();
    let mut lines = vec![
        paint.bold("tasks        number"),
        format!("completed    {:>6}", ended(End::Completed)),
        format!("failed       {:>6}", ended(End::Failed)),
        format!("cancelled    {:>6}", ended(End::Cancelled)),
        String::new(),
        paint.bold(format_args!(
            "{}{:>6}{:>6}{:>17}{:>9}{:>10}{:>10}{:>10}{:>10}",
            cell("step", 20),
            "runs",
            "ok",
            "failed attempts",
            "retries",
            "given up",
            "p50",
            "p95",
            "max"
        )),
    ];
    let mut steps: BTreeMap<&str, StepRow> = BTreeMap::new();
    for step in tasks.iter().flat_map(|task| &task.steps) {
        steps.entry(&step.name).or_default().add(step);
    }
    lines.extend(steps.into_iter().map(|(name, row)| row.line(name, paint)));
    lines.push(paint.dim("Durations are those of single attempts, without waits."));
    lines.join("\n")
}

/// What all runs of one step add up to.
#[derive(Debug, Default)]
struct StepRow {
    runs: usize,
    ok: usize,
    failed_attempts: usize,
    retries: usize,
    given_up: usize,
    durations: Vec<f64>,
}

impl StepRow {
    fn add(&mut self, step: &StepRun) {
        let ended = |end| step.attempts.iter().filter(|attempt| attempt.end == Some(end)).count();
        self.runs += 1;
        self.ok += ended(End::Completed);
        self.failed_attempts += ended(End::Failed);
        self.retries += step.attempts.iter().filter(|attempt| attempt.retried).count();
        self.given_up += usize::from(step.gave_up);
        self.durations
            .extend(step.attempts.iter().filter(|attempt| attempt.end.is_some()).map(|attempt| attempt.duration));
    }

    fn line(mut self, name: &str, paint: Paint) -> String {
        self.durations.sort_by(f64::total_cmp);
        let [p50, p95, max] =
            [50, 95, 100].map(|percent| quantile(&self.durations, percent).map_or("-".to_owned(), duration));
        let numbers = format!("{:>6}{:>6}", self.runs, self.ok);
        let failed = format!("{:>17}", self.failed_attempts);
        let retries = format!("{:>9}", self.retries);
        let given_up = format!("{:>10}", self.given_up);
        let noted = |text: String, count: usize, paint: fn(Paint, String) -> String, on: Paint| {
            if count == 0 { on.dim(text) } else { paint(on, text) }
        };
        format!(
            "{}{numbers}{}{}{}{p50:>10}{p95:>10}{max:>10}",
            cell(name, 20),
            noted(failed, self.failed_attempts, Paint::red, paint),
            noted(retries, self.retries, Paint::yellow, paint),
            noted(given_up, self.given_up, Paint::red, paint),
        )
    }
}

/// The smallest value that at least so many percent do not exceed.
fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The tasks that failed: in which step, and why.
pub(crate) fn failures(tasks: &[TaskRun], paint: Paint) -> String {
    let failed: Vec<_> = tasks.iter().filter(|task| task.end == Some(End::Failed)).collect();
    let mut lines = vec![paint.bold(format_args!("{}{}error", cell("failed", 12), cell("in step", 19)))];
    for task in &failed {
        let culprits = task.steps.iter().filter(|step| step.end() == Some(End::Failed));
        for (index, step) in culprits.enumerate() {
            let id = if index == 0 { task.id.as_str() } else { "" };
            let error = step.attempts.last().map(|attempt| (short(&attempt.error_class), attempt.error.as_str()));
            let (class, message) = error.unwrap_or_default();
            lines.push(format!("{}{}{}{message}", cell(id, 12), cell(&step.name, 19), paint.red(cell(class, 28))));
        }
    }
    lines.join("\n")
}

/// The last two parts of a type's path: `PaymentError::Declined`.
pub(crate) fn short(class: &str) -> &str {
    class.rmatch_indices("::").nth(1).map_or(class, |(at, separator)| &class[at + separator.len()..])
}

#[cfg(test)]
mod tests {
    use tasker_telemetry::prelude::*;
    use tasker_telemetry::trace::InMemorySpans;

    use super::*;
    use crate::history::{histories, samples};

    #[test]
    fn the_table_counts_runs_attempts_and_retries() {
        let text = tables(&histories(&samples::retried()), Paint { is_on: false });
        let row = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("completed"), "1");
        assert_eq!(row("failed"), "0");
        assert_eq!(row("charge"), "1 1 1 1 0 300 ms 400 ms 400 ms");
        assert_eq!(row("fetch_cart"), "1 1 0 0 0 100 ms 100 ms 100 ms");
        assert!(text.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([50, 95, 100].map(|percent| quantile(&hundred, percent)), [Some(50.0), Some(95.0), Some(100.0)]);
        assert_eq!(quantile(&[7.0], 50), Some(7.0));
        assert_eq!(quantile(&[], 50), None);
    }

    #[test]
    fn classes_are_shortened_to_type_and_variant() {
        assert_eq!(short("order_process::domain::PaymentError::Timeout"), "PaymentError::Timeout");
        assert_eq!(short("panic"), "panic");
    }

    #[test]
    fn one_task_is_not_shown_twice() {
        #[step(retry_limit = 2, backoff = Backoff::fixed().base(std::time::Duration::ZERO))]
        fn flaky(fails: bool) -> Result<(), String> {
            let first = StepScope::current().is_some_and(|step| step.attempt_number() == 1);
            if first && fails { Err("no".to_owned()) } else { Ok(()) }
        }
        #[task(id = id)]
        fn order(id: &str, wait: u64, retries: bool, fails: bool) -> Result<(), String> {
            std::thread::sleep(std::time::Duration::from_millis(wait));
            flaky(retries)?;
            if fails { Err("no".to_owned()) } else { Ok(()) }
        }
        let spans = InMemorySpans::default();
        let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone()).build().unwrap();
        let chosen = || {
            telemetry.flush_blocking().unwrap();
            let tasks = Waterfall::of(&spans.spans());
            remarkable(&tasks)
                .into_iter()
                .map(|(title, task)| format!("{title} {}", task.task_id()))
                .collect::<Vec<_>>()
        };
        assert!(chosen().is_empty());
        let _ = telemetry.in_scope(|| order("A", 50, true, true));
        assert_eq!(chosen(), ["Only: A"]);
        let _ = telemetry.in_scope(|| order("B", 0, false, false));
        assert_eq!(chosen(), ["Slowest: A"]);
        let _ = telemetry.in_scope(|| order("C", 0, true, false));
        let _ = telemetry.in_scope(|| order("D", 0, false, true));
        assert_eq!(chosen(), ["Slowest: A", "Failed: D", "Retried: C"]);
    }
}
