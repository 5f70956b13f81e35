//! Which panels there are, and what they ask.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::has;
use super::panel::{Layout, Panel, Query, data_source};
use crate::catalog::Catalog;
use crate::metrics::{MetricInfo, MetricKind};

/// A dashboard for Grafana 10 and later. See the [module](super).
#[derive(Debug, Clone)]
pub struct Dashboard {
    title: String,
    uid: String,
}

impl Default for Dashboard {
    fn default() -> Self {
        Self::new()
    }
}

/// The tasks that were chosen at the top of the page.
const CHOSEN: &str = "task_name=~\"$task_name\"";

impl Dashboard {
    /// A dashboard of the title "Tasks and steps".
    #[must_use]
    pub fn new() -> Self {
        Self { title: "Tasks and steps".to_owned(), uid: "tasker-telemetry".to_owned() }
    }

    /// Another title.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        title.clone_into(&mut self.title);
        self
    }

    /// Another identity, at most 40 characters: a dashboard that is imported replaces the one of its identity. Default:
    /// `tasker-telemetry`.
    #[must_use]
    pub fn uid(mut self, uid: &str) -> Self {
        uid.clone_into(&mut self.uid);
        self
    }

    /// The dashboard as Grafana imports it.
    #[must_use]
    pub fn json(&self) -> Json {
        self.json_of(Catalog::global())
    }

    pub(crate) fn json_of(&self, catalog: &Catalog) -> Json {
        let mut layout = Layout::new();
        tasks(&mut layout, catalog);
        steps(&mut layout, catalog);
        users(&mut layout, catalog);
        telemetry(&mut layout, catalog);
        json!({
            "title": self.title,
            "uid": self.uid,
            "description": "Made from the catalog of a binary: Catalog::grafana_dashboard().",
            "tags": ["tasker"],
            "schemaVersion": 39,
            "version": 1,
            "editable": true,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "templating": {"list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                {
                    "name": "task_name", "label": "Task", "type": "query", "datasource": data_source(),
                    "query": "label_values(tasker_task_executions_total, task_name)",
                    "refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".*",
                    "current": {"text": "All", "value": "$__all"},
                },
            ]},
            "annotations": {"list": []},
            "panels": layout.into_panels(),
        })
    }
}

fn rate(metric: &str, chosen: &str, by: &str) -> String {
    let by = if by.is_empty() { String::new() } else { format!(" by ({by})") };
    let chosen = if chosen.is_empty() { String::new() } else { format!("{{{chosen}}}") };
    format!("sum{by} (rate({metric}{chosen}[$__rate_interval]))")
}

fn quantile(quantile: f64, metric: &str, chosen: &str, by: &str) -> String {
    let by = if by.is_empty() { "le".to_owned() } else { format!("le, {by}") };
    format!("histogram_quantile({quantile}, {})", rate(&format!("{metric}_bucket"), chosen, &by))
}

fn panel(layout: &mut Layout, title: &str, description: &str, unit: &'static str, queries: Vec<Query>) {
    layout.panel(Panel { title: title.to_owned(), description: description.to_owned(), unit, queries });
}

fn tasks(layout: &mut Layout, catalog: &Catalog) {
    const ALL: &str = "tasker_task_executions_total";
    layout.row("Tasks");
    let by_status = rate(ALL, CHOSEN, "task_name, status");
    panel(layout, "Tasks ended", help(catalog, ALL), "ops", vec![Query::new(by_status, "{{task_name}} {{status}}")]);
    let failed = rate(ALL, &format!("{CHOSEN}, status=\"failure\""), "task_name");
    let ratio = format!("{failed} / {}", rate(ALL, CHOSEN, "task_name"));
    panel(
        layout,
        "Failures",
        "The share of the runs that failed.",
        "percentunit",
        vec![Query::new(ratio, "{{task_name}}")],
    );
    let duration = "tasker_task_duration_seconds";
    let quantiles = vec![
        Query::new(quantile(0.5, duration, CHOSEN, "task_name"), "{{task_name}} half"),
        Query::new(quantile(0.95, duration, CHOSEN, "task_name"), "{{task_name}} 95 %"),
        Query::new(quantile(0.99, duration, CHOSEN, "task_name"), "{{task_name}} 99 %"),
    ];
    panel(layout, "Duration", help(catalog, duration), "s", quantiles);
    for (title, metric) in
        [("Tasks under way", "tasker_tasks_in_progress"), ("Attempts under way", "tasker_steps_in_progress")]
    {
        let now = format!("sum by (task_name) ({metric}{{{CHOSEN}}})");
        panel(layout, title, help(catalog, metric), "short", vec![Query::new(now, "{{task_name}}")]);
    }
}

