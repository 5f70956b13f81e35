//! The main job against real collectors: `order_process --json --otlp URL`, and what arrived is read back and compared span by
//! span with the events that it printed. Run by `scripts/test-services`, which builds the program first.
#![cfg(feature = "services")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use trace_kit::receivers::{Autotel, Rotel};
use trace_kit::span::{Fidelity, ReceivedSpan};
use trace_kit::{Checker, checker};

const SOON: Duration = Duration::from_secs(30);

/// The example, which Cargo puts beside the tests.
fn program() -> PathBuf {
    let mut program = std::env::current_exe().expect("this program");
    program.pop();
    program.pop();
    program.push("examples/order_process");
    assert!(program.exists(), "{}: run scripts/test-services", program.display());
    program
}

/// Runs all orders, and holds what is read back against the events that the program printed.
fn arrives(url: &str, protocol: &str, fidelity: Fidelity, read: impl FnOnce(usize) -> Vec<ReceivedSpan>) {
    let output = Command::new(program())
        .args(["--json", "--speed", "20", "--otlp", url])
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        .output()
        .expect("it can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let events = checker::json_lines(&String::from_utf8(output.stdout).expect("JSON is UTF-8"));
    let is_end = |event: &&serde_json::Value| {
        let ends =
            ["task.completed", "task.failed", "task.cancelled", "step.completed", "step.failed", "step.cancelled"];
        ends.iter().any(|end| event["event"] == *end)
    };
    let ended = events.iter().filter(is_end).count();
    let received = read(ended);
    let checker = Checker::new().service("shop").fidelity(fidelity);
    let report = checker.check(&received, &events).unwrap_or_else(|mismatches| panic!("{mismatches}"));
    assert_eq!((report.tasks, report.tasks + report.attempts), (44, ended));
    let shown = format!("{received:?}");
    let secrets = include_str!("../../examples/data/orders.json");
    let secrets: Vec<_> = secrets
        .split('"')
        .filter(|text| {
            text.contains('@') || (text.len() >= 12 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b' '))
        })
        .collect();
    assert!(secrets.len() > 80, "card numbers and addresses");
    assert!(secrets.iter().all(|secret| !shown.contains(secret)), "a secret left the process");
}

#[test]
fn over_http_to_rotel() {
    let rotel = Rotel::start();
    arrives(&rotel.http_endpoint(), "http/protobuf", Rotel::FIDELITY, |spans| rotel.wait_for_spans(spans, SOON));
}

#[test]
fn over_grpc_to_rotel() {
    let rotel = Rotel::start();
    arrives(&rotel.grpc_endpoint(), "grpc", Rotel::FIDELITY, |spans| rotel.wait_for_spans(spans, SOON));
}

#[test]
fn over_http_to_autotel() {
    let autotel = Autotel::start();
    arrives(&autotel.http_endpoint(), "http/protobuf", Autotel::FIDELITY, |spans| autotel.wait_for_spans(spans, SOON));
}
