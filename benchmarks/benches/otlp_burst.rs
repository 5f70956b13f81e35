//! 100,000 steps as fast as two cores can, into a healthy OTLP/HTTP receiver: what it costs, and what is lost.
//! `cargo bench -p benchmarks --bench otlp_burst [-- --quick] [NAME ..]`.
//!
//! The receiver is a process of its own, so that its CPU time is not counted, though it takes its share of the cores; it counts
//! spans and decodes nothing. Each sample is a process, too, and the candidates take turns.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use benchmarks::spans::burst::Exporter;
use benchmarks::turns::{Arguments, in_turns};
use cpu_time::ProcessTime;

/// Threads that run tasks, tasks on each, steps of each.
const THREADS: u64 = 2;
const TASKS: u64 = 50;
const STEPS: u64 = 1_000;
/// With the spans of the tasks.
const SPANS: u64 = THREADS * TASKS * (STEPS + 1);

fn main() -> ExitCode {
    let result = match Arguments::read() {
        Arguments::Sample(name, arguments) if name == "receiver" && arguments.is_empty() => receive(),
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

fn named(name: &str) -> Result<Exporter, String> {
    Exporter::named(name).ok_or_else(|| {
        let names = Exporter::ALL.map(Exporter::name).join(" ");
        format!("no candidate is called `{name}`; there are: {names}")
    })
}

/// The receiver: prints its endpoint, and when its standard input ends the spans, requests and bytes that it was sent.
fn receive() -> Result<String, String> {
    let sink = trace_kit::Sink::counting();
    println!("{}", sink.endpoint());
    std::io::stdin().read_to_end(&mut Vec::new()).map_err(|error| error.to_string())?;
    let requests = sink.requests();
    let bytes: usize = requests.iter().map(|request| request.wire_bytes).sum();
    Ok(format!("{} {} {bytes}", sink.span_count(), requests.len()))
}

/// A running receiver.
struct Receiver {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    endpoint: String,
}

impl Receiver {
    fn start() -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(program)
            .args(["--sample", "receiver"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut output = BufReader::new(child.stdout.take().ok_or("the receiver has no output")?);
        let mut endpoint = String::new();
        output.read_line(&mut endpoint).map_err(|error| error.to_string())?;
        Ok(Self { child, output, endpoint: endpoint.trim().to_owned() })
    }

    /// Stops it: spans, requests, bytes.
    fn stop(mut self) -> Result<[f64; 3], String> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text).map_err(|error| error.to_string())?;
        let _ = self.child.wait();
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        numbers.try_into().map_err(|_| format!("the receiver said {text:?}"))
    }
}

/// Runs one sample: milliseconds until all is exported, milliseconds of CPU, peak and growth of the resident memory in MB, peak
/// of the queue in MB.
fn sample(name: &str, arguments: &[String]) -> Result<String, String> {
    let endpoint = arguments.first().ok_or("which endpoint?")?;
    let burst = named(name)?.set_up(endpoint)?;
    let before = peak_memory();
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..TASKS).for_each(|_| burst.task(STEPS)));
        }
    });
    let produced = wall.elapsed();
    burst.flush()?;
    let (wall, cpu) = (wall.elapsed(), cpu.elapsed());
    let memory = peak_memory();
    #[allow(clippy::cast_precision_loss, reason = "megabytes")]
    let queue = burst.peak_queue().map_or(f64::NAN, |bytes| bytes as f64 / 1e6);
    Ok(format!(
        "{} {} {} {memory} {} {queue}",
        produced.as_secs_f64() * 1e3,
        wall.as_secs_f64() * 1e3,
        cpu.as_secs_f64() * 1e3,
        memory - before
    ))
}

/// The most memory that was resident so far, in MB.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| kilobytes * 1024.0 / 1e6)
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn measure(quick: bool, names: &[String]) -> Result<String, String> {
    let rounds = if quick { 3 } else { 11 };
    let mut exporters = names.iter().map(|name| named(name)).collect::<Result<Vec<_>, _>>()?;
    if exporters.is_empty() {
        exporters = Exporter::ALL.to_vec();
    }
    let names: Vec<_> = exporters.iter().map(|exporter| exporter.name()).collect();
    let receiver = std::cell::RefCell::new(None);
    let start = |_: &str| match Receiver::start() {
        Ok(started) => {
            let endpoint = started.endpoint.clone();
            receiver.replace(Some(started));
            vec![endpoint]
        }
        Err(problem) => vec![problem], // the sample fails, and says so
    };
    let stop = |_: &str, numbers: &mut Vec<f64>| {
        let [spans, requests, bytes] = receiver.take().ok_or("there is no receiver")?.stop()?;
        let cpu = numbers.get(2).copied().unwrap_or(f64::NAN);
        let dropped = (SPANS as f64 - spans) / SPANS as f64 * 100.0;
        numbers.extend([cpu * 1e3 / spans, dropped, requests, bytes / spans]);
        Ok(())
    };
    let samples = in_turns(&names, rounds, start, stop)?;
    let mut text = format!(
        "{rounds} bursts of {SPANS} spans each, {THREADS} threads, the candidates in turn; medians, of the dropped share the worst\n\n\
         | 100,000 steps over OTLP/HTTP | all-thread CPU, µs an exported span | dropped, % | producing, ms | until all is exported, ms \
         | peak RSS, MB | its growth, MB | peak queue, MB | requests | bytes a span |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    );
    for exporter in exporters {
        let samples = &samples[exporter.name()];
        let queue = samples.median(5);
        let queue = if queue.is_nan() { "unknown".to_owned() } else { format!("{queue:.1}") };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "| {} | {:.2} | {:.2} | {:.0} | {:.0} | {:.1} | {:.1} | {queue} | {:.0} | {:.0} |",
            exporter.title(),
            samples.median(6),
            samples.greatest(7),
            samples.median(0),
            samples.median(1),
            samples.median(3),
            samples.median(4),
            samples.median(8),
            samples.median(9),
        );
    }
    Ok(text)
}
