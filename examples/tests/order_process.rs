//! The example `order_process`, run as a program: what it promises on its help page and in the README.
//!
//! `cargo test` builds the examples before it runs this; `cargo test --test order_process` alone does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

const ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/orders.json");

/// The program that `cargo test` built: the examples are next to the folder of this test.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop(); // this test
    path.pop(); // deps
    path.push("examples");
    path.push(format!("order_process{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built: run `cargo test -p examples`", path.display());
    path
}

fn run(args: &[&str]) -> Output {
    Command::new(program()).args(args).env_remove("NO_COLOR").output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The output of a run with all orders, fast, with the usual seed: as JSON lines, and for people. Run once.
fn json_run() -> &'static Output {
    static RUN: OnceLock<Output> = OnceLock::new();
    RUN.get_or_init(|| run(&["--json", "--speed", "20"]))
}

fn human_run() -> &'static Output {
    static RUN: OnceLock<Output> = OnceLock::new();
    RUN.get_or_init(|| run(&["--speed", "20"]))
}

fn events(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

fn orders() -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(ORDERS).unwrap()).unwrap()
}

/// What an event says apart from times and identities, and how often it was said.
fn outcomes(events: &[Value]) -> BTreeMap<[String; 5], usize> {
    let mut outcomes = BTreeMap::new();
    for event in events {
        let key =
            ["task_id", "event", "step_name", "attempt_number", "error_class"].map(|field| event[field].to_string());
        *outcomes.entry(key).or_default() += 1;
    }
    outcomes
}

fn count(events: &[Value], event: &str, step: Option<&str>) -> usize {
    let matches = |seen: &&Value| seen["event"] == event && step.is_none_or(|step| seen["step_name"] == step);
    events.iter().filter(matches).count()
}

#[test]
fn the_same_seed_gives_the_same_outcome_of_every_attempt() {
    let first = outcomes(&events(json_run()));
    assert_eq!(first, outcomes(&events(&run(&["--json", "--speed", "50"]))), "with another timing");
    let other = events(&run(&["--json", "--speed", "20", "--seed", "7"]));
    assert_ne!(first, outcomes(&other), "with another seed");
}

#[test]
fn json_lines_are_events_with_the_fields_of_the_contract() {
    let common = ["event", "event_id", "event_type", "timestamp", "task_id", "task_name", "correlation_id"];
    let common = [&common[..], &["trace_id", "span_id"]].concat();
    let of_steps = ["step_id", "step_name", "attempt_number"];
    let ended = ["started_at", "completed_at", "execution_duration"];
    let failed = ["error_message", "error_class", "error_chain", "backtrace"];
    let events = events(json_run());
    assert!(events.len() > 1_000);
    for event in &events {
        let name = event["event"].as_str().unwrap();
        let mut fields = common.clone();
        if name.starts_with("step.") {
            fields.extend(of_steps);
        }
        fields.extend(match name {
            "task.initialize_requested" => &["context"][..],
            "task.start_requested" => &["started_at"],
            "step.execution_requested" => &["retry_limit", "step_inputs"],
            "step.started" => &["started_at", "queue_time"],
            "step.retry_requested" => &["retry_reason", "backoff_seconds", "backoff_strategy"],
            "step.max_retries_reached" => &["retry_limit", "error_message"],
            "observability.step.backoff" => &["backoff_seconds", "backoff_type", "attempt_number"],
            "payment.risk_flagged" => &["order_id", "amount", "risk_score", "card_number"],
            _ => &[],
        });
        match name {
            "task.completed" | "task.failed" => fields.extend(["total_steps", "completed_steps", "failed_steps"]),
            "step.completed" | "step.failed" => fields.push("retry_limit"),
            _ => {}
        }
        if name.ends_with(".completed") || name.ends_with(".failed") {
            fields.extend(ended);
        }
        if name.ends_with(".failed") {
            fields.extend(failed);
        }
        if name == "step.failed" {
            fields.push("retryable");
        }
        for field in fields {
            assert!(event.get(field).is_some(), "{name} has no {field}: {event}");
        }
    }
}

#[test]
fn every_attempt_begins_once_and_ends_once_and_tasks_do_too() {
    let events = events(json_run());
    let orders = orders().len();
    assert_eq!(count(&events, "task.initialize_requested", None), orders);
    assert_eq!(count(&events, "task.completed", None) + count(&events, "task.failed", None), orders);

    let mut attempts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for event in &events {
        let name = event["event"].as_str().unwrap();
        if name.starts_with("step.") {
            let attempt = format!("{} {} {}", event["task_id"], event["step_id"], event["attempt_number"]);
            attempts.entry(attempt).or_default().push(name);
        }
    }
    for (attempt, names) in attempts {
        match names[..] {
            ["step.execution_requested", "step.started", "step.completed" | "step.failed"]
            | [
                "step.execution_requested",
                "step.started",
                "step.failed",
                "step.retry_requested" | "step.max_retries_reached",
            ] => {}
            _ => panic!("{attempt}: {names:?}"),
        }
    }
}

