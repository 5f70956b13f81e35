//! The tree of one task: its steps, their attempts and the waits between them, with bars drawn to scale.
//!
//! ```text
//! Retried: ORD-1, completed after 1.00 s  佐藤 美咲
//!                                                   │0        │200 ms   │400 ms   │600 ms   │800 ms
//! order_process                   ✓      0  1.00 s  ██████████████████████████████████████████████████
//! ├─ fetch_cart                   ✓      0  100 ms  █████
//! └─ charge                       ✓ 100 ms  900 ms       ·····▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓░░░░░████████████████████
//!    ├─ attempt 1: Timeout        ✗ 100 ms  400 ms       ·····▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
//!    │  wait                        500 ms  100 ms                           ░░░░░
//!    └─ attempt 2                 ✓ 600 ms  400 ms                                ████████████████████
//! ```

use crate::history::{Attempt, End, StepRun, TaskRun};
use crate::paint::{Paint, cell, clip, duration};

/// Cells for the names, and for the bars; with the columns between them a line has a hundred.
const NAMES: usize = 31;
const BARS: usize = 50;

/// What a cell of a bar stands for. Of several things that share a cell the last of this list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ink {
    Nothing,
    /// Waits for a free place (`max_concurrent_steps`).
    Queue,
    /// Waits for the next attempt.
    Backoff,
    Completed,
    /// Cancelled, or still under way when the events end.
    Open,
    Failed,
}

impl Ink {
    const fn of(end: Option<End>) -> Self {
        match end {
            Some(End::Completed) => Self::Completed,
            Some(End::Failed) => Self::Failed,
            Some(End::Cancelled) | None => Self::Open,
        }
    }

    fn draw(self, cells: usize, paint: Paint) -> String {
        match self {
            Self::Nothing => " ".repeat(cells),
            Self::Queue => paint.dim("·".repeat(cells)),
            Self::Backoff => paint.yellow("░".repeat(cells)),
            Self::Completed => paint.green("█".repeat(cells)),
            Self::Open => paint.yellow("▒".repeat(cells)),
            Self::Failed => paint.red("▓".repeat(cells)),
        }
    }
}

/// What the signs in the bars mean.
pub(crate) fn legend(paint: Paint) -> String {
    let entry = |ink: Ink, meaning: &str| format!("{} {}", ink.draw(1, paint), paint.dim(meaning));
    [
        entry(Ink::Completed, "completed"),
        entry(Ink::Failed, "failed"),
        entry(Ink::Backoff, "waits for the next attempt"),
        entry(Ink::Queue, "waits for a place"),
    ]
    .join("   ")
}

/// A stretch of time in a row, from the task's beginning, and what it is drawn with.
type Stretch = (f64, f64, Ink);

/// The tree of a task under a title.
pub(crate) fn tree(title: &str, task: &TaskRun, paint: Paint) -> String {
    let took = duration(task.duration);
    let end = match task.end {
        Some(End::Completed) => paint.green(format_args!("completed after {took}")),
        Some(End::Failed) => paint.red(format_args!("failed after {took}: {}", task.error)),
        Some(End::Cancelled) => paint.yellow(format_args!("cancelled after {took}")),
        None => paint.yellow("not over"),
    };
    let canvas = Canvas { begin: task.begin, length: task.duration, paint };
    let whole = (task.begin, task.begin + task.duration, Ink::of(task.end));

    let mut lines = vec![
        format!(
            "{} {}, {end}  {}",
            paint.bold(title),
            paint.bold(&task.id),
            paint.dim(clip(&task.context.join(" · "), 50))
        ),
        canvas.scale(),
        canvas.row(&task.name, &canvas.mark(task.end), &[whole]),
    ];
    for (step, (branch, below)) in with_branches(&task.steps) {
        let name = match step.inputs.first() {
            Some(value) => format!("{branch}{} {value}", step.name),
            None => format!("{branch}{}", step.name),
        };
        let stretches: Vec<_> = step.attempts.iter().flat_map(stretches).collect();
        lines.push(canvas.row(&name, &canvas.mark(step.end()), &stretches));
        if step.attempts.len() > 1 {
            add_attempts(&mut lines, step, below, &canvas);
        }
    }
    lines.join("\n")
}

fn add_attempts(lines: &mut Vec<String>, step: &StepRun, indent: &str, canvas: &Canvas) {
    for (attempt, (branch, below)) in with_branches(&step.attempts) {
        let class = attempt.error_class.rsplit("::").next().unwrap_or_default();
        let separator = if class.is_empty() { "" } else { ": " };
        let name = format!("{indent}{branch}attempt {}{separator}{class}", attempt.number);
        let [queue, run, wait] = stretches(attempt);
        lines.push(canvas.row(&name, &canvas.mark(attempt.end), &[queue, run]));
        if attempt.backoff.is_some() {
            lines.push(canvas.row(&format!("{indent}{below}wait"), " ", &[wait]));
        }
    }
}

