//! Short ends are read as what the three series would have recorded each for itself.
#![allow(clippy::float_cmp, reason = "numbers that floats hold exactly")]

use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;
use crate::catalog::{StepSpec, declare_step};
use crate::metrics::family::Family;
use crate::metrics::histogram::HistogramSeries;
use crate::metrics::lifecycle::{LifeCycle, TaskSeries, Took};
use crate::metrics::registry::AnyFamily;
use crate::metrics::render::{self, Format};

const SECOND: u64 = 1_000_000_000;
/// More than there are slots, even if nobody else has one.
const THREADS: u64 = 40;

fn specs<const N: usize>(names: [&'static str; N]) -> &'static [StepSpec; N] {
    Box::leak(Box::new(names.map(|name| declare_step(name, name, "", ("", "", 0)))))
}

/// A short step runs.
fn short(task: &TaskSeries, step: &'static StepSpec, nanos: u64, end_unix_nanos: u64, trace: Option<u128>) {
    task.short_step_began();
    task.short_step_completed(step, Took { nanos, end_unix_nanos, trace: || trace });
}

/// The same, told series by series.
fn long(task: &TaskSeries, step: &'static StepSpec, nanos: u64, end_unix_nanos: u64, trace: Option<u128>) {
    let number = task.step_began(step, 0);
    task.step_completed(number, Took { nanos, end_unix_nanos, trace: || trace });
}

fn rendered(life_cycle: &LifeCycle) -> String {
    let mut encoder = render::encoder(Format::OpenMetrics);
    for family in life_cycle.families() {
        render::family(&family, None, &mut *encoder);
    }
    encoder.finish()
}

/// What all steps' series say together.
#[derive(Debug, PartialEq)]
struct Said {
    in_progress: f64,
    successes: u64,
    waits: u64,
    durations: u64,
    seconds: f64,
}

fn said(life_cycle: &LifeCycle) -> Said {
    let families = life_cycle.families();
    let [_, _, _, AnyFamily::Level(steps), AnyFamily::Counter(executions), durations, queue, ..] = &families else {
        panic!("{families:?}");
    };
    let (AnyFamily::Histogram(durations), AnyFamily::Histogram(queue)) = (durations, queue) else {
        panic!("{families:?}");
    };
    let sum = |family: &Family<HistogramSeries>| family.iter().map(|series| series.cell.sum()).sum();
    let count = |family: &Family<HistogramSeries>| family.iter().map(|series| series.cell.count_total()).sum();
    Said {
        in_progress: steps.iter().map(|series| series.cell.value()).sum(),
        successes: executions.iter().map(|series| series.cell.value()).sum(),
        waits: count(queue),
        seconds: sum(durations), // before their number, as exports read it
        durations: count(durations),
    }
}

#[test]
fn a_short_end_is_what_its_series_would_have_recorded() {
    let [task, first, second] = specs(["task", "first", "second"]);
    let (shorts, longs) = (LifeCycle::new(100), LifeCycle::new(100));
    let mut at = SECOND;
    let near = |most: &u64| [most - 1, *most, most + 1];
    let all: Vec<u64> = MOST.iter().flat_map(near).chain([0, 1, 17, 4_999, 3_600 * SECOND]).collect();
    for round in 0..20_u64 {
        for (number, nanos) in (0..).zip(&all) {
            let step = if (number + round) % 3 == 0 { first } else { second };
            // Of some there is no trace: those after them show what they might have.
            let trace = ((number + round) % 4 != 0).then_some(u128::from(1_000 * round + number));
            short(shorts.lone_step(task).unwrap(), step, *nanos, at, trace);
            long(longs.lone_step(task).unwrap(), step, *nanos, at, trace);
            at += SECOND / 100 * (number % 7);
            assert_eq!(rendered(&shorts), rendered(&longs), "{round} {number} {nanos}");
        }
    }
    assert_eq!(said(&shorts).durations, 20 * all.len() as u64);
}

#[test]
fn exemplars_are_asked_for_once_a_second() {
    let life_cycle = LifeCycle::new(100);
    let [task, step] = specs(["task", "step"]);
    let task = life_cycle.lone_step(task).unwrap();
    let is_asked = |nanos, end_unix_nanos, trace| {
        let mut asked = false;
        task.short_step_began();
        let ask = || {
            asked = true;
            trace
        };
        task.short_step_completed(step, Took { nanos, end_unix_nanos, trace: ask });
        asked
    };
    assert!(is_asked(1, 5 * SECOND, None), "there is none yet");
    assert!(is_asked(1, 5 * SECOND, Some(1)), "and still there is none");
    assert!(!is_asked(1, 6 * SECOND - 1, Some(2)));
    assert!(!is_asked(1, 4 * SECOND, Some(2)), "a clock that was set back");
    assert!(is_asked(1, 6 * SECOND, Some(3)));
    // Kept by way of the series itself, or by another thread: it is looked at again only after a second, and then found to be there.
    long(task, step, 1, 7 * SECOND, Some(4));
    assert!(is_asked(1, 7 * SECOND + SECOND / 2, Some(5)));
    assert!(rendered(&life_cycle).contains(&format!("{:032x}", 4)), "{}", rendered(&life_cycle));
    assert!(!is_asked(1, 8 * SECOND - 1, Some(6)));
    assert!(is_asked(1, 8 * SECOND, Some(7)));
}

#[test]
fn readers_meanwhile_see_no_series_at_odds_with_itself() {
    const RUNS: u64 = 20_000;
    let life_cycle = LifeCycle::new(100);
    let [task, first, second] = specs(["task", "first", "second"]);
    let series = life_cycle.lone_step(task).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut before, mut reads) = (said(&life_cycle), 0_u64);
            while !done.load(Ordering::Relaxed) {
                let now = said(&life_cycle);
                #[allow(clippy::cast_precision_loss, reason = "a small number")]
                let is_possible = (0.0..=THREADS as f64).contains(&now.in_progress);
                assert!(is_possible, "{now:?}");
                assert!(now.durations >= before.durations && now.waits >= before.waits, "{before:?} {now:?}");
                (before, reads) = (now, reads + 1);
            }
            reads
        });
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    for run in 0..RUNS {
                        let step = if (run + thread) % 2 == 0 { first } else { second };
                        match run % 10 {
                            8 => short(series, step, SECOND, 1, None),
                            9 => long(series, step, 0, 1, None),
                            _ => short(series, step, 0, 1, None),
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    let all = THREADS * RUNS;
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let seconds = (all / 10) as f64;
    assert_eq!(said(&life_cycle), Said { in_progress: 0.0, successes: all, waits: all, durations: all, seconds });
}

#[test]
fn what_threads_counted_stays_when_they_end() {
    let life_cycle = LifeCycle::new(100);
    let [task, step] = specs(["task", "step"]);
    let series = life_cycle.lone_step(task).unwrap();
    for _ in 0..10 {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..10).for_each(|run| short(series, step, run * 1_000_000, 1, None)));
            }
        });
    }
    let all = 10 * THREADS * 10;
    let said = said(&life_cycle);
    assert_eq!((said.in_progress, said.successes, said.waits, said.durations), (0.0, all, all, all));
}

