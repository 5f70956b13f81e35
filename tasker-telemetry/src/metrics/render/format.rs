//! The formats by name.

use std::fmt;
use std::str::FromStr;

/// A format of [`MetricsBackend::render`](crate::metrics::MetricsBackend::render).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// The text format of Prometheus, version 0.0.4.
    #[default]
    Prometheus,
    /// `OpenMetrics` 1.0, with exemplars: the trace of one run in each bucket of the durations.
    OpenMetrics,
    /// `{timestamp, metrics: {counters, gauges, histograms}}`, with dotted names. What JSON has no number for (NaN and the
    /// infinities) is `null`.
    Json,
    /// `name,type,labels,value,count,sum,le,timestamp`: a line for each series, for histograms one for each bucket. `labels`
    /// is a JSON object.
    Csv,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Prometheus, Self::OpenMetrics, Self::Json, Self::Csv];

    /// `prometheus`, `openmetrics`, `json` or `csv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::OpenMetrics => "openmetrics",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }

    /// What an HTTP answer in this format is called.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No format has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no format {0:?}: write `prometheus`, `openmetrics`, `json` or `csv`")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}
