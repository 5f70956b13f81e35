//! What `scripts/instructions` runs.
//!
//! `instructions run NAME STEPS` runs a candidate, for callgrind to count its instructions; `instructions allocations NAME`
//! prints how many heap allocations a step makes on its thread.

use std::process::ExitCode;

use benchmarks::candidate::{Candidate, Session};

/// The steps whose allocations are counted, after as many that are not.
const COUNTED: u64 = 4_096;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["run", name, steps] => match (session(name), steps.parse()) {
            (Some(session), Ok(steps)) => {
                session.steps(steps);
                ExitCode::SUCCESS
            }
            _ => usage(),
        },
        ["allocations", name] => match session(name) {
            Some(session) => {
                println!("{}", allocations_per_step(&session));
                ExitCode::SUCCESS
            }
            None => usage(),
        },
        _ => usage(),
    }
}

fn session(name: &str) -> Option<Session> {
    Candidate::named(name)?.set_up().ok()
}

/// Difference of two counts: what a task around the steps allocates once falls out. Rounded to hundredths: a queue that
/// allocates a block for 31 events shows, too.
fn allocations_per_step(session: &Session) -> String {
    let count = |steps| allocation_counter::measure(|| session.steps(steps)).count_total;
    count(COUNTED);
    let (few, many) = (count(COUNTED), count(2 * COUNTED));
    let hundredths = (many.saturating_sub(few) * 100).div_ceil(COUNTED);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn usage() -> ExitCode {
    let names = Candidate::ALL.map(Candidate::name).join(" ");
    eprintln!("usage: instructions run NAME STEPS | instructions allocations NAME\nNAME is one of: {names}");
    ExitCode::from(2)
}