#[test]
fn steps_that_share_a_series_are_added_up_there() {
    // Two of one name, and two more than the metrics have series for.
    let [task, a, also_a, b, c] = specs(["task", "a", "a", "b", "c"]);
    let (shorts, longs) = (LifeCycle::new(3), LifeCycle::new(3));
    for (step, runs) in [(a, 1), (also_a, 10), (b, 100), (c, 1_000)] {
        for _ in 0..runs {
            short(shorts.lone_step(task).unwrap(), step, 5, 1, None);
            long(longs.lone_step(task).unwrap(), step, 5, 1, None);
        }
    }
    assert_eq!(rendered(&shorts), rendered(&longs));
    assert_eq!((said(&shorts).in_progress, said(&shorts).durations), (0.0, 1_111));
}

#[test]
fn a_task_of_very_many_steps_counts_each() {
    let life_cycle = LifeCycle::new(10_000);
    let [task] = specs(["task"]);
    let series = life_cycle.lone_step(task).unwrap();
    for number in 0..300_u64 {
        let [step] = specs([format!("step_{number}").leak()]);
        short(series, step, SECOND * number, 1, None);
        short(series, step, SECOND * number, 1, None);
    }
    let said = said(&life_cycle);
    assert_eq!((said.in_progress, said.successes, said.seconds), (0.0, 600, 300.0 * 299.0));
}
