//! What the layer of `tasker-telemetry-apalis` costs a node, beside apalis's own layers:
//! `cargo bench -p benchmarks --bench layer [-- --quick] [NAME ..]`.
//!
//! The same service, called with the same jobs, under one stack of layers after another. The jobs' metadata are those that a real
//! worker saw, so each layer reads what it would read there. No database is in the figures. Each sample is a process of its own
//! and the candidates take turns.

mod candidate;
mod jobs;

use std::fmt::Write as _;
use std::process::ExitCode;

use benchmarks::turns::{Arguments, Samples, in_turns};

use crate::candidate::Candidate;

fn main() -> ExitCode {
    let result = match Arguments::read() {
        Arguments::Sample(name, arguments) => sample(&name, &arguments),
        Arguments::Measure { quick, names } => measure(quick, &names),
    };
    match result {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn named(name: &str) -> Result<Candidate, String> {
    Candidate::ALL.into_iter().find(|candidate| candidate.name() == name).ok_or_else(|| {
        format!("no candidate is called `{name}`; there are: {}", Candidate::ALL.map(Candidate::name).join(" "))
    })
}

/// Runs one sample; the figures, for [`in_turns`] to read.
fn sample(name: &str, arguments: &[String]) -> Result<String, String> {
    let nodes = arguments.first().and_then(|nodes| nodes.parse().ok()).ok_or("how many nodes?")?;
    let cost = named(name)?.run(nodes)?;
    Ok(format!("{} {} {} {}", cost.wall, cost.own, cost.all, cost.dropped))
}

fn measure(quick: bool, names: &[String]) -> Result<String, String> {
    let (rounds, nodes) = if quick { (5, 10_000) } else { (15, 20_000) };
    let mut candidates = names.iter().map(|name| named(name)).collect::<Result<Vec<_>, _>>()?;
    if candidates.is_empty() {
        candidates = Candidate::ALL.to_vec();
    }
    let names: Vec<_> = candidates.iter().map(|candidate| candidate.name()).collect();
    let samples = in_turns(&names, rounds, |_| vec![nodes.to_string()], |_, _| Ok(()))?;
    let over = |candidate: Candidate, column| {
        let median = |candidate: Candidate| samples.get(candidate.name()).map_or(f64::NAN, |of| of.median(column));
        median(candidate) - median(Candidate::Bare)
    };
    let mut text = format!(
        "{rounds} samples of {nodes} nodes each, the candidates in turn; medians\n\n\
         | ns per node | wall | own CPU | over no layer | x theirs together | CPU of all threads | over no layer \
         | x theirs together | dropped |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    );
    for candidate in candidates {
        let of: &Samples = &samples[candidate.name()];
        let (own, all) = (over(candidate, 1), over(candidate, 2));
        let (peers_own, peers_all) = (over(Candidate::Together, 1), over(Candidate::Together, 2));
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.0} | {own:+.0} | {:.2} | {:.0} | {all:+.0} | {:.2} | {} |",
            candidate.title(),
            of.median(0),
            of.median(1),
            own / peers_own,
            of.median(2),
            all / peers_all,
            of.greatest(3),
        );
    }
    Ok(text)
}
