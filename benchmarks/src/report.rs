//! Samples, their medians, and the table.

use std::fmt::Write as _;

use crate::candidate::Candidate;

/// One run of one candidate, in nanoseconds per step.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// On the calling thread, by the clock.
    pub wall: f64,
    /// CPU time of the calling thread.
    pub own: f64,
    /// CPU time of all threads, until the last event was handled.
    pub all: f64,
    /// Events lost.
    pub dropped: u64,
}

/// The samples of one candidate.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub candidate: Candidate,
    /// How often.
    pub samples: Vec<Sample>,
}

impl Row {
    fn sorted(&self, value: impl Fn(&Sample) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self.samples.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    fn median(&self, value: impl Fn(&Sample) -> f64) -> f64 {
        let values = self.sorted(value);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// The table, as Markdown.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let plain = rows.iter().find(|row| row.candidate == Candidate::Plain).map_or(f64::NAN, |row| row.median(|s| s.own));
    let off =
        rows.iter().find(|row| row.candidate == Candidate::Instrument).map_or(f64::NAN, |row| row.median(|s| s.own));
    let mut table = String::from(
        "| ns per step | wall | least | own CPU | over uninstrumented | x `#[instrument]` off | CPU of all threads | dropped |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in rows {
        let own = row.median(|s| s.own);
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            table,
            "| {} | {:.1} | {:.1} | {own:.1} | {:+.1} | {:.2} | {:.1} | {} |",
            row.candidate.title(),
            row.median(|s| s.wall),
            row.sorted(|s| s.wall).first().copied().unwrap_or(f64::NAN),
            own - plain,
            own / off,
            row.median(|s| s.all),
            row.samples.iter().map(|s| s.dropped).sum::<u64>(),
        );
    }
    table
}
