//! What a server was told of a series, and what is new since.

/// The values of a counter or histogram at one time.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::metrics) enum Told {
    Counter(u64),
    Histogram { counts: Vec<u64>, sum: f64 },
}

impl Told {
    /// What was recorded between then and this; all of it when nothing was told before.
    pub(in crate::metrics) fn since(&self, before: Option<&Self>) -> Self {
        match (self, before) {
            (Self::Counter(now), Some(Self::Counter(before))) => Self::Counter(now.wrapping_sub(*before)),
            (Self::Histogram { counts, sum }, Some(Self::Histogram { counts: old, sum: old_sum })) => {
                let new = counts.iter().zip(old).map(|(now, before)| now.wrapping_sub(*before));
                Self::Histogram { counts: new.collect(), sum: sum - old_sum }
            }
            _ => self.clone(),
        }
    }

    /// Whether nothing was recorded.
    #[cfg(feature = "otlp")]
    pub(in crate::metrics) fn is_empty(&self) -> bool {
        match self {
            Self::Counter(value) => *value == 0,
            Self::Histogram { counts, .. } => counts.iter().all(|count| *count == 0),
        }
    }
}
