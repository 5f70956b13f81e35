//! The parts of a dashboard, as Grafana's JSON has them.

use serde_json::{Value as Json, json};

/// A curve: what is asked, and how its series are called.
pub(super) struct Query {
    pub(super) expr: String,
    pub(super) legend: &'static str,
}

impl Query {
    pub(super) fn new(expr: impl Into<String>, legend: &'static str) -> Self {
        Self { expr: expr.into(), legend }
    }
}

/// Something that is drawn.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) unit: &'static str,
    pub(super) queries: Vec<Query>,
}

/// Places panels, three in a row, under titles.
pub(super) struct Layout {
    panels: Vec<Json>,
    /// The next free place.
    x: u32,
    y: u32,
}

const WIDTH: u32 = 8;
const HEIGHT: u32 = 8;
const FULL: u32 = 24;

impl Layout {
    pub(super) const fn new() -> Self {
        Self { panels: Vec::new(), x: 0, y: 0 }
    }

    fn id(&self) -> usize {
        self.panels.len() + 1
    }

    fn new_line(&mut self) {
        if self.x > 0 {
            (self.x, self.y) = (0, self.y + HEIGHT);
        }
    }

    pub(super) fn row(&mut self, title: &str) {
        self.new_line();
        self.panels.push(json!({
            "id": self.id(), "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": self.y, "w": FULL, "h": 1},
        }));
        self.y += 1;
    }

    pub(super) fn text(&mut self, title: &str, markdown: &str) {
        self.new_line();
        self.panels.push(json!({
            "id": self.id(), "type": "text", "title": title,
            "options": {"mode": "markdown", "content": markdown},
            "gridPos": {"x": 0, "y": self.y, "w": FULL, "h": HEIGHT},
        }));
        self.y += HEIGHT;
    }

    pub(super) fn panel(&mut self, panel: Panel) {
        if self.x + WIDTH > FULL {
            self.new_line();
        }
        let targets = panel.queries.into_iter().zip('A'..='Z').map(|(query, name)| {
            json!({
                "refId": name, "datasource": data_source(), "expr": query.expr, "legendFormat": query.legend,
                "editorMode": "code", "range": true,
            })
        });
        self.panels.push(json!({
            "id": self.id(),
            "type": "timeseries",
            "title": panel.title,
            "description": panel.description,
            "datasource": data_source(),
            "targets": targets.collect::<Vec<_>>(),
            "fieldConfig": {
                "defaults": {"unit": panel.unit, "min": 0, "custom": {"fillOpacity": 10, "showPoints": "never"}},
                "overrides": [],
            },
            "options": {
                "legend": {"displayMode": "list", "placement": "bottom"},
                "tooltip": {"mode": "multi", "sort": "desc"},
            },
            "gridPos": {"x": self.x, "y": self.y, "w": WIDTH, "h": HEIGHT},
        }));
        self.x += WIDTH;
    }

    pub(super) fn into_panels(self) -> Vec<Json> {
        self.panels
    }
}

/// Whichever the person chose.
pub(super) fn data_source() -> Json {
    json!({"type": "prometheus", "uid": "${datasource}"})
}
