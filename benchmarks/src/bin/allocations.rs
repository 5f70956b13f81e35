//! How many heap allocations a step makes on its thread: `allocations NAME`, for `scripts/instructions`. A program of its own: what
//! counts allocations costs instructions.

use std::process::ExitCode;

use benchmarks::candidate::{Candidate, Session};

/// The steps whose allocations are counted, after as many that are not.
const COUNTED: u64 = 4_096;

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match Candidate::named(&name).map(Candidate::set_up) {
        Some(Ok(session)) => {
            println!("{}", allocations_per_step(&session));
            ExitCode::SUCCESS
        }
        Some(Err(error)) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("usage: allocations NAME\nNAME is one of: {}", Candidate::ALL.map(Candidate::name).join(" "));
            ExitCode::from(2)
        }
    }
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
