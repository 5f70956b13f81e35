//! A lock file holds a project to what it promised: what is gone is told by the exit code, what is new is fine.

mod support;

use support::{Project, dependency};

const EVENT: &str = "use tasker_telemetry::prelude::*;\n\n/// A payment needs a human.\n#[derive(Serialize, Event)]\n#[event(\"payment.risk_flagged\")]\npub struct RiskFlagged {\n    pub payment_id: String,\n    pub score: u32,\n}\n\n#[step]\npub fn charge() {}\n";

fn project(name: &str) -> Project {
    let project = Project::new(name);
    let tasker = dependency(", default-features = false");
    project.write(
        "Cargo.toml",
        &format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{tasker}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n"),
    );
    project.write("src/lib.rs", EVENT);
    project
}

#[test]
fn a_field_that_is_gone_breaks_and_one_that_is_new_does_not() {
    let project = project("locked");
    assert!(project.tasker(&["catalog", "--check", "tasker.lock"]).ended(3).err.contains("tasker.lock"));
    project.tasker(&["catalog", "--lock", "tasker.lock"]).ok();
    let lock = project.read("tasker.lock");
    assert!(project.tasker(&["catalog", "--check", "tasker.lock"]).ok().out.contains("nothing changed"));
    let catalog = project.tasker(&["catalog", "--format", "json"]).ok().out;
    project.write("old.json", &catalog);

    project.write("src/lib.rs", &EVENT.replace("    pub score", "    pub note: Option<String>,\n    pub score"));
    let added = project.tasker(&["catalog", "--check", "tasker.lock"]).ok();
    assert!(added.out.contains("compatible: `payment.risk_flagged.note`"), "{}", added.out);
    let added = project.tasker(&["catalog", "--diff", "old.json", "--format", "json"]).ok().json();
    assert_eq!(added["compatible"][0]["subject"], "payment.risk_flagged.note");
    assert_eq!(added["breaking"], serde_json::json!([]));

    project.write("src/lib.rs", &EVENT.replace("    pub score: u32,\n", ""));
    for arguments in
        [["catalog", "--check", "tasker.lock"], ["catalog", "--diff", "old.json"], ["catalog", "--diff", "tasker.lock"]]
    {
        let removed = project.tasker(&arguments).ended(1);
        assert!(removed.out.contains("breaking: `payment.risk_flagged.score`: the field is gone"), "{}", removed.out);
    }
    project.write("src/lib.rs", &EVENT.replace("score: u32", "score: u8"));
    assert!(project.tasker(&["catalog", "--check", "tasker.lock"]).ended(1).out.contains("`u32` became `u8`"));
    project.write("src/lib.rs", &EVENT.replace("payment.risk_flagged", "payment.flagged"));
    assert!(project.tasker(&["catalog", "--check", "tasker.lock"]).ended(1).out.contains("the event is gone"));

    // A file that moves, and a comment, are no changes: the lock file is the same, byte by byte.
    project.write("src/lib.rs", &format!("//! Documented.\n\n\n{}", EVENT.replace("needs a human", "waits for one")));
    project.tasker(&["catalog", "--lock", "again.lock"]).ok();
    assert_eq!(project.read("again.lock"), lock);

    project.write("bad.lock", "{\"lock\": 9}");
    assert!(project.tasker(&["catalog", "--check", "bad.lock"]).ended(3).err.contains("version 9"));
}

#[test]
fn the_other_forms() {
    let locked = project("forms");
    locked.cargo(&["build", "-q"]).ok();
    let weaver = locked.tasker(&["catalog", "--format", "weaver", "--output", "registry"]).ok();
    assert!(weaver.err.contains("registry_manifest.yaml"), "{}", weaver.err);
    let registry = locked.read("registry/catalog.yaml");
    for part in [
        "  - id: event.payment.risk_flagged\n    type: event\n    name: payment.risk_flagged\n",
        "      - id: score\n        type: int\n",
        "      - ref: payment_id\n        requirement_level: required\n",
        "metric_name: tasker.step.duration\n    instrument: histogram\n    unit: \"s\"\n",
    ] {
        assert!(registry.contains(part), "{part}\n{registry}");
    }
    let markdown = locked.tasker(&["catalog", "--format", "markdown"]).ok().out;
    assert!(markdown.contains("### `payment.risk_flagged`"));
    locked.tasker(&["catalog", "--format", "html", "--output", "catalog.html"]).ok();
    let page = locked.read("catalog.html");
    assert!(
        page.contains("id=\"event-payment.risk_flagged\"") && !page.contains("http://") && !page.contains("https://")
    );

    locked.tasker(&["dashboards", "--output", "look", "--title", "Shop & Co"]).ok();
    let dashboard: serde_json::Value = serde_json::from_str(&locked.read("look/dashboard.json")).unwrap();
    assert_eq!(dashboard["title"], "Shop & Co");
    assert!(locked.read("look/dashboard.json").contains("`charge`"));
    assert!(locked.read("look/rules.yml").contains("alert: TaskerTaskFailures"));
    let refused = locked.tasker(&["dashboards", "--output", "look", "--title", "Other"]).ended(2);
    assert!(refused.err.contains("--force"), "{}", refused.err);
    let shown = locked.tasker(&["dashboards", "--output", "look", "--title", "Other", "--dry-run"]).ok().out;
    assert!(shown.contains("-  \"title\": \"Shop & Co\"") && shown.contains("+  \"title\": \"Other\""), "{shown}");
    locked.tasker(&["dashboards", "--output", "look", "--failure-ratio", "0.2", "--force"]).ok();
    assert!(locked.read("look/rules.yml").contains("> 0.2"));
}
