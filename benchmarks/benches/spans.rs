//! What a step that is a span costs, beside its peers: `cargo bench -p benchmarks --bench spans [-- --quick] [NAME ..]`.
//!
//! Every peer has an exporter that does nothing, and eight attributes a span. A candidate is called `otel` or, with awaits that
//! really wait, `otel/3`. Each sample is a process of its own and the candidates take turns: compare within one table, by medians.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use benchmarks::spans::candidate::{AWAITS, Maker};
use benchmarks::turns::{Arguments, Samples, in_turns};
use cpu_time::{ProcessTime, ThreadTime};

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

/// A maker and how often its steps wait.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    name: &'static str,
    maker: Maker,
    awaits: usize,
}

fn all() -> Vec<Candidate> {
    let named = |maker: Maker, awaits| {
        let name = if awaits == 0 { maker.name().to_owned() } else { format!("{}/{awaits}", maker.name()) };
        Candidate { name: name.leak(), maker, awaits }
    };
    AWAITS.iter().flat_map(|awaits| Maker::ALL.map(|maker| named(maker, *awaits))).collect()
}

fn named(name: &str) -> Result<Candidate, String> {
    all().into_iter().find(|candidate| candidate.name == name).ok_or_else(|| {
        let names: Vec<_> = all().iter().map(|candidate| candidate.name).collect();
        format!("no candidate is called `{name}`; there are: {}", names.join(" "))
    })
}

/// Runs one sample; the figures, for [`in_turns`] to read.
fn sample(name: &str, arguments: &[String]) -> Result<String, String> {
    let candidate = named(name)?;
    let steps: u32 = arguments.first().and_then(|steps| steps.parse().ok()).ok_or("how many steps?")?;
    let session = candidate.maker.set_up()?;
    session.steps(u64::from(steps / 4), candidate.awaits); // caches, branch predictors, the clock's calibration
    session.flush();
    let (wall, own, all) = (Instant::now(), ThreadTime::now(), ProcessTime::now());
    session.steps(u64::from(steps), candidate.awaits);
    let (wall, own) = (wall.elapsed(), own.elapsed());
    session.flush();
    let all = all.elapsed();
    let per_step = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(steps);
    Ok(format!("{} {} {} {}", per_step(wall), per_step(own), per_step(all), session.dropped()))
}

fn measure(quick: bool, names: &[String]) -> Result<String, String> {
    let (rounds, steps) = if quick { (5, 10_000) } else { (15, 20_000) };
    let mut candidates = names.iter().map(|name| named(name)).collect::<Result<Vec<_>, _>>()?;
    if candidates.is_empty() {
        candidates = all();
    }
    let names: Vec<_> = candidates.iter().map(|candidate| candidate.name).collect();
    let samples = in_turns(&names, rounds, |_| vec![steps.to_string()], |_, _| Ok(()))?;
    let mut text = format!("{rounds} samples of {steps} steps each, the candidates in turn; medians\n");
    for awaits in AWAITS {
        let of_table: Vec<_> = candidates.iter().filter(|candidate| candidate.awaits == awaits).collect();
        if !of_table.is_empty() {
            // Writing to a `String` cannot fail.
            let _ = write!(
                text,
                "\n| ns per step, {awaits} awaits that wait | wall | least | own CPU | x OpenTelemetry | CPU of all threads \
                 | x OpenTelemetry | dropped |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
            );
            let of_peer = of_table.iter().find(|candidate| candidate.maker == Maker::Otel);
            let of_peer = of_peer.and_then(|candidate| samples.get(candidate.name));
            for candidate in of_table {
                text += &row(candidate, &samples[candidate.name], of_peer);
            }
        }
    }
    Ok(text)
}

fn row(candidate: &Candidate, samples: &Samples, of_peer: Option<&Samples>) -> String {
    let (own, all) = (samples.median(1), samples.median(2));
    let (peer_own, peer_all) = of_peer.map_or((f64::NAN, f64::NAN), |peer| (peer.median(1), peer.median(2)));
    format!(
        "| {} | {:.1} | {:.1} | {own:.1} | {:.2} | {all:.1} | {:.2} | {} |\n",
        candidate.maker.title(),
        samples.median(0),
        samples.least(0),
        own / peer_own,
        all / peer_all,
        samples.greatest(3),
    )
}
