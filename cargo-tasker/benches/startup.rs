//! How long the command takes: `cargo bench -p cargo-tasker`. Whole processes, as people start them: the median of 30 runs, beside
//! the limit. Exits 1 when one is over it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use object::write::{Object, StandardSegment};
use object::{Architecture, BinaryFormat, Endianness, SectionKind};

const RUNS: usize = 30;

/// A binary with so many records of each kind that there are 1,000 entries.
fn thousand(path: &Path) {
    let mut records = String::from("\n{\"tasker\":1,\"kind\":\"library\",\"version\":\"0.1.0\"}\n");
    for n in 0..500 {
        let _ = write!(
            records,
            "\n{{\"tasker\":1,\"kind\":\"step\",\"file\":\"src/steps/step_{n}.rs\",\"line\":{n},\"crate\":\"shop\",\"name\":\"step_{n}\",\"description\":\"The step number {n}.\",\"retry_limit\":3,\"backoff\":\"exponential\",\"publishes\":[\"shop.event_{n}\"]}}\n"
        );
        let _ = write!(
            records,
            "\n{{\"tasker\":1,\"kind\":\"event\",\"file\":\"src/events.rs\",\"line\":{n},\"name\":\"shop.event_{n}\",\"description\":\"The event number {n}.\",\"type\":\"Event{n}\",\"module\":\"shop::events\",\"fields\":[{{\"name\":\"order_id\",\"type\":\"String\",\"description\":\"Which order.\"}},{{\"name\":\"amount\",\"type\":\"Option<u64>\",\"optional\":true}}]}}\n"
        );
    }
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let segment = object.segment_name(StandardSegment::Data).to_vec();
    let section = object.add_section(segment, b"tasker_catalog".to_vec(), SectionKind::ReadOnlyData);
    object.append_section_data(section, records.as_bytes(), 1);
    std::fs::write(path, object.write().expect("an object file")).expect("a file can be written");
}

fn median(arguments: &[&str]) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            let status =
                Command::new(env!("CARGO_BIN_EXE_cargo-tasker")).args(arguments).stdout(Stdio::null()).status();
            assert!(status.is_ok_and(|status| status.success()), "{arguments:?}");
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[RUNS / 2]
}

fn main() -> ExitCode {
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("thousand.o");
    thousand(&binary);
    let binary = binary.display().to_string();
    let mut over = false;
    for (what, limit, arguments) in [
        ("--help", 50, &["--help"][..]),
        ("catalog, 1,000 entries, table", 100, &["catalog", &binary]),
        ("catalog, 1,000 entries, json", 100, &["catalog", &binary, "--format", "json"]),
        ("catalog, 1,000 entries, html", 100, &["catalog", &binary, "--format", "html"]),
    ] {
        let time = median(arguments);
        over |= time > Duration::from_millis(limit);
        println!("{what:32} {:7.1} ms, at most {limit} ms", time.as_secs_f64() * 1e3);
    }
    if over { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
