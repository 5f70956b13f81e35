//! A task as a waterfall of its steps, for people: what the console exporter prints.
//!
//! - `model.rs`: from spans to task, steps and attempts
//! - `draw.rs`: from those to lines; `paint.rs`: colour and columns

mod draw;
mod model;
mod paint;

use std::fmt;
use std::time::Duration;

pub(super) use self::model::RunKey;
use self::paint::{Paint, duration};
use crate::state::State;
use crate::time::Timestamp;
use crate::trace::{Span, TraceId};

/// One task as a waterfall: its steps, their attempts and the waits between them, with bars to scale.
///
/// ```text
/// ORD-1, completed after 1.00 s  佐藤 美咲
///                                                   │0        │200 ms   │400 ms   │600 ms   │800 ms
/// order_process                   ✓      0  1.00 s  ██████████████████████████████████████████████████
/// ├─ fetch_cart                   ✓      0  100 ms  █████
/// └─ charge                       ✓ 100 ms  900 ms       ·····▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓░░░░░████████████████████
///    ├─ attempt 1: Timeout        ✗ 100 ms  400 ms       ·····▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
///    │  wait                        500 ms  100 ms                           ░░░░░
///    └─ attempt 2                 ✓ 600 ms  400 ms                                ████████████████████
/// ```
///
/// The columns are the name, how it ended, when it began, and how long it took. A step that ran in another stands below it.
/// [`Builder::console`](crate::Builder::console) prints one of these for each task that ends.
///
/// ```
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::state::State;
/// use tasker_telemetry::trace::{InMemorySpans, Waterfall};
///
/// #[step(fields(id))]
/// fn fetch_cart(id: u64) {}
/// #[task(id = "ORD-1")]
/// fn order_process() { fetch_cart(7) }
///
/// let spans = InMemorySpans::default();
/// let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone()).build()?;
/// telemetry.in_scope(order_process);
/// telemetry.flush_blocking()?;
/// let waterfall = &Waterfall::of(&spans.spans())[0];
/// assert_eq!((waterfall.task_id(), waterfall.status()), ("ORD-1", State::Complete));
/// assert!(waterfall.render(false).contains("└─ fetch_cart id=7"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Waterfall {
    task: model::Task,
}

impl Waterfall {
    /// The tasks that the spans belong to, in the order in which they began. A task that ran twice is two.
    ///
    /// Of a task whose own span is not among them, because it is not over or went on elsewhere, the steps are shown.
    #[must_use]
    pub fn of(spans: &[Span]) -> Vec<Self> {
        model::tasks(spans).into_iter().map(|task| Self { task }).collect()
    }

    /// The waterfall as lines of at most a hundred cells (the first, which has the error, may be longer), without a line
    /// break at the end; with `color`, with escape sequences. Whatever names, fields and errors hold, no other character
    /// that a terminal obeys is among them.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        draw::draw(&self.task, Paint { is_on: color })
    }

    /// What the signs in the bars mean: one line.
    ///
    /// ```
    /// assert!(tasker_telemetry::trace::Waterfall::legend(false).starts_with("█ completed"));
    /// ```
    #[must_use]
    pub fn legend(color: bool) -> String {
        draw::legend(Paint { is_on: color })
    }

    /// The trace to look for in another backend.
    #[must_use]
    pub const fn trace_id(&self) -> TraceId {
        self.task.trace
    }

    /// The task's id, as the program has it: it may hold anything.
    #[must_use]
    pub fn task_id(&self) -> &str {
        &self.task.id
    }

    /// The task's name.
    #[must_use]
    pub fn task_name(&self) -> &str {
        &self.task.name
    }

    /// When it began; where its own span is not there, when its first step asked to run.
    #[must_use]
    pub const fn start(&self) -> Timestamp {
        self.task.begin
    }

    /// How long it took; where its own span is not there, until its last step ended.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.task.end.saturating_duration_since(self.task.begin)
    }

    /// How it ended; [`State::InProgress`] where its own span is not there.
    #[must_use]
    pub const fn status(&self) -> State {
        self.task.state
    }

    /// How many steps are shown.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.task.steps.len()
    }

    /// How many attempts followed another.
    #[must_use]
    pub fn retries(&self) -> usize {
        self.task.steps.iter().flat_map(|step| &step.attempts).filter(|attempt| attempt.number > 1).count()
    }
}

impl fmt::Display for Waterfall {
    /// Without colour.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// An attempt whose task has been shown already: a line of its own.
pub(super) fn late(span: &Span, color: bool) -> String {
    let paint = Paint { is_on: color };
    let model::Told { attempt, name, .. } = model::Told::of(span);
    let id = span.task().map_or_else(String::new, |task| model::shown(task.id().as_str(), 80));
    let took = attempt.end.saturating_duration_since(attempt.begin).as_secs_f64();
    let class = if attempt.class.is_empty() { String::new() } else { format!(": {}", attempt.class) };
    format!(
        "{} {} {} attempt {} {} after {}{class}  {}",
        paint.bold(id),
        draw::mark(attempt.state, paint),
        name,
        attempt.number,
        draw::word(attempt.state),
        duration(took),
        paint.dim("(later than its task)"),
    )
}

#[cfg(test)]
mod tests;
