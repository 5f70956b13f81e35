//! The cost of a step, beside its peers: `cargo bench -p benchmarks --bench step [-- --quick] [NAME ..]`.
//!
//! Each sample is a process of its own, since telemetry, tracing and fastrace keep global state, and the candidates take
//! turns, so that whatever else the machine does meets all of them. Compare within one table, by medians.

use std::process::{Command, ExitCode};
use std::time::Instant;

use benchmarks::candidate::Candidate;
use benchmarks::report::{Row, Sample, table};
use cpu_time::{ProcessTime, ThreadTime};

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`.
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [flag, name, count] = &arguments[..]
        && flag == "--sample"
    {
        return sample(name, count);
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    arguments.retain(|argument| argument != "--quick");
    let (rounds, steps) = if quick { (5, 10_000) } else { (21, 20_000) };
    let mut candidates = Vec::new();
    for name in &arguments {
        let Some(candidate) = Candidate::named(name) else {
            eprintln!("no candidate is called `{name}`; there are: {}", Candidate::ALL.map(Candidate::name).join(" "));
            return ExitCode::from(2);
        };
        candidates.push(candidate);
    }
    if candidates.is_empty() {
        candidates = Candidate::ALL.to_vec();
    }
    match measure(&candidates, rounds, steps) {
        Ok(rows) => {
            println!("{rounds} samples of {steps} steps each, the candidates in turn; medians\n\n{}", table(&rows));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn measure(candidates: &[Candidate], rounds: u32, steps: u64) -> Result<Vec<Row>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut rows: Vec<Row> = candidates.iter().map(|&candidate| Row { candidate, samples: Vec::new() }).collect();
    for _ in 0..rounds {
        for row in &mut rows {
            let output = Command::new(&program)
                .args(["--sample", row.candidate.name(), &steps.to_string()])
                .output()
                .map_err(|error| error.to_string())?;
            let text = String::from_utf8_lossy(&output.stdout);
            let sample = parse(&text).ok_or_else(|| {
                format!("`{}` failed: {text}{}", row.candidate.name(), String::from_utf8_lossy(&output.stderr))
            })?;
            row.samples.push(sample);
        }
    }
    Ok(rows)
}

/// Runs one sample and prints it for [`parse`].
fn sample(name: &str, steps: &str) -> ExitCode {
    let (Some(candidate), Ok(steps)) = (Candidate::named(name), steps.parse::<u32>()) else { return ExitCode::from(2) };
    let session = match candidate.set_up() {
        Ok(session) => session,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    session.steps(u64::from(steps / 4)); // caches, branch predictors, the clock's calibration
    session.flush();
    let (wall, own, all) = (Instant::now(), ThreadTime::now(), ProcessTime::now());
    session.steps(u64::from(steps));
    let (wall, own) = (wall.elapsed(), own.elapsed());
    session.flush();
    let all = all.elapsed();
    let per_step = |time: std::time::Duration| time.as_secs_f64() * 1e9 / f64::from(steps);
    println!("{} {} {} {}", per_step(wall), per_step(own), per_step(all), session.dropped());
    ExitCode::SUCCESS
}

fn parse(line: &str) -> Option<Sample> {
    let mut words = line.split_whitespace();
    let mut number = || words.next()?.parse().ok();
    let (wall, own, all) = (number()?, number()?, number()?);
    Some(Sample { wall, own, all, dropped: words.next()?.parse().ok()? })
}