#[test]
fn the_orders_show_what_they_are_there_for() {
    let events = events(json_run());
    let orders = orders();
    assert!(orders.len() >= 40 && orders.iter().all(|order| order["lines"].as_array().unwrap().len() >= 2));
    let has_failed = |class: &str| {
        let is =
            |event: &&Value| event["event"] == "step.failed" && event["error_class"].as_str().unwrap().ends_with(class);
        events.iter().filter(is).count()
    };
    for class in [
        "PaymentError::Timeout",
        "PaymentError::RateLimited",
        "PaymentError::Declined",
        "ProductError::Unknown",
        "InventoryError::OutOfStock",
    ] {
        assert!(has_failed(class) > 0, "{class}");
    }
    assert!(count(&events, "step.max_retries_reached", Some("charge")) > 0);
    let retried_and_fine =
        |event: &&Value| event["event"] == "step.completed" && event["attempt_number"].as_u64() > Some(1);
    assert!(events.iter().filter(retried_and_fine).count() > 3);
    let flagged: Vec<_> = events.iter().filter(|event| event["event"] == "payment.risk_flagged").collect();
    assert!(!flagged.is_empty() && flagged.iter().all(|event| event["card_number"] == "[FILTERED]"));
    assert!(orders.iter().any(|order| !order["customer"]["name"].as_str().unwrap().is_ascii()));
}

#[test]
fn nothing_is_shipped_before_it_is_paid() {
    let events = events(json_run());
    let mut paid = BTreeSet::new();
    for event in &events {
        let task = event["task_id"].as_str().unwrap();
        match (event["event"].as_str().unwrap(), event["step_name"].as_str().unwrap_or_default()) {
            ("step.completed", "charge") => assert!(paid.insert(task), "paid twice: {event}"),
            (_, "create_shipment") => assert!(paid.contains(task), "not paid: {event}"),
            _ => {}
        }
    }
    assert!(paid.len() > 30);
}

#[test]
fn no_card_number_and_no_e_mail_address_is_ever_printed() {
    let bad = bad_orders("confidential", "\"quantity\": 2", "\"quantity\": \"4242424242424242\"");
    let outputs = [
        ("json", json_run().clone()),
        ("human", human_run().clone()),
        ("colour", run(&["--speed", "50", "--color", "always"])),
        ("only", run(&["--speed", "50", "--only", "ORD-1006"])),
        ("bad input", run(&["--orders", bad.to_str().unwrap()])),
        ("unknown id", run(&["--only", "4242424242424242"])),
    ];
    for (mode, output) in outputs {
        let text = format!("{}{}", stdout(&output), stderr(&output));
        let digits: String = text.chars().filter(|char| !matches!(char, ' ' | '-')).collect();
        for order in orders() {
            let card = order["payment"]["card_number"].as_str().unwrap().replace([' ', '-'], "");
            assert!(!digits.contains(&card), "{mode}: the card of {}", order["id"]);
            let email = order["customer"]["email"].as_str().unwrap();
            let local = email.split('@').next().unwrap();
            assert!(!text.contains(email) && !text.contains(local), "{mode}: the e-mail address of {}", order["id"]);
        }
    }
}