/// Waiting for a place, running, and waiting for the next attempt.
fn stretches(attempt: &Attempt) -> [Stretch; 3] {
    let end = attempt.begin + attempt.duration;
    [
        (attempt.asked, attempt.begin, Ink::Queue),
        (attempt.begin, end, Ink::of(attempt.end)),
        (end, end + attempt.backoff.unwrap_or(0.0), Ink::Backoff),
    ]
}

/// The items with the branch that leads to each, and what continues it in the lines below.
fn with_branches<T>(items: &[T]) -> impl Iterator<Item = (&T, (&'static str, &'static str))> {
    let last = items.len().saturating_sub(1);
    items
        .iter()
        .enumerate()
        .map(move |(index, item)| (item, if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") }))
}

/// Where the rows of one task are drawn.
struct Canvas {
    begin: f64,
    length: f64,
    paint: Paint,
}

impl Canvas {
    /// A name, the mark of how it ended, and when that was.
    fn row(&self, name: &str, mark: &str, stretches: &[Stretch]) -> String {
        let from = stretches.first().map_or(self.begin, |(from, ..)| *from);
        let to = stretches.iter().fold(from, |latest, (_, to, _)| latest.max(*to));
        let start = if from - self.begin < 0.000_5 { "0".to_owned() } else { duration(from - self.begin) };
        let line =
            format!("{} {mark} {start:>6}  {:>6}  {}", cell(name, NAMES), duration(to - from), self.bar(stretches));
        line.trim_end().to_owned()
    }

    fn mark(&self, end: Option<End>) -> String {
        match end {
            Some(End::Completed) => self.paint.green("✓"),
            Some(End::Failed) => self.paint.red("✗"),
            Some(End::Cancelled) | None => self.paint.yellow("–"),
        }
    }

    fn bar(&self, stretches: &[Stretch]) -> String {
        let mut cells = [Ink::Nothing; BARS];
        for (from, to, ink) in stretches {
            if to <= from && !matches!(ink, Ink::Completed | Ink::Failed | Ink::Open) {
                continue; // a wait that was none; a run is shown however short it is
            }
            let first = self.cell_at(*from).min(BARS - 1);
            let end = self.cell_at(*to).clamp(first + 1, BARS);
            for cell in &mut cells[first..end] {
                *cell = (*cell).max(*ink);
            }
        }
        cells.chunk_by(|one, next| one == next).map(|same| same[0].draw(same.len(), self.paint)).collect()
    }

    /// The cell boundary that is next to a point in time.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small numbers"
    )]
    fn cell_at(&self, time: f64) -> usize {
        let position = (time - self.begin) / self.length.max(1e-9) * BARS as f64;
        (position.round().max(0.0) as usize).min(BARS)
    }

    /// The times above the bars: four to nine round ones.
    fn scale(&self) -> String {
        let rough = self.length.max(1e-6) / 8.0;
        let decade = 10_f64.powf(rough.log10().floor());
        let tick = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade).into_iter().find(|tick| *tick >= rough);
        let tick = tick.unwrap_or(decade * 10.0);
        let mut scale = String::new();
        for index in 0..9 {
            let time = f64::from(index) * tick;
            let at = self.cell_at(self.begin + time);
            let label = if index == 0 { "0".to_owned() } else { duration(time) };
            let width = scale.chars().count();
            if time >= self.length || at + label.len() + 1 > BARS || at < width {
                continue;
            }
            scale.push_str(&" ".repeat(at - width));
            scale.push('│');
            scale.push_str(&label);
        }
        format!("{}{}", " ".repeat(NAMES + 19), self.paint.dim(scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{histories, samples};

    #[test]
    fn bars_are_drawn_to_scale() {
        let task = &histories(&samples::retried())[0];
        let tree = tree("Retried:", task, Paint { is_on: false });
        let expected = "\
Retried: ORD-1, completed after 1.00 s  佐藤 美咲
                                                  │0        │200 ms   │400 ms   │600 ms   │800 ms
order_process                   ✓      0  1.00 s  ██████████████████████████████████████████████████
├─ fetch_cart                   ✓      0  100 ms  █████
└─ charge                       ✓ 100 ms  900 ms       ·····▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓░░░░░████████████████████
   ├─ attempt 1: Timeout        ✗ 100 ms  400 ms       ·····▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
   │  wait                        500 ms  100 ms                           ░░░░░
   └─ attempt 2                 ✓ 600 ms  400 ms                                ████████████████████";
        assert_eq!(tree, expected);
    }

    #[test]
    fn whatever_the_times_are_it_can_be_drawn() {
        let mut task = histories(&samples::retried()).remove(0);
        for length in [0.0, 1e-7, 0.003, 7.0, 4_000.0] {
            task.duration = length;
            assert!(tree("x", &task, Paint { is_on: false }).lines().all(|line| line.chars().count() <= 100));
        }
        task.steps.clear();
        assert_eq!(tree("x", &task, Paint { is_on: false }).lines().count(), 3);
    }
}
