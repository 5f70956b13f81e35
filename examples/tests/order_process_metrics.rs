//! The metrics that `order_process` prints are those of its events, number for number.
//!
//! `cargo test -p examples` builds the program before it runs this.

use std::process::Command;

use serde_json::Value;

fn stdout(args: &[&str]) -> String {
    let mut program = std::env::current_exe().unwrap();
    program.pop(); // this test
    program.pop(); // deps
    program.push("examples");
    program.push(format!("order_process{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(program).args(args).args(["--speed", "30"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The sum of the lines of a metric that contain all these labels.
fn sum(page: &str, metric: &str, labels: &[&str]) -> usize {
    let lines = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(metric));
    let wanted = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    wanted.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

#[test]
fn the_metrics_are_those_of_the_events() {
    let events: Vec<Value> = stdout(&["--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let page = stdout(&["--metrics", "prometheus"]);
    let count = |name: &str, step: Option<&Value>| {
        events
            .iter()
            .filter(|event| event["event"] == name && step.is_none_or(|step| event["step_name"] == *step))
            .count()
    };
    for (what, event, status) in [
        ("task", "task.completed", "success"),
        ("task", "task.failed", "failure"),
        ("task", "task.cancelled", "cancelled"),
        ("step", "step.completed", "success"),
        ("step", "step.failed", "failure"),
        ("step", "step.cancelled", "cancelled"),
    ] {
        let metric = format!("tasker_{what}_executions_total");
        assert_eq!(sum(&page, &metric, &[&format!("status=\"{status}\"")]), count(event, None), "{event}");
    }
    assert!(count("step.failed", None) > 0 && count("step.retry_requested", None) > 0);
    for event in &events {
        let step = &event["step_name"];
        let label = format!("step_name={step}");
        if event["event"] == "step.completed" {
            let seen = sum(&page, "tasker_step_executions_total", &[&label, "status=\"success\""]);
            assert_eq!(seen, count("step.completed", Some(step)), "{step}");
            let retries = sum(&page, "tasker_step_retries_total", &[&label]);
            assert_eq!(retries, count("step.retry_requested", Some(step)), "{step}");
            let timed = count("step.completed", Some(step)) + count("step.failed", Some(step));
            assert_eq!(sum(&page, "tasker_step_duration_seconds_count", &[&label]), timed, "{step}");
        }
    }
    assert!(page.contains("tasker_tasks_in_progress{task_name=\"order_process\"} 0\n"));
}

#[test]
fn each_format_is_printed_alone() {
    assert!(stdout(&["--metrics", "openmetrics"]).ends_with("# EOF\n"));
    let json: Value = serde_json::from_str(&stdout(&["--metrics", "json"])).unwrap();
    assert!(json["metrics"]["counters"].as_array().is_some_and(|counters| !counters.is_empty()));
    assert!(stdout(&["--metrics", "csv"]).starts_with("name,type,labels,value,count,sum,le,timestamp\n"));
}
