//! The waterfall of one task: its steps, their attempts and the waits between them, with bars drawn to scale.

use super::model::{Attempt, Step, Task, shown};
use super::paint::{Paint, cell, clip, duration, width};
use crate::state::State;
use crate::time::Timestamp;

/// Cells for the names, and for the bars; with the columns between them a line has a hundred.
const NAMES: usize = 31;
const BARS: usize = 50;

/// Steps in steps in steps are indented so many times at most: names must have a place, and a recursive step may be deep.
const DEEPEST: usize = 6;

/// What a cell of a bar stands for. Of several things that share a cell the last of this list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ink {
    Nothing,
    /// Waits for a free place (`max_concurrent_steps`).
    Queue,
    /// Waits for the next attempt.
    Backoff,
    Completed,
    /// Cancelled, or not over.
    Open,
    Failed,
}

impl Ink {
    const fn of(state: State) -> Self {
        match state {
            State::Complete | State::ResolvedManually => Self::Completed,
            State::Error => Self::Failed,
            State::Cancelled | State::Pending | State::InProgress => Self::Open,
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
pub(super) fn legend(paint: Paint) -> String {
    let entry = |ink: Ink, meaning: &str| format!("{} {}", ink.draw(1, paint), paint.dim(meaning));
    [
        entry(Ink::Completed, "completed"),
        entry(Ink::Failed, "failed"),
        entry(Ink::Open, "cancelled"),
        entry(Ink::Backoff, "waits for the next attempt"),
        entry(Ink::Queue, "waits for a place"),
    ]
    .join("   ")
}

/// How something ended, in a word.
pub(super) const fn word(state: State) -> &'static str {
    match state {
        State::Complete => "completed",
        State::Error => "failed",
        State::Cancelled => "cancelled",
        State::ResolvedManually => "resolved manually",
        State::Pending | State::InProgress => "not over",
    }
}

fn painted(state: State, text: impl std::fmt::Display, paint: Paint) -> String {
    match state {
        State::Complete | State::ResolvedManually => paint.green(text),
        State::Error => paint.red(text),
        State::Cancelled | State::Pending | State::InProgress => paint.yellow(text),
    }
}

/// The sign for how something ended.
pub(super) fn mark(state: State, paint: Paint) -> String {
    let mark = match state {
        State::Complete | State::ResolvedManually => "✓",
        State::Error => "✗",
        State::Cancelled | State::Pending | State::InProgress => "–",
    };
    painted(state, mark, paint)
}

/// A stretch of time in a row, and what it is drawn with.
type Stretch = (Timestamp, Timestamp, Ink);

/// The waterfall of a task.
pub(super) fn draw(task: &Task, paint: Paint) -> String {
    let took = duration(seconds(task.begin, task.end));
    let how = match task.state {
        State::InProgress if task.handed_over => "goes on elsewhere".to_owned(),
        State::InProgress => "not over".to_owned(),
        State::Error => format!("failed after {took}: {}", task.error),
        state => format!("{} after {took}", word(state)),
    };
    let ends = task.steps.iter().flat_map(|step| &step.attempts).map(|attempt| attempt.end);
    let canvas = Canvas { begin: task.begin, end: ends.fold(task.end, Timestamp::max), paint };
    let id = paint.bold(shown(&task.id, 80));
    let context = clip(&task.context.join(" · "), 50);
    let context = if context.is_empty() { context } else { format!("  {}", paint.dim(context)) };
    let whole = (task.begin, task.end, Ink::of(task.state));
    let mut lines = vec![
        format!("{id}, {}{context}", painted(task.state, how, paint)),
        canvas.scale(),
        canvas.row(&shown(&task.name, NAMES), &mark(task.state, paint), &[whole]),
    ];
    Branches::of(task).draw(&canvas, &mut lines);
    let (here, all) = (task.steps.len() as u64, task.total_steps);
    if here < all {
        let why = "not over yet, run elsewhere, or their spans were dropped";
        lines.push(paint.dim(format_args!("… {} of {all} steps are not shown: {why}", all - here)));
    }
    lines.join("\n")
}

/// One or more lines that are still to be drawn. Steps may be nested as deep as a recursion: a list instead of our own.
enum Item {
    Step(usize, Indent),
    Attempt(usize, usize, Indent),
    Wait(usize, usize, String),
}

/// What stands before a name, and before what is below it.
struct Indent {
    branch: String,
    below: String,
}

impl Indent {
    fn new(around: &str, is_last: bool) -> Self {
        // Three cells for each level.
        let around = around.chars().take(3 * DEEPEST).collect::<String>();
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        Self { branch: format!("{around}{branch}"), below: format!("{around}{below}") }
    }
}

/// Which steps hang on what.
struct Branches<'t> {
    steps: &'t [Step],
    tops: Vec<usize>,
    /// For each step, for each attempt, the steps that ran in it.
    inside: Vec<Vec<Vec<usize>>>,
    drawn: Vec<bool>,
}

impl<'t> Branches<'t> {
    fn of(task: &'t Task) -> Self {
        let steps = &task.steps[..];
        let mut inside: Vec<Vec<Vec<usize>>> = steps.iter().map(|step| vec![Vec::new(); step.attempts.len()]).collect();
        let mut tops = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let parent = step.within.filter(|(parent, _)| *parent != index);
            match parent.and_then(|(parent, attempt)| inside.get_mut(parent)?.get_mut(attempt)) {
                Some(siblings) => siblings.push(index),
                None => tops.push(index),
            }
        }
        Self { steps, tops, inside, drawn: vec![false; steps.len()] }
    }

