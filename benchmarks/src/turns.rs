//! Samples that are processes of their own, the candidates in turn, and the medians of what they print.

use std::collections::BTreeMap;
use std::process::Command;

/// What the samples of one candidate gave.
#[derive(Debug, Default)]
pub struct Samples {
    /// One row of numbers a sample.
    rows: Vec<Vec<f64>>,
}

impl Samples {
    fn column(&self, column: usize) -> Vec<f64> {
        let mut values: Vec<f64> = self.rows.iter().filter_map(|row| row.get(column)).copied().collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The median of a column.
    #[must_use]
    pub fn median(&self, column: usize) -> f64 {
        let values = self.column(column);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Its least value.
    #[must_use]
    pub fn least(&self, column: usize) -> f64 {
        self.column(column).first().copied().unwrap_or(f64::NAN)
    }

    /// Its greatest value.
    #[must_use]
    pub fn greatest(&self, column: usize) -> f64 {
        self.column(column).last().copied().unwrap_or(f64::NAN)
    }
}

/// Runs this program with `--sample NAME ARGUMENT ..` for each name, so often, and reads the numbers that it prints.
///
/// # Errors
/// When a sample cannot be run, fails, or prints anything but numbers.
pub fn in_turns(
    names: &[&'static str],
    rounds: u32,
    mut arguments: impl FnMut(&str) -> Vec<String>,
    mut after: impl FnMut(&str, &mut Vec<f64>) -> Result<(), String>,
) -> Result<BTreeMap<&'static str, Samples>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut samples = BTreeMap::<&str, Samples>::new();
    for _ in 0..rounds {
        for &name in names {
            let arguments = arguments(name);
            let output = Command::new(&program).args(["--sample", name]).args(arguments).output();
            let output = output.map_err(|error| error.to_string())?;
            let text = String::from_utf8_lossy(&output.stdout);
            let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
            let (Ok(mut numbers), true) = (numbers, output.status.success()) else {
                return Err(format!("`{name}` failed: {text}{}", String::from_utf8_lossy(&output.stderr)));
            };
            after(name, &mut numbers)?;
            samples.entry(name).or_default().rows.push(numbers);
        }
    }
    Ok(samples)
}

/// The command line of a benchmark: `--sample NAME ARGUMENT ..`, or what is to be measured.
#[derive(Debug)]
pub enum Arguments {
    /// One sample: its name, and what [`in_turns`] was told to hand on.
    Sample(String, Vec<String>),
    /// All of it.
    Measure {
        /// A short run.
        quick: bool,
        /// Whatever else was said.
        names: Vec<String>,
    },
}

impl Arguments {
    /// Those of this process.
    #[must_use]
    pub fn read() -> Self {
        // `cargo bench` adds `--bench`.
        let mut all: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
        if all.first().is_some_and(|first| first == "--sample") && all.len() > 1 {
            let rest = all.split_off(2);
            return Self::Sample(all.remove(1), rest);
        }
        let quick = all.iter().any(|argument| argument == "--quick");
        all.retain(|argument| argument != "--quick");
        Self::Measure { quick, names: all }
    }
}
