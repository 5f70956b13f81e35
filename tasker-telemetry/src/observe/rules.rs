//! The rules, and how YAML writes them.

use std::fmt::Write as _;
use std::time::Duration;

use super::has;
use crate::catalog::Catalog;

/// Recording and alert rules. See the [module](super).
///
/// | alert | says | severity |
/// | --- | --- | --- |
/// | `TaskerTaskFailures` | more than 5 % of a task's runs fail | critical |
/// | `TaskerStepFailures` | more than 5 % of a step's attempts fail, those that are tried again among them | warning |
/// | `TaskerStepSlow` | 5 % of a step's attempts take longer than 2.5 s | warning |
/// | `TaskerTasksStuck` | tasks run, and for 15 minutes none has ended | critical |
/// | `TaskerEventsDropped`, `TaskerSpansDropped`, `TaskerSubscriberFailing` | the telemetry itself loses something | warning |
///
/// The last but one exists where the program exports spans.
#[derive(Debug, Clone)]
pub struct Rules {
    failure_ratio: f64,
    slow_step: Duration,
    stuck_after: Duration,
    window: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self::new()
    }
}

impl Rules {
    /// The rules with the limits of the table above, over windows of 5 minutes.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            failure_ratio: 0.05,
            slow_step: Duration::from_millis(2_500),
            stuck_after: Duration::from_mins(15),
            window: Duration::from_mins(5),
        }
    }

    /// The share of failures, 0 to 1, above which it is told.
    #[must_use]
    pub const fn failure_ratio(mut self, ratio: f64) -> Self {
        self.failure_ratio = ratio;
        self
    }

    /// How long 95 % of a step's attempts may take at most. Prometheus only knows buckets: a bound of one (0.005 0.01 0.025 0.05
    /// 0.1 0.25 0.5 1 2.5 5 10 s) is exact.
    #[must_use]
    pub const fn slow_step(mut self, limit: Duration) -> Self {
        self.slow_step = limit;
        self
    }

    /// How long tasks may run without one ending.
    #[must_use]
    pub const fn stuck_after(mut self, limit: Duration) -> Self {
        self.stuck_after = limit;
        self
    }

    /// How far rates look back; at least four times as long as the scrape interval. In whole seconds.
    #[must_use]
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// The rules as a rule file.
    #[must_use]
    pub fn yaml(&self) -> String {
        self.yaml_of(Catalog::global())
    }

    pub(crate) fn yaml_of(&self, catalog: &Catalog) -> String {
        let mut text = String::from(
            "# Made from the catalog of a binary: `Catalog::prometheus_rules()`. Tests: `promtool test rules`.\ngroups:\n",
        );
        let recorded = self.recorded();
        text.push_str("  - name: tasker-records\n    rules:\n");
        for record in &recorded {
            let _ = writeln!(text, "      - record: {}\n        expr: {}", record.name, quoted(&record.expr));
        }
        text.push_str("  - name: tasker-alerts\n    rules:\n");
        for alert in self.alerts(catalog) {
            let _ = write!(
                text,
                "      - alert: {}\n        expr: {}\n        for: {}\n        labels:\n          severity: {}\n        annotations:\n          summary: {}\n          description: {}\n",
                alert.name,
                quoted(&alert.expr),
                duration(alert.lasts),
                alert.severity,
                quoted(alert.summary),
                quoted(&alert.description),
            );
        }
        text
    }

    fn recorded(&self) -> Vec<Record> {
        let window = duration(self.window);
        let mut records = Vec::new();
        for (what, labels) in [("task", "task_name"), ("step", "task_name, step_name")] {
            let level = labels.replace(", ", "_");
            let all = format!("tasker_{what}_executions_total");
            records.push(Record {
                name: format!("{level}_status:tasker_{what}_executions:rate{window}"),
                expr: format!("sum by ({labels}, status) (rate({all}[{window}]))"),
            });
            records.push(Record {
                name: failures(what, &level, &window),
                expr: format!(
                    "sum by ({labels}) (rate({all}{{status=\"failure\"}}[{window}])) / sum by ({labels}) (rate({all}[{window}]))"
                ),
            });
            records.push(Record {
                name: p95(what, &level, &window),
                expr: format!(
                    "histogram_quantile(0.95, sum by (le, {labels}) (rate(tasker_{what}_duration_seconds_bucket[{window}])))"
                ),
            });
        }
        records.push(Record {
            name: format!("task_name:tasker_tasks_in_progress:none_ended{window}"),
            expr: format!(
                "sum by (task_name) (tasker_tasks_in_progress) * (sum by (task_name) (increase(tasker_task_executions_total[{window}])) == bool 0)"
            ),
        });
        records
    }

    fn alerts(&self, catalog: &Catalog) -> Vec<Alert> {
        let window = duration(self.window);
        let stuck = duration(self.stuck_after);
        let (ratio, slow) = (self.failure_ratio, self.slow_step.as_secs_f64());
        let mut alerts = vec![
            Alert {
                name: "TaskerTaskFailures",
                expr: format!("{} > {ratio}", failures("task", "task_name", &window)),
                lasts: self.window,
                severity: "critical",
                summary: "{{ $labels.task_name }} fails too often",
                description: format!(
                    "{{{{ $value | humanizePercentage }}}} of the runs of {{{{ $labels.task_name }}}} fail; the limit is {} %.",
                    ratio * 100.0
                ),
            },
            Alert {
                name: "TaskerStepFailures",
                expr: format!("{} > {ratio}", failures("step", "task_name_step_name", &window)),
                lasts: self.window,
                severity: "warning",
                summary: "{{ $labels.step_name }} fails too often",
                description: format!(
                    "{{{{ $value | humanizePercentage }}}} of the attempts of {{{{ $labels.step_name }}}} in {{{{ $labels.task_name }}}} fail; the limit is {} %. Those that are tried again count. See tasker_step_errors_total for why.",
                    ratio * 100.0
                ),
            },
            Alert {
                name: "TaskerStepSlow",
                expr: format!("{} > {slow}", p95("step", "task_name_step_name", &window)),
                lasts: self.window,
                severity: "warning",
                summary: "{{ $labels.step_name }} is slow",
                description: format!(
                    "5 % of the attempts of {{{{ $labels.step_name }}}} in {{{{ $labels.task_name }}}} take longer than {{{{ $value | humanizeDuration }}}}; the limit is {slow} s."
                ),
            },
            Alert {
                name: "TaskerTasksStuck",
                expr: format!("task_name:tasker_tasks_in_progress:none_ended{window} > 0"),
                lasts: self.stuck_after,
                severity: "critical",
                summary: "{{ $labels.task_name }} is stuck",
                description: format!(
                    "{{{{ $value }}}} runs of {{{{ $labels.task_name }}}} are under way, and for {stuck} none has ended."
                ),
            },
        ];
        for (name, metric, labels, summary, what) in [
            (
                "TaskerEventsDropped",
                "tasker_events_dropped_total",
                "subscriber, reason",
                "{{ $labels.subscriber }} loses events",
                "events never reached {{ $labels.subscriber }}, by reason {{ $labels.reason }}",
            ),
            (
                "TaskerSubscriberFailing",
                "tasker_subscriber_failures_total",
                "subscriber",
                "{{ $labels.subscriber }} fails",
                "handler calls of {{ $labels.subscriber }} failed",
            ),
            (
                "TaskerSpansDropped",
                "tasker_spans_dropped_total",
                "reason",
                "spans are lost",
                "spans were dropped, by reason {{ $labels.reason }}",
            ),
        ] {
            if has(catalog, metric) {
                alerts.push(Alert {
                    name,
                    expr: format!("sum by ({labels}) (increase({metric}[{window}])) > 0"),
                    lasts: Duration::ZERO,
                    severity: "warning",
                    summary,
                    description: format!("In {window}, {{{{ $value | humanize }}}} {what}. Traces and events are incomplete; metrics are not."),
                });
            }
        }
        alerts
    }
}