    fn draw(mut self, canvas: &Canvas, lines: &mut Vec<String>) {
        let mut todo = Vec::new();
        push_steps(&mut todo, &std::mem::take(&mut self.tops), "");
        while let Some(item) = todo.pop() {
            self.item(item, &mut todo, canvas, lines);
        }
        // Steps that run in each other cannot be; if the spans say so, they are shown all the same.
        for index in 0..self.steps.len() {
            if !self.drawn[index] {
                todo.push(Item::Step(index, Indent::new("", true)));
            }
            while let Some(item) = todo.pop() {
                self.item(item, &mut todo, canvas, lines);
            }
        }
    }

    fn item(&mut self, item: Item, todo: &mut Vec<Item>, canvas: &Canvas, lines: &mut Vec<String>) {
        match item {
            Item::Step(index, indent) => {
                if std::mem::replace(&mut self.drawn[index], true) {
                    return;
                }
                let step = &self.steps[index];
                lines.push(canvas.step(step, &indent.branch));
                if step.attempts.len() == 1 {
                    push_steps(todo, &self.inside[index][0], &indent.below);
                    return;
                }
                for attempt in (0..step.attempts.len()).rev() {
                    let indent = Indent::new(&indent.below, attempt + 1 == step.attempts.len());
                    if step.backoff_after(attempt).is_some() {
                        todo.push(Item::Wait(index, attempt, indent.below.clone()));
                    }
                    todo.push(Item::Attempt(index, attempt, indent));
                }
            }
            Item::Attempt(index, place, indent) => {
                let attempt = &self.steps[index].attempts[place];
                let separator = if attempt.class.is_empty() { "" } else { ": " };
                let name = format!("{}attempt {}{separator}{}", indent.branch, attempt.number, attempt.class);
                lines.push(canvas.row(&name, &mark(attempt.state, canvas.paint), &stretches(attempt)));
                push_steps(todo, &self.inside[index][place], &indent.below);
            }
            Item::Wait(index, attempt, below) => {
                if let Some((from, to)) = self.steps[index].backoff_after(attempt) {
                    lines.push(canvas.row(&format!("{below}wait"), " ", &[(from, to, Ink::Backoff)]));
                }
            }
        }
    }
}

/// The first is to be drawn first: it comes last.
fn push_steps(todo: &mut Vec<Item>, steps: &[usize], around: &str) {
    let last = steps.len().saturating_sub(1);
    todo.extend(steps.iter().enumerate().rev().map(|(at, index)| Item::Step(*index, Indent::new(around, at == last))));
}

