//! `examples/observability` is what the catalog of `order_process` says today. `scripts/bless` writes it anew.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn printed(form: &str) -> String {
    let mut program = std::env::current_exe().unwrap();
    program.pop(); // this test
    program.pop(); // deps
    program.push("examples");
    program.push(format!("order_process{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(program).args(["--catalog", form]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn is_up_to_date(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("observability").join(file);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == written, "examples/observability/{file} is out of date: run scripts/bless");
}

#[test]
fn the_rules_are_up_to_date() {
    is_up_to_date("rules.yml", &printed("rules"));
}

#[test]
fn the_dashboard_is_up_to_date_and_shows_every_metric() {
    let text = printed("dashboard");
    is_up_to_date("dashboard.json", &text);
    let catalog: Value = serde_json::from_str(&printed("json")).unwrap();
    let metrics = catalog["metrics"].as_array().unwrap();
    assert!(metrics.iter().any(|metric| metric["name"] == "shop_risk_score"));
    for metric in metrics {
        assert!(text.contains(metric["name"].as_str().unwrap()), "{metric} is on no panel");
    }
}

#[test]
fn panels_have_their_own_places() {
    let dashboard: Value = serde_json::from_str(&printed("dashboard")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let number = |panel: &Value, name: &str| panel["gridPos"][name].as_u64().unwrap();
    for (index, a) in panels.iter().enumerate() {
        assert_eq!(a["id"], index + 1);
        assert!(number(a, "x") + number(a, "w") <= 24);
        for b in &panels[..index] {
            let apart = |at: &str, size: &str| {
                number(a, at) >= number(b, at) + number(b, size) || number(b, at) >= number(a, at) + number(a, size)
            };
            assert!(apart("x", "w") || apart("y", "h"), "{} lies on {}", a["title"], b["title"]);
        }
    }
}
