//! Runs a candidate, for callgrind to count its instructions: `instructions NAME STEPS`, for `scripts/instructions`.

use std::process::ExitCode;

use benchmarks::candidate::Candidate;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, steps] = &arguments[..] else { return usage() };
    let (Some(candidate), Ok(steps)) = (Candidate::named(name), steps.parse()) else { return usage() };
    match candidate.set_up() {
        Ok(session) => {
            session.steps(steps);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    let names = Candidate::ALL.map(Candidate::name).join(" ");
    eprintln!("usage: instructions NAME STEPS\nNAME is one of: {names}");
    ExitCode::from(2)
}