/// Waiting for a place, and running.
fn stretches(attempt: &Attempt) -> [Stretch; 2] {
    [(attempt.asked, attempt.begin, Ink::Queue), (attempt.begin, attempt.end, Ink::of(attempt.state))]
}

#[allow(clippy::cast_precision_loss, reason = "a double counts the nanoseconds of months")]
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.saturating_duration_since(from).as_nanos() as f64 / 1e9
}

/// Where the rows of one task are drawn.
struct Canvas {
    begin: Timestamp,
    end: Timestamp,
    paint: Paint,
}

impl Canvas {
    fn step(&self, step: &Step, branch: &str) -> String {
        let mut name = format!("{branch}{}", step.name);
        if let Some(input) = &step.input {
            name.push(' ');
            name.push_str(input);
        }
        let mut drawn = Vec::new();
        for (place, attempt) in step.attempts.iter().enumerate() {
            drawn.extend(stretches(attempt));
            drawn.extend(step.backoff_after(place).map(|(from, to)| (from, to, Ink::Backoff)));
        }
        if let [only] = &step.attempts[..]
            && !only.class.is_empty()
            && width(&name) + width(&only.class) + 2 <= NAMES
        {
            name.push_str(": ");
            name.push_str(&only.class);
        }
        self.row(&name, &mark(step.state(), self.paint), &drawn)
    }

    /// A name, the mark of how it ended, and when that was.
    fn row(&self, name: &str, mark: &str, stretches: &[Stretch]) -> String {
        let from = stretches.first().map_or(self.begin, |(from, ..)| *from);
        let to = stretches.iter().fold(from, |latest, (_, to, _)| latest.max(*to));
        let since = seconds(self.begin, from);
        let start = if since < 0.000_5 { "0".to_owned() } else { duration(since) };
        let took = duration(seconds(from, to));
        let line = format!("{} {mark} {start:>6}  {took:>6}  {}", cell(name, NAMES), self.bar(stretches));
        line.trim_end().to_owned()
    }

    fn bar(&self, stretches: &[Stretch]) -> String {
        let mut cells = [Ink::Nothing; BARS];
        for (from, to, ink) in stretches {
            if to <= from && !matches!(ink, Ink::Completed | Ink::Failed | Ink::Open) {
                continue; // a wait that was none; a run is shown however short it is
            }
            let first = self.cell_at(seconds(self.begin, *from)).min(BARS - 1);
            let end = self.cell_at(seconds(self.begin, *to)).clamp(first + 1, BARS);
            for cell in &mut cells[first..end] {
                *cell = (*cell).max(*ink);
            }
        }
        cells.chunk_by(|one, next| one == next).map(|same| same[0].draw(same.len(), self.paint)).collect()
    }

    fn length(&self) -> f64 {
        seconds(self.begin, self.end)
    }