#[test]
fn the_summary_agrees_with_the_events() {
    let events = events(json_run());
    let human = stdout(human_run());
    let row = |name: &str| -> Vec<usize> {
        let line = human.lines().rfind(|line| line.split_whitespace().next() == Some(name) && line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no row {name} in\n{human}"));
        line.split_whitespace().skip(1).map_while(|word| word.parse().ok()).collect()
    };
    assert_eq!(row("completed"), [count(&events, "task.completed", None)]);
    let tasks_failed = count(&events, "task.failed", None);
    assert!(human.contains(&format!("\nfailed       {tasks_failed:>6}\n")));
    assert_eq!(row("cancelled"), [0]);

    let steps: BTreeSet<_> = events.iter().filter_map(|event| event["step_name"].as_str()).collect();
    assert!(steps.len() >= 9, "{steps:?}");
    for step in steps {
        let named = |event: &str| count(&events, event, Some(step));
        let runs: BTreeSet<_> = events
            .iter()
            .filter(|event| event["step_name"] == step)
            .map(|event| event["step_id"].to_string())
            .collect();
        let expected = [
            runs.len(),
            named("step.completed"),
            named("step.failed"),
            named("step.retry_requested"),
            named("step.max_retries_reached"),
        ];
        assert_eq!(row(step)[..5], expected, "{step}");
    }
    let said = format!("{} failed. Seed 42, {} events, 0 dropped.", tasks_failed, events.len());
    assert!(human.contains(&said), "{said} is not in\n{human}");
}

#[test]
fn a_line_for_every_event_then_trees_then_tables() {
    let human = stdout(human_run());
    let lines = human.lines().filter(|line| {
        line.contains("s ORD-") && line.trim_start().split('s').next().is_some_and(|since| since.parse::<f64>().is_ok())
    });
    assert_eq!(lines.count(), events(json_run()).len());
    for title in ["Slowest: ORD-", "Failed: ORD-", "Retried: ORD-"] {
        assert_eq!(human.lines().filter(|line| line.starts_with(title)).count(), 1, "{title}");
    }
}

#[test]
fn in_a_pipe_there_is_no_escape_sequence_unless_asked_for() {
    assert!(!human_run().stdout.contains(&0x1b) && !json_run().stdout.contains(&0x1b));
    assert!(run(&["--only", "ORD-1001", "--speed", "50", "--color", "always"]).stdout.contains(&0x1b));
    assert!(!run(&["--only", "ORD-1001", "--speed", "50", "--color", "always", "--json"]).stdout.contains(&0x1b));
    assert!(!run(&["--only", "ORD-1001", "--speed", "50", "--color", "never"]).stdout.contains(&0x1b));
}

#[test]
fn only_runs_one_order_with_the_same_outcome_as_among_others() {
    for id in ["ORD-1001", "ORD-1003", "ORD-1012"] {
        let of_all: Vec<Value> = events(json_run()).into_iter().filter(|event| event["task_id"] == id).collect();
        let alone = events(&run(&["--json", "--speed", "20", "--only", id]));
        assert_eq!(outcomes(&alone), outcomes(&of_all), "{id}");
    }
    let unknown = run(&["--only", "ORD-9999"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("orders.json") && stderr(&unknown).contains("ORD-9999"), "{}", stderr(&unknown));
    assert!(unknown.stdout.is_empty());
}

/// A copy of the orders with the first `part` replaced.
fn bad_orders(name: &str, part: &str, replacement: &str) -> PathBuf {
    let good = std::fs::read_to_string(ORDERS).unwrap();
    assert!(good.contains(part), "{part}");
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    std::fs::write(&path, good.replacen(part, replacement, 1)).unwrap();
    path
}

#[test]
fn bad_input_names_file_line_and_field_and_exits_with_2() {
    let line_of = |part: &str| {
        let good = std::fs::read_to_string(ORDERS).unwrap();
        good[..good.find(part).unwrap()].matches('\n').count() + 1
    };
    let cases = [
        ("zero", "\"quantity\": 1", "\"quantity\": 0", "quantity: must be at least 1"),
        ("negative", "\"unit_price\": ", "\"unit_price\": -", "unit_price: must not be negative"),
        ("currency", "\"PLN\"", "\"XXX\"", "orders[1].payment.currency: unknown currency `XXX`"),
        ("type", "\"cart_id\": 70448", "\"cart_id\": true", "orders[1].cart_id: must be a number, found true or false"),
        ("twice", "\"ORD-1002\"", "\"ORD-1001\"", "orders[1].id: `ORD-1001` is the id of the order in line 3, too"),
        (
            "card",
            "\"4242424242424242\"",
            "\"4242424242424241\"",
            "orders[0].payment.card_number: has a wrong check digit",
        ),
        ("syntax", "\"cart_id\": 70448,", "\"cart_id\": 70448", "not valid JSON: expected `,` or `}`"),
    ];
    for (name, part, replacement, says) in cases {
        let path = bad_orders(name, part, replacement);
        let output = run(&["--orders", path.to_str().unwrap()]);
        let line = if name == "syntax" { line_of(part) + 1 } else { line_of(part) };
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{name}: {text}");
        assert!(text.starts_with(&format!("error: {}:{line}:", path.display())), "{name}: line {line}, {text}");
        assert!(text.contains(says), "{name}: {text}");
        assert!(output.stdout.is_empty() && text.lines().count() == 1, "{name}: {text}");
    }
    for (name, content, says) in [
        ("missing", "[{\"id\": \"A-1\"}]", ":1:2: orders[0].cart_id: is missing"),
        ("empty", "", ":1:1: not valid JSON: EOF while parsing a value"),
        ("object", "{}", ":1:1: orders: must be a list, found an object"),
    ] {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
        std::fs::write(&path, content).unwrap();
        let output = run(&["--orders", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(stderr(&output).trim_end(), format!("error: {}{says}", path.display()));
    }
    let absent = run(&["--orders", "no/such/file.json"]);
    assert_eq!(absent.status.code(), Some(2));
    assert!(stderr(&absent).starts_with("error: no/such/file.json: "), "{}", stderr(&absent));
    for args in [
        &["--speed", "0"][..],
        &["--seed", "x"],
        &["--colour", "no"],
        &["--sampling", "1.5"],
        &["--otlp", ""],
        &["--otlp", "ftp://h"],
        &["--metrics-out", "no/such/folder/m.txt"],
        &["--json", "--metrics", "csv"],
    ] {
        let output = run(args);
        assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{args:?}");
        assert!(stderr(&output).starts_with("error: "), "{args:?}: {}", stderr(&output));
    }
}
