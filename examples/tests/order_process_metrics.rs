//! The metrics that `order_process` prints are those of its events, number for number.
//!
//! `cargo test -p examples` builds the program before it runs this.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The program, thirty times as fast as it simulates.
fn command(args: &[&str]) -> Command {
    let mut program = std::env::current_exe().unwrap();
    program.pop(); // this test
    program.pop(); // deps
    program.push("examples");
    program.push(format!("order_process{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(program);
    command.args(args).args(["--speed", "30"]);
    command
}

fn stdout(args: &[&str]) -> String {
    let output = command(args).output().unwrap();
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

/// A line of CSV as its cells.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut is_quoted) = (vec![String::new()], false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cells.last_mut().unwrap().push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    cells
}

/// The sum of the counters of a dotted name that have that value of a label, as the format says it.
fn counters(format: &str, page: &str, dotted: &str, label: &str, value: &str) -> u64 {
    match format {
        "prometheus" | "openmetrics" => {
            let name = format!("{}_total", dotted.replace('.', "_"));
            sum(page, &name, &[&format!("{label}=\"{value}\"")]) as u64
        }
        "json" => {
            let json: Value = serde_json::from_str(page).unwrap();
            let counters = json["metrics"]["counters"].as_array().unwrap().iter();
            let wanted = counters.filter(|series| series["name"] == dotted && series["labels"][label] == value);
            wanted.map(|series| series["value"].as_u64().unwrap()).sum()
        }
        _ => {
            let lines = page.lines().skip(1).map(cells).filter(|cells| cells[0] == dotted && cells[1] == "counter");
            let wanted = lines.filter(|cells| serde_json::from_str::<Value>(&cells[2]).unwrap()[label] == value);
            wanted.map(|cells| cells[3].parse::<u64>().unwrap()).sum()
        }
    }
}

#[test]
fn each_format_says_what_the_summary_says() {
    let summary = stdout(&["--color", "never"]);
    let number = |line: &str, column: usize| -> u64 { line.split_whitespace().nth(column).unwrap().parse().unwrap() };
    let task = |end: &str| {
        let begin = format!("{end:<13}");
        number(
            summary.lines().find(|line| line.starts_with(&begin) && line.split_whitespace().count() == 2).unwrap(),
            1,
        )
    };
    let table = summary.lines().skip_while(|line| !line.starts_with("step  ")).skip(1);
    let steps: Vec<&str> = table.take_while(|line| !line.starts_with("Durations")).collect();
    assert!(steps.len() >= 8, "{summary}");
    for format in ["prometheus", "openmetrics", "json", "csv"] {
        let page = stdout(&["--metrics", format]);
        let count = |dotted, label, value| counters(format, &page, dotted, label, value);
        for (end, status) in [("completed", "success"), ("failed", "failure"), ("cancelled", "cancelled")] {
            assert_eq!(count("tasker.task.executions", "status", status), task(end), "{format} {end}");
        }
        // step, runs, ok, failed attempts, retries, given up
        for line in &steps {
            let step = line.split_whitespace().next().unwrap();
            let attempts = count("tasker.step.executions", "step_name", step);
            assert_eq!(attempts, number(line, 2) + number(line, 3), "{format} {step}");
            assert_eq!(count("tasker.step.retries", "step_name", step), number(line, 4), "{format} {step}");
            assert_eq!(count("tasker.step.errors", "step_name", step), number(line, 3), "{format} {step}");
        }
    }
}

/// Stopped when it is dropped, also when the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_page_stays_up_when_all_orders_are_done() {
    let mut program = command(&["--serve", "127.0.0.1:0", "--metrics", "prometheus"]);
    let mut running = Running(program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(running.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address =
        line.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix("/metrics")).expect(&line).to_owned();
    let get = |path: &str, accept: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let expected = stdout(&["--metrics", "prometheus"]);
    let tasks = |page: &str| sum(page, "tasker_task_executions_total", &[]);
    let begun = Instant::now();
    while tasks(&get("/metrics", "text/plain")) < tasks(&expected) {
        assert!(begun.elapsed() < Duration::from_mins(1), "{}", get("/metrics", "text/plain"));
        std::thread::sleep(Duration::from_millis(20));
    }
    let page = get("/metrics", "text/plain");
    for metric in ["tasker_step_executions_total", "tasker_step_retries_total", "tasker_step_errors_total"] {
        assert_eq!(sum(&page, metric, &[]), sum(&expected, metric, &[]), "{metric}");
    }
    assert!(get("/metrics", "application/openmetrics-text").ends_with("# EOF\n"));
    assert!(get("/health", "*/*").contains("\"service_name\":\"shop\""));
}
