//! What `examples/observability` holds works: promtool accepts the rules and their tests, a real Prometheus that scrapes
//! `order_process --serve` evaluates them, and each query of the dashboard gives data. Run by `scripts/test-services`.
#![cfg(feature = "services")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use integration_tests::services::{Prometheus, encoded, get, wait_for};
use serde_json::Value as Json;
use trace_kit::server::Server;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/observability").canonicalize().unwrap()
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    for arguments in [["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]] {
        let said =
            Command::new("promtool").args(arguments).current_dir(folder()).output().expect("promtool is installed");
        let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && !text.contains("FAILED"), "{text}");
    }
}

fn promtool_finds_nothing_to_say_about(page: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool is installed");
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && text.is_empty(), "{}: {text}", said.status);
}

/// `order_process --serve`, and where it serves.
fn shop() -> (Server, std::net::SocketAddr) {
    let mut program = std::env::current_exe().unwrap();
    program.pop(); // this test
    program.pop(); // deps
    program.push("examples/order_process");
    let mut command = Command::new(program);
    let server = Server::start(command.args(["--serve", "127.0.0.1:0", "--speed", "0.3", "--metrics", "prometheus"]));
    let address = wait_for("where it serves", || {
        let said = server.complained();
        let address = said.lines().next().and_then(|line| line.strip_prefix("http://")?.strip_suffix("/metrics"));
        address.and_then(|address| address.parse().ok()).ok_or(said)
    });
    (server, address)
}

#[test]
fn a_prometheus_fed_by_the_example_answers_each_query() {
    let (_shop, target) = shop();
    let (status, page) = get(target, "/metrics");
    assert!(status == 200 && page.contains("shop_parcels_total"), "{status} {page}");
    assert_eq!(get(target, "/health").0, 200);
    promtool_finds_nothing_to_say_about(&page);
    let config = format!(
        "global: {{scrape_interval: 200ms, evaluation_interval: 500ms}}\nrule_files: ['{}']\nscrape_configs:\n\
         - {{job_name: shop, static_configs: [{{targets: ['{target}']}}]}}\n",
        folder().join("rules.yml").display()
    );
    let prometheus = Prometheus::start("observability", &config);
    // All orders are done.
    prometheus
        .wait_for("sum(tasker_tasks_in_progress) == 0 and sum(rate(tasker_task_executions_total[1m])) > 0", |_| true);

    promtool_finds_nothing_to_say_about(&get(target, "/metrics").1);

    // Rules: all are loaded and well; records have data; alerts compare something that is there.
    let rules = wait_for("rules", || {
        let answer = prometheus.get("/api/v1/rules");
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        let rules: Vec<Json> =
            groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect();
        let is_well = !rules.is_empty() && rules.iter().all(|rule| rule["health"] == "ok");
        if is_well { Ok(rules) } else { Err(answer.to_string()) }
    });
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert!(names.len() >= 13 && names.contains("TaskerTaskFailures"), "{names:?}");
    for rule in &rules {
        let query = rule["query"].as_str().unwrap();
        if query.contains("tasker_spans_") {
            continue;
        }
        let compared = if rule["type"] == "alerting" { query.rsplit_once(" > ").unwrap().0 } else { query };
        has_data(&prometheus, compared);
    }

    // The dashboard, as Grafana would ask it.
    let dashboard: Json =
        serde_json::from_str(&std::fs::read_to_string(folder().join("dashboard.json")).unwrap()).unwrap();
    let mut asked = 0;
    for target in dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
    {
        // The example exports no spans.
        if target["expr"].as_str().is_some_and(|expr| expr.contains("tasker_spans_")) {
            continue;
        }
        let expr = target["expr"].as_str().unwrap().replace("$__rate_interval", "5m").replace("$task_name", ".*");
        has_data(&prometheus, &expr);
        asked += 1;
    }
    assert!(asked >= 18, "{asked}");
    let variable = dashboard["templating"]["list"][1]["query"].as_str().unwrap();
    assert_eq!(variable, "label_values(tasker_task_executions_total, task_name)");
    let path = format!("/api/v1/label/task_name/values?match[]={}", encoded("tasker_task_executions_total"));
    assert!(
        prometheus.get(&path)["data"].as_array().is_some_and(|names| names.iter().any(|name| name == "order_process"))
    );
}

fn has_data(prometheus: &Prometheus, query: &str) {
    wait_for(query, || {
        let answer = prometheus.query(query);
        let series = answer["data"]["result"].as_array().map_or(0, Vec::len);
        if series > 0 { Ok(()) } else { Err(answer.to_string()) }
    });
}