fn steps(layout: &mut Layout, catalog: &Catalog) {
    const ALL: &str = "tasker_step_executions_total";
    const BY: &str = "task_name, step_name";
    layout.row("Steps");
    let one = |expr: String, legend| vec![Query::new(expr, legend)];
    panel(
        layout,
        "Attempts ended",
        help(catalog, ALL),
        "ops",
        one(rate(ALL, CHOSEN, "step_name, status"), "{{step_name}} {{status}}"),
    );
    let failed = rate(ALL, &format!("{CHOSEN}, status=\"failure\""), BY);
    let ratio = format!("{failed} / {}", rate(ALL, CHOSEN, BY));
    let what = "The share of the attempts that failed, those that were tried again among them.";
    panel(layout, "Failures", what, "percentunit", one(ratio, "{{step_name}}"));
    let duration = "tasker_step_duration_seconds";
    panel(
        layout,
        "Duration, 95 %",
        help(catalog, duration),
        "s",
        one(quantile(0.95, duration, CHOSEN, BY), "{{step_name}}"),
    );
    let errors = "tasker_step_errors_total";
    let by_type = rate(errors, CHOSEN, "step_name, error_type");
    panel(layout, "Errors", help(catalog, errors), "ops", one(by_type, "{{step_name}} {{error_type}}"));
    let retries = "tasker_step_retries_total";
    panel(layout, "Retries", help(catalog, retries), "ops", one(rate(retries, CHOSEN, BY), "{{step_name}}"));
    let queue = "tasker_step_queue_seconds";
    panel(layout, "Wait, 95 %", help(catalog, queue), "s", one(quantile(0.95, queue, CHOSEN, BY), "{{step_name}}"));
    let table = directory(catalog);
    if !table.is_empty() {
        layout.text("What they are", &table);
    }
}

/// The tasks and steps of this binary, with the first line of what their authors say of them.
fn directory(catalog: &Catalog) -> String {
    let mut rows: Vec<(&str, &str, &str)> = Vec::new();
    rows.extend(catalog.all_tasks().iter().map(|task| ("task", task.name, task.description)));
    rows.extend(catalog.all_steps().iter().map(|step| ("step", step.name, step.description)));
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from("| | name | |\n| --- | --- | --- |\n");
    for (kind, name, description) in rows {
        let description = description.lines().next().unwrap_or_default().replace('|', "\\|");
        // Writing into a String cannot fail.
        let _ = writeln!(text, "| {kind} | `{name}` | {description} |");
    }
    text
}

/// The program's own metrics.
fn users(layout: &mut Layout, catalog: &Catalog) {
    let mut users = catalog.all_metrics().iter().filter(|metric| !metric.name.starts_with("tasker_")).peekable();
    if users.peek().is_some() {
        layout.row("This program");
    }
    for metric in users {
        layout.panel(user_panel(metric));
    }
}

fn user_panel(metric: &MetricInfo) -> Panel {
    let (name, by) = (&*metric.name, metric.labels.join(", "));
    let queries = match metric.kind {
        MetricKind::Counter => vec![Query::new(rate(name, "", &by), "")],
        MetricKind::Gauge if by.is_empty() => vec![Query::new(format!("sum ({name})"), "")],
        MetricKind::Gauge => vec![Query::new(format!("sum by ({by}) ({name})"), "")],
        MetricKind::Histogram => {
            vec![Query::new(quantile(0.5, name, "", &by), "half"), Query::new(quantile(0.95, name, "", &by), "95 %")]
        }
    };
    let unit = match (metric.kind, metric.unit.as_str()) {
        (MetricKind::Counter, "bytes") => "Bps",
        (MetricKind::Counter, _) => "ops",
        (_, "seconds") => "s",
        (_, "bytes") => "bytes",
        (_, "ratio") => "percentunit",
        _ => "short",
    };
    Panel { title: metric.dotted_name.clone(), description: metric.help.clone(), unit, queries }
}

/// What the telemetry says of itself.
fn telemetry(layout: &mut Layout, catalog: &Catalog) {
    layout.row("The telemetry itself");
    for (title, metric, by, legend) in [
        ("Events published", "tasker_events_published_total", "event", "{{event}}"),
        ("Events dropped", "tasker_events_dropped_total", "subscriber, reason", "{{subscriber}} {{reason}}"),
        ("Failures of subscribers", "tasker_subscriber_failures_total", "subscriber", "{{subscriber}}"),
        ("Spans exported", "tasker_spans_exported_total", "", "spans"),
        ("Spans dropped", "tasker_spans_dropped_total", "reason", "{{reason}}"),
    ] {
        if has(catalog, metric) {
            panel(layout, title, help(catalog, metric), "ops", vec![Query::new(rate(metric, "", by), legend)]);
        }
    }
}

/// What the catalog says of a metric of the library.
fn help<'a>(catalog: &'a Catalog, name: &str) -> &'a str {
    catalog.all_metrics().iter().find(|metric| metric.name == name).map_or("", |metric| &metric.help)
}