struct Record {
    name: String,
    expr: String,
}

struct Alert {
    name: &'static str,
    expr: String,
    lasts: Duration,
    severity: &'static str,
    summary: &'static str,
    description: String,
}

fn failures(what: &str, level: &str, window: &str) -> String {
    format!("{level}:tasker_{what}_failures:ratio_rate{window}")
}

fn p95(what: &str, level: &str, window: &str) -> String {
    format!("{level}:tasker_{what}_duration_seconds:p95_rate{window}")
}

/// As Prometheus writes it: `5m`.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds % 3_600, seconds % 60) {
        _ if seconds == 0 => "0s".to_owned(),
        (0, _) => format!("{}h", seconds / 3_600),
        (_, 0) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// In single quotes, where YAML escapes nothing but these.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_prometheus_does() {
        let seconds =
            [0, 1, 59, 60, 90, 300, 3_600, 5_400, 7_200].map(|seconds| duration(Duration::from_secs(seconds)));
        assert_eq!(seconds, ["0s", "1s", "59s", "1m", "90s", "5m", "1h", "90m", "2h"]);
    }

    #[test]
    fn limits_are_where_they_belong() {
        let rules =
            Rules::new().failure_ratio(0.2).slow_step(Duration::from_secs(1)).stuck_after(Duration::from_hours(1));
        let text = rules.window(Duration::from_mins(1)).yaml();
        for part in [
            "expr: 'task_name:tasker_task_failures:ratio_rate1m > 0.2'",
            "expr: 'task_name_step_name:tasker_step_duration_seconds:p95_rate1m > 1'",
            "record: task_name:tasker_tasks_in_progress:none_ended1m",
            "for: 1h",
            "the limit is 20 %",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
