//! What the store costs and how fast it answers: `cargo bench -p benchmarks --bench store [-- --quick] [throughput | questions]`.
//!
//! - `throughput.rs`: 200 tasks at once, with and without a store, on `SQLite` and `PostgreSQL`; the candidates in turn, as ratios
//! - `questions.rs`: what is asked of a store of 1,000,000 steps
//!
//! The `PostgreSQL` server (Debian's package `postgresql`; `scripts/test-services` installs it) is a child of the benchmark.

use std::process::ExitCode;

use benchmarks::turns::Arguments;

mod database;
mod questions;
mod throughput;

// The server that the tests use, too.
#[path = "../../../tests/src/folder.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use more of it")]
mod folder;
#[path = "../../../tests/src/postgres.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use more of it")]
mod postgres;
#[path = "../../../tests/src/services.rs"]
#[allow(dead_code, unreachable_pub, unused_imports, reason = "shared with the tests, which use more of it")]
mod services;
/// What the server's module asks for.
mod store {
    use std::sync::atomic::{AtomicU32, Ordering};

    pub(crate) fn next_number() -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }
}

fn main() -> ExitCode {
    let result = match Arguments::read() {
        Arguments::Sample(name, arguments) => throughput::sample(&name, &arguments),
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

fn measure(quick: bool, names: &[String]) -> Result<String, String> {
    let wants = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    if let Some(unknown) = names.iter().find(|name| !["throughput", "questions"].contains(&name.as_str())) {
        return Err(format!("no part is called `{unknown}`; there are: throughput questions"));
    }
    let databases = database::Databases::start();
    let mut text = String::new();
    if wants("throughput") {
        text += &throughput::measure(quick, &databases)?;
    }
    if wants("questions") {
        text += &questions::measure(quick, &databases)?;
    }
    Ok(text)
}
