//! What people look at: a Grafana dashboard, and alert and recording rules for Prometheus, made from the catalog of this binary.
//!
//! ```
//! use std::time::Duration;
//! use tasker_telemetry::Catalog;
//! use tasker_telemetry::observe::{Dashboard, Rules};
//!
//! let dashboard = Catalog::grafana_dashboard(); // JSON, to be imported
//! assert_eq!(dashboard["title"], "Tasks and steps");
//! let rules = Catalog::prometheus_rules(); // YAML, for `rule_files`
//! assert!(rules.contains("alert: TaskerTaskFailures"));
//!
//! let dashboard = Dashboard::new().title("Shop").json();
//! assert_eq!(dashboard["title"], "Shop");
//! let rules = Rules::new().failure_ratio(0.01).slow_step(Duration::from_millis(500)).yaml();
//! assert!(rules.contains("> 0.01") && rules.contains("> 0.5"));
//! ```
//!
//! Metrics that `register_metrics!` entered are on the dashboard: counters as rates, gauges as they are, histograms as percentiles.
//! The dashboard asks for the metrics themselves, not for what the rules record, so each works without the other.
//! `examples/observability` holds both for the order process.

mod dashboard;
mod panel;
mod rules;

pub use self::dashboard::Dashboard;
pub use self::rules::Rules;

use crate::catalog::Catalog;

impl Catalog {
    /// A dashboard for Grafana that shows this program's tasks, steps and metrics, as [`Dashboard::new`] makes it.
    #[must_use]
    pub fn grafana_dashboard() -> serde_json::Value {
        Dashboard::new().json()
    }

    /// Recording and alert rules for Prometheus, as [`Rules::new`] makes them, in YAML.
    #[must_use]
    pub fn prometheus_rules() -> String {
        Rules::new().yaml()
    }
}

/// Whether the program of that catalog can export that metric.
fn has(catalog: &Catalog, name: &str) -> bool {
    catalog.all_metrics().iter().any(|metric| metric.name == name)
}
