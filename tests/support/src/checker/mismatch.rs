//! What does not agree.

use std::fmt;

/// One thing that does not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Which span, or which task or attempt when it has none.
    pub subject: String,
    /// What was expected and what was seen.
    pub problem: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.problem)
    }
}

/// All that does not agree. `Debug` is the text, so that `unwrap` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Mismatches(pub Vec<Mismatch>);

impl Mismatches {
    /// No text is longer than so many lines.
    const SHOWN: usize = 40;

    /// Whether one of them says so, of that subject: both are looked for as parts of the texts.
    #[must_use]
    pub fn has(&self, subject: &str, problem: &str) -> bool {
        self.0.iter().any(|one| one.subject.contains(subject) && one.problem.contains(problem))
    }
}

impl fmt::Display for Mismatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} things do not agree:", self.0.len())?;
        for mismatch in self.0.iter().take(Self::SHOWN) {
            writeln!(f, "  {mismatch}")?;
        }
        match self.0.len().saturating_sub(Self::SHOWN) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more"),
        }
    }
}

impl fmt::Debug for Mismatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Mismatches {}
