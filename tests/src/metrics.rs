//! Reading an export of metrics back, for the tests of what it says.

use serde_json::Value as Json;
use tasker_telemetry::metrics::{Format, MetricsBackend};

/// The counters and gauges of that dotted name whose labels contain these, added up.
///
/// # Panics
/// When the export is no JSON of the documented shape.
#[must_use]
pub fn value(metrics: &MetricsBackend, name: &str, labels: &[(&str, &str)]) -> f64 {
    let json: Json = serde_json::from_str(&metrics.render(Format::Json)).expect("the export is JSON");
    let lists = ["counters", "gauges"].map(|list| json["metrics"][list].as_array().expect("a list").clone());
    let matching = lists.iter().flatten().filter(|series| matches(series, name, labels));
    matching.map(|series| series["value"].as_f64().expect("a number")).sum()
}

/// Number and sum of the histograms of that dotted name whose labels contain these. Every histogram of the export is
/// checked to be at one with itself.
///
/// # Panics
/// When the export is no JSON of the documented shape, or a histogram's count is not that of its last bucket.
#[must_use]
pub fn histogram(metrics: &MetricsBackend, name: &str, labels: &[(&str, &str)]) -> (u64, f64) {
    let json: Json = serde_json::from_str(&metrics.render(Format::Json)).expect("the export is JSON");
    let (mut count, mut sum) = (0, 0.0);
    for series in json["metrics"]["histograms"].as_array().expect("a list") {
        let buckets: Vec<_> =
            series["buckets"].as_array().expect("a list").iter().map(|b| b["count"].as_u64()).collect();
        assert!(buckets.is_sorted(), "{series}");
        assert_eq!(buckets.last().copied().flatten(), series["count"].as_u64(), "{series}");
        if matches(series, name, labels) {
            count += series["count"].as_u64().expect("a number");
            sum += series["sum"].as_f64().expect("a number");
        }
    }
    (count, sum)
}

fn matches(series: &Json, name: &str, labels: &[(&str, &str)]) -> bool {
    series["name"] == name && labels.iter().all(|(label, value)| series["labels"][label] == *value)
}
