//! What can be wrong with a metric. Found when the metric is made, never when something is recorded.

/// Why a metric cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// The name cannot stand in an export.
    #[error("the metric name {name:?} {problem}")]
    Name {
        /// The name, at most its first 100 characters.
        name: String,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
    /// The name of a label cannot stand in an export.
    #[error("the label name {label:?} of the metric `{metric}` {problem}")]
    Label {
        /// The metric.
        metric: String,
        /// The label's name, at most its first 100 characters.
        label: String,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
    /// The metric has other labels than these.
    #[error("the metric `{metric}` has the labels [{}], not [{}]", expected.join(", "), found.join(", "))]
    Labels {
        /// The metric.
        metric: String,
        /// The labels that it was made with.
        expected: Vec<String>,
        /// The labels given.
        found: Vec<String>,
    },
    /// The name is that of another metric already.
    #[error("the metric `{name}` is a {kind} already")]
    Conflict {
        /// The name.
        name: String,
        /// What it is: `counter`, `gauge`, `histogram`, or the same with other labels or buckets.
        kind: &'static str,
    },
    /// The upper bounds of a histogram's buckets.
    #[error("the buckets of the metric `{metric}` {problem}")]
    Buckets {
        /// The metric.
        metric: String,
        /// What is wrong with them, and what would be right.
        problem: &'static str,
    },
    /// There are more metrics than a program can have on purpose.
    #[error(
        "there are {limit} metrics already, so there is no `{name}`: what differs from run to run belongs into labels"
    )]
    TooMany {
        /// The name.
        name: String,
        /// How many there may be.
        limit: usize,
    },
    /// No metric of that name exists.
    #[error("there is no metric `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
}

/// The start of a text that somebody else wrote: an error must not carry a megabyte.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(100).collect()
}
