//! Values that a histogram may have been made of: as many as there were in each bucket, within its bounds, with the true sum.

/// How many lines the new values of one series may become.
#[cfg(feature = "statsd")]
const MOST_LINES: u64 = 1_000;

/// So many lines with this value.
#[cfg(feature = "statsd")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::metrics) struct Sample {
    pub(in crate::metrics) value: f64,
    pub(in crate::metrics) lines: usize,
    /// Each line stands for 1 / rate values.
    pub(in crate::metrics) rate: f64,
}

/// The samples of each bucket that has values.
#[cfg(feature = "statsd")]
#[allow(clippy::cast_precision_loss, reason = "counts of one interval, below 2^53")]
pub(in crate::metrics) fn samples(bounds: &[f64], counts: &[u64], sum: f64) -> Vec<Sample> {
    let all = counts.iter().copied().fold(0, u64::saturating_add);
    let values = values(bounds, counts, sum);
    let lines_of = |count: u64| {
        if all <= MOST_LINES {
            return count;
        }
        let share = u128::from(count) * u128::from(MOST_LINES) / u128::from(all);
        u64::try_from(share).unwrap_or(MOST_LINES).max(1)
    };
    let samples = counts.iter().zip(values).filter(|(count, _)| **count > 0).map(|(count, value)| {
        let lines = lines_of(*count);
        Sample { value, lines: usize::try_from(lines).unwrap_or(usize::MAX), rate: lines as f64 / *count as f64 }
    });
    samples.collect()
}

/// A value for each bucket. From the lower ends of the buckets to the upper ones, all go the same part of their way, so far that
/// the sum is right; what is above all bounds takes the rest.
#[allow(clippy::cast_precision_loss, reason = "counts of one interval, below 2^53")]
pub(in crate::metrics) fn values(bounds: &[f64], counts: &[u64], sum: f64) -> Vec<f64> {
    let lowest = bounds.first().map_or(0.0, |first| first.min(0.0));
    let low = |bucket: usize| if bucket == 0 { lowest } else { bounds[bucket - 1] };
    let high = |bucket: usize| bounds.get(bucket).copied();
    let total = |value: &dyn Fn(usize) -> f64| -> f64 {
        counts
            .iter()
            .enumerate()
            .map(|(bucket, count)| if *count == 0 { 0.0 } else { value(bucket) * *count as f64 })
            .sum()
    };
    let from = total(&low);
    let room = total(&|bucket| high(bucket).map_or(0.0, |high| high - low(bucket)));
    let above = counts.get(bounds.len()).copied().unwrap_or_default();
    let slack = sum - from;
    let most = if above > 0 { 0.5 } else { 1.0 };
    let part = if room > 0.0 { (slack / room).clamp(0.0, most) } else { 0.0 };
    let mut values: Vec<f64> = (0..counts.len())
        .map(|bucket| high(bucket).map_or(low(bucket), |high| low(bucket) + part * (high - low(bucket))))
        .collect();
    let rest = slack - part * room;
    if let Some(last) = values.get_mut(bounds.len()).filter(|_| above > 0) {
        // Values that are no numbers are counted there and not summed.
        *last += rest.max(0.0) / above as f64;
    } else if rest < 0.0 && counts.first().is_some_and(|first| *first > 0) {
        // Below the lowest bound there may be anything.
        values[0] += rest / counts[0] as f64;
    }
    values
}

#[cfg(all(test, feature = "statsd"))]
mod tests {
    use super::*;

    const BOUNDS: [f64; 3] = [1.0, 2.0, 5.0];

    fn check(counts: [u64; 4], sum: f64) {
        let samples = samples(&BOUNDS, &counts, sum);
        let mut seen = 0.0;
        let buckets = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        for ((bucket, count), sample) in buckets.zip(&samples) {
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let (count, lines) = (*count as f64, sample.lines as f64);
            assert!((lines / sample.rate - count).abs() < 1e-9);
            let low = if bucket == 0 { 0.0 } else { BOUNDS[bucket - 1] };
            assert!(sample.value >= low && BOUNDS.get(bucket).is_none_or(|high| sample.value <= *high), "{samples:?}");
            seen += sample.value * count;
        }
        assert!((seen - sum).abs() < 1e-9, "{samples:?} make {seen}, not {sum}");
    }

    #[test]
    fn values_stay_in_their_bucket_and_add_up() {
        check([3, 0, 0, 0], 0.6);
        check([3, 2, 0, 0], 0.0 + 0.5 + 1.0 + 1.1 + 2.0);
        check([0, 0, 1, 0], 5.0);
        check([1, 1, 1, 2], 0.2 + 1.5 + 4.0 + 7.0 + 100.0);
        check([0, 0, 0, 1], 6.0);
        check([1, 0, 0, 1], 0.9 + 5.1);
        check([0, 0, 0, 0], 0.0);
        check([4_000, 1, 2_000, 0], 2_000.0 + 1.5 + 6_000.0);
    }

    #[test]
    fn of_many_a_thousand_lines_are_sent() {
        let samples = samples(&BOUNDS, &[1_000_000, 1, 500_000, 0], 2_000_000.0);
        let lines: usize = samples.iter().map(|sample| sample.lines).sum();
        assert!((998..=1_001).contains(&lines), "{lines}");
    }

    #[test]
    fn below_the_lowest_bound_the_sum_still_holds() {
        let samples = samples(&[-5.0, 0.0], &[2, 1, 0], -30.0);
        let sum: f64 = samples.iter().map(|sample| sample.value * if sample.lines == 2 { 2.0 } else { 1.0 }).sum();
        assert!((sum + 30.0).abs() < 1e-9, "{samples:?}");
    }
}
