//! What `order_process` says of its spans, and what of them arrives over OTLP.
//!
//! `cargo test -p examples` builds the program before it runs this.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::Value;

fn run(args: &[&str]) -> Output {
    let mut program = std::env::current_exe().unwrap();
    program.pop(); // this test
    program.pop(); // deps
    program.push("examples");
    program.push(format!("order_process{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(program).args(args).args(["--speed", "30"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn events(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The ends that are spans: of tasks, and of attempts.
fn ends(events: &[Value]) -> Vec<&Value> {
    let ends = ["task.completed", "task.failed", "step.completed", "step.failed"];
    events.iter().filter(|event| ends.iter().any(|end| event["event"] == *end)).collect()
}

/// First line and body.
type Request = (String, Vec<u8>);

/// A server that takes whatever is sent to it.
struct Backend {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Backend {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let theirs = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let requests = Arc::clone(&theirs);
                std::thread::spawn(move || serve(&stream.unwrap(), &requests));
            }
        });
        Self { url, requests }
    }

    fn body(&self) -> Vec<u8> {
        self.requests.lock().unwrap().iter().flat_map(|(_, body)| body.clone()).collect()
    }
}

fn serve(stream: &TcpStream, requests: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head.push(line.to_ascii_lowercase());
        }
        let length = head.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap()];
        reader.read_exact(&mut body).unwrap();
        requests.lock().unwrap().push((head[0].clone(), body));
        let mut stream = stream;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn everything_combines_in_one_run() {
    let backend = Backend::start();
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("metrics.csv");
    let path = file.to_str().unwrap();
    let args = ["--json", "--otlp", &backend.url, "--metrics", "csv", "--metrics-out", path, "--keep-failures"];
    let output = run(&args);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output);
    let metrics = std::fs::read_to_string(&file).unwrap();
    assert!(metrics.starts_with("name,type,labels,value,count,sum,le,timestamp\n") && metrics.lines().count() > 10);

    let ends = ends(&events);
    let spans: BTreeSet<_> = ends.iter().map(|event| event["span_id"].as_str().unwrap()).collect();
    assert_eq!(spans.len(), ends.len(), "one end, one span");
    let body = backend.body();
    for event in ends {
        let mut ids = b"\x0a\x10".to_vec(); // OTLP's fields 1 and 2, of 16 and 8 bytes
        ids.extend(bytes(event["trace_id"].as_str().unwrap()));
        ids.extend(b"\x12\x08");
        ids.extend(bytes(event["span_id"].as_str().unwrap()));
        assert!(contains(&body, &ids), "not exported: {event}");
    }
    let requests = backend.requests.lock().unwrap();
    assert!(requests.iter().all(|(line, _)| line.starts_with("post /v1/traces ")));
}

#[test]
fn the_summary_says_what_was_exported_and_which_trace_to_look_at() {
    let backend = Backend::start();
    let output = run(&["--otlp", &backend.url]);
    let last = stdout(&output).trim_end().lines().last().unwrap();
    let json = run(&["--json"]);
    let events = events(&json);
    assert!(last.starts_with(&format!("{} spans exported over OTLP, 0 dropped. Slowest: ORD-", ends(&events).len())));
    let (id, trace) = last.trim_end_matches('.').split_once("Slowest: ").unwrap().1.split_once(", trace ").unwrap();
    assert!(stdout(&output).contains(&format!("\nSlowest: {id}, ")), "{last}");
    let of_task = events.iter().find(|event| event["task_id"] == id).unwrap();
    assert_eq!(of_task["trace_id"], trace);
    assert!(contains(&backend.body(), &bytes(trace)));
}

#[test]
fn a_backend_that_is_not_there_changes_nothing_but_the_books() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let output = run(&["--only", "ORD-1001", "--otlp", &url]);
    let last = stdout(&output).trim_end().lines().last().unwrap();
    assert!(last.starts_with("0 spans exported over OTLP, ") && last.contains(" dropped (export_failed "), "{last}");
    assert!(stdout(&output).contains("1 shipped, 0 failed"));

    let json = run(&["--only", "ORD-1001", "--otlp", &url, "--json"]);
    assert!(!events(&json).is_empty());
    assert!(String::from_utf8_lossy(&json.stderr).starts_with("warning: 0 spans exported over OTLP, "));
}

#[test]
fn sampling_drops_traces_whole_and_failures_are_kept() {
    let json = run(&["--json"]);
    let events = events(&json);
    let failed: BTreeSet<_> = events
        .iter()
        .filter(|event| event["event"] == "task.failed")
        .map(|event| event["task_id"].to_string())
        .collect();
    let of_failed = ends(&events).iter().filter(|event| failed.contains(&event["task_id"].to_string())).count();
    for (args, spans) in [(&["--sampling", "0"][..], 0), (&["--sampling", "0", "--keep-failures"], of_failed)] {
        let output = run(args);
        let text = stdout(&output);
        assert!(text.ends_with(&format!("\n{spans} spans exported, 0 dropped.\n")), "{args:?}: {text}");
        assert_eq!(text.contains("\nSlowest: ORD-"), spans > 0);
        assert!(text.contains(&format!(" {} events, 0 dropped.", events.len())), "events are not sampled");
    }
}