    /// The cell boundary that is next to so many seconds after the beginning.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small numbers"
    )]
    fn cell_at(&self, since: f64) -> usize {
        let position = since / self.length().max(1e-9) * BARS as f64;
        (position.round().max(0.0) as usize).min(BARS)
    }

    /// The times above the bars: four to nine round ones.
    fn scale(&self) -> String {
        let rough = self.length().max(1e-6) / 8.0;
        let decade = 10_f64.powf(rough.log10().floor());
        let tick = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade).into_iter().find(|tick| *tick >= rough);
        let tick = tick.unwrap_or(decade * 10.0);
        let mut scale = String::new();
        for index in 0..9 {
            let time = f64::from(index) * tick;
            let at = self.cell_at(time);
            let label = if index == 0 { "0".to_owned() } else { duration(time) };
            let used = scale.chars().count();
            if (index > 0 && time >= self.length()) || at + label.len() + 1 > BARS || at < used {
                continue;
            }
            scale.push_str(&" ".repeat(at - used));
            scale.push('│');
            scale.push_str(&label);
        }
        format!("{}{}", " ".repeat(NAMES + 19), self.paint.dim(scale))
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::samples::{at, attempt, retried, step};
    use super::*;

    const PLAIN: Paint = Paint { is_on: false };

    #[test]
    fn bars_are_drawn_to_scale() {
        let expected = "\
ORD-1, completed after 1.00 s  佐藤 美咲
                                                  │0        │200 ms   │400 ms   │600 ms   │800 ms
order_process                   ✓      0  1.00 s  ██████████████████████████████████████████████████
├─ fetch_cart                   ✓      0  100 ms  █████
└─ charge                       ✓ 100 ms  900 ms       ·····▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓░░░░░████████████████████
   ├─ attempt 1: Timeout        ✗ 100 ms  400 ms       ·····▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
   │  wait                        500 ms  100 ms                           ░░░░░
   └─ attempt 2                 ✓ 600 ms  400 ms                                ████████████████████";
        assert_eq!(draw(&retried(), PLAIN), expected);
    }

    #[test]
    fn steps_stand_below_the_attempt_that_they_ran_in() {
        let mut task = retried();
        task.steps.push(step("ask", Some((1, 0)), vec![attempt(1, [0.2, 0.2, 0.3], "Refused")]));
        task.steps.push(step("dig", Some((2, 0)), vec![attempt(1, [0.2, 0.2, 0.25], "")]));
        task.steps.push(step("ask", Some((1, 1)), vec![attempt(1, [0.6, 0.6, 0.8], "")]));
        task.total_steps = 7;
        let drawn = draw(&task, PLAIN);
        let names: Vec<String> =
            drawn.lines().skip(4).map(|line| line.chars().take(NAMES).collect::<String>().trim_end().into()).collect();
        let expected = [
            "└─ charge",
            "   ├─ attempt 1: Timeout",
            "   │  └─ ask: Refused",
            "   │     └─ dig",
            "   │  wait",
            "   └─ attempt 2",
            "      └─ ask",
            "… 2 of 7 steps are not shown: n",
        ];
        assert_eq!(names, expected, "{drawn}");
    }

    #[test]
    fn however_deep_and_tangled_it_is_it_can_be_drawn() {
        let mut task = retried();
        task.steps = (0..5_000)
            .map(|depth: usize| {
                step("dig", depth.checked_sub(1).map(|up| (up, 0)), vec![attempt(1, [0.0, 0.1, 0.2], "")])
            })
            .collect();
        let lines = |task: &Task| draw(task, PLAIN).lines().inspect(|line| assert!(width(line) <= 100)).count();
        assert_eq!(lines(&task), 5_003);
        task.steps[0].within = Some((4_999, 0));
        assert_eq!(lines(&task), 5_003, "each step once, though each is said to run in another");
        task.steps[7].within = Some((7, 0));
        task.steps[9].within = Some((10_000, 3));
        assert_eq!(lines(&task), 5_003, "each step once");
    }

    #[test]
    fn whatever_the_times_are_it_can_be_drawn() {
        let mut task = retried();
        for length in [0.0, 1e-7, 0.003, 7.0, 4_000.0, 1e7, 8e7] {
            task.end = at(length);
            assert!(draw(&task, PLAIN).lines().all(|line| width(line) <= 100), "{}", draw(&task, PLAIN));
        }
        task.end = at(-5.0);
        assert_eq!(draw(&task, PLAIN).lines().count(), 8);
        task.steps.clear();
        task.total_steps = 0;
        assert_eq!(draw(&task, PLAIN).lines().count(), 3);
    }

    #[test]
    fn a_step_without_its_last_attempt_is_not_over() {
        let mut task = retried();
        task.steps[1].attempts.pop();
        assert!(draw(&task, PLAIN).lines().last().unwrap().starts_with("└─ charge: Timeout              – "));
        task.steps[1].attempts.push(attempt(3, [0.8, 0.8, 1.0], ""));
        assert!(!draw(&task, PLAIN).contains("wait"), "what was between is not known");
    }

    #[test]
    fn the_legend_fits_on_a_line() {
        assert!(width(&legend(PLAIN)) <= 100);
    }
}
