//! One task over three processes of the operating system: one trace, one root, whatever happens to a process in between.
//!
//! Each process is this test program again, told by a variable which part it plays.

use std::collections::{BTreeMap, HashSet};
use std::env;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::{Carrier, Otlp, Sampling};
use trace_kit::span::StatusCode;
use trace_kit::{Checker, Sink, checker};

const ROLE: &str = "TASKER_TEST_ROLE";
const FOLDER: &str = "TASKER_TEST_FOLDER";
const ENDPOINT: &str = "TASKER_TEST_ENDPOINT";

const TASK: &str = "tasker.task.execution";
const STEP: &str = "tasker.step.execution";

#[step]
async fn prepare(order: u64) -> u64 {
    order
}

#[step]
async fn transport(order: u64) -> u64 {
    order
}

#[step]
async fn deliver(order: u64) -> Result<u64, String> {
    Ok(order)
}

/// Stays in its step until it is killed.
#[step]
async fn deliver_for_ever() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[task(name = "order", id = format!("order {order}"), fields(order))]
async fn begins(order: u64) -> Carrier {
    prepare(order).await;
    TaskScope::current().expect("inside a task").hand_over()
}

/// Writes every event at once, as whoever wants to have seen it before a crash does.
#[derive(Debug, Subscriber)]
#[subscribe("*")]
#[subscriber(manual, inline)]
struct Lines(Mutex<File>);

impl Lines {
    fn handle_event(&self, event: &EventRecord) {
        let line = format!("{}\n", serde_json::to_string(event).expect("events are JSON"));
        self.0.lock().expect("nobody panics here").write_all(line.as_bytes()).expect("the file can be written");
    }
}

fn folder() -> PathBuf {
    env::var_os(FOLDER).expect("the parent says which").into()
}

fn telemetry(role: &str, sampling: Sampling) -> Telemetry {
    let otlp =
        Otlp::http().endpoint(env::var(ENDPOINT).expect("the parent says which")).delay(Duration::from_millis(20));
    let lines = File::create(folder().join(format!("{role}.events"))).expect("the folder can be written");
    let builder = Telemetry::builder().auto_subscribers(false).service_name(role).otlp_with(otlp).sampling(sampling);
    let builder = if role.starts_with("many") { builder } else { builder.subscriber(Lines(Mutex::new(lines))) };
    builder.shutdown_timeout(Duration::from_secs(20)).install().expect("the only one of this process")
}

fn read_carrier() -> Carrier {
    serde_json::from_slice(&fs::read(folder().join("carrier")).expect("it is there")).expect("a carrier")
}

/// The part that this process plays; without one, this is no process of the tests below.
#[test]
fn role() {
    let Ok(role) = env::var(ROLE) else { return };
    let sampling = match env::var("TASKER_TEST_KEEP").as_deref() {
        _ if !role.starts_with("many") => Sampling::all(),
        Ok("yes") => Sampling::ratio(0.1).keep_failures(),
        _ => Sampling::ratio(0.1),
    };
    let telemetry = telemetry(&role, sampling);
    match role.as_str() {
        "first" => {
            let carrier = block_on(begins(7));
            fs::write(folder().join("carrier"), serde_json::to_vec(&carrier).expect("plain data")).expect("written");
        }
        "second" => {
            let task = TaskScope::resume(read_carrier());
            block_on(task.scope(async {
                transport(7).await;
                deliver_for_ever().await;
            }));
        }
        "third" => {
            let task = TaskScope::resume(read_carrier());
            block_on(task.scope(deliver(7))).expect("it can be delivered");
            task.complete();
        }
        "many-first" => {
            let tasks = env::var("TASKER_TEST_TASKS").expect("the parent says how many").parse().expect("a number");
            write_carriers("many-first", (0..tasks).map(|order| block_on(begins(order))));
        }
        "many-second" => {
            write_carriers(
                "many-second",
                carriers("many-first").map(|carrier| {
                    let task = TaskScope::resume(carrier);
                    block_on(task.scope(transport(1)));
                    task.hand_over()
                }),
            );
        }
        "many-third" => {
            for (number, carrier) in carriers("many-second").enumerate() {
                let task = TaskScope::resume(carrier);
                let _ = block_on(task.scope(deliver(1)));
                if number % 20 == 0 { task.fail(&std::fmt::Error) } else { task.complete() }
            }
        }
        other => panic!("no part is called {other}"),
    }
    telemetry.shutdown_blocking().expect("everything is exported");
}

fn write_carriers(role: &str, carriers: impl Iterator<Item = Carrier>) {
    let mut file = BufWriter::new(File::create(folder().join(role)).expect("the folder can be written"));
    for carrier in carriers {
        serde_json::to_writer(&mut file, &carrier).expect("plain data");
        file.write_all(b"\n").expect("the file can be written");
    }
}

fn carriers(role: &str) -> impl Iterator<Item = Carrier> {
    let lines = BufReader::new(File::open(folder().join(role)).expect("it is there")).lines();
    lines.map(|line| serde_json::from_str(&line.expect("text")).expect("a carrier"))
}

/// A folder of one test, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("tasker-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder can be written");
        Self(folder)
    }

    fn events(&self, role: &str) -> Vec<Json> {
        checker::json_lines(&fs::read_to_string(self.0.join(format!("{role}.events"))).unwrap_or_default())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(role: &str, folder: &Path, sink: &Sink, more: &[(&str, &str)]) -> Child {
    Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "role", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .env(ENDPOINT, sink.endpoint())
        .envs(more.iter().copied())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it can be started")
}

fn run(role: &str, folder: &Path, sink: &Sink, more: &[(&str, &str)]) {
    assert!(start(role, folder, sink, more).wait().expect("it ends").success(), "{role}");
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_killed_process_leaves_one_whole_trace() {
    let (sink, scratch) = (Sink::start(), Scratch::new("killed"));
    run("first", &scratch.0, &sink, &[]);
    let mut second = start("second", &scratch.0, &sink, &[]);
    let started = |events: &[Json]| {
        let step =
            events.iter().find(|event| event["event"] == "step.started" && event["step_name"] == "deliver_for_ever");
        step.map(|event| event["span_id"].as_str().expect("events are traced").to_owned())
    };
    until("the second process is in mid-step, its first step exported", || {
        started(&scratch.events("second")).is_some() && sink.span_count() == 2
    });
    second.kill().expect("SIGKILL");
    second.wait().expect("it is dead");
    std::thread::sleep(Duration::from_millis(50));
    run("third", &scratch.0, &sink, &[]);

    let events: Vec<_> = ["first", "second", "third"].iter().flat_map(|role| scratch.events(role)).collect();
    let spans = sink.spans();
    let report = Checker::new().resumed(["order 7"]).check(&spans, &events).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(report.tasks, 1);

    assert_eq!(spans.iter().map(|span| &span.trace_id).collect::<HashSet<_>>().len(), 1, "one trace");
    let roots: Vec<_> = spans.iter().filter(|span| span.name == TASK).collect();
    let [root] = roots[..] else { panic!("one root: {roots:#?}") };
    let steps: Vec<_> = spans.iter().filter(|span| span.name == STEP).collect();
    assert_eq!(steps.len(), 3);
    assert!(steps.iter().all(|step| step.parent_span_id == root.span_id), "no orphan");
    let first = steps.iter().map(|step| step.start).min().unwrap();
    let last = steps.iter().map(|step| step.end).max().unwrap();
    assert!(root.start <= first && root.end >= last, "true start, total duration");

    // The killed attempt: its start was seen, under the trace's id, and no end and no span ever were.
    let killed = started(&scratch.events("second")).unwrap();
    let of_killed: Vec<_> = events.iter().filter(|event| event["span_id"] == killed.as_str()).collect();
    let names: Vec<_> = of_killed.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["step.execution_requested", "step.started"]);
    assert_eq!(of_killed[1]["trace_id"], root.trace_id.as_str());
    assert!(spans.iter().all(|span| span.span_id != killed));
}

/// How many spans the traces have, and how many of their roots failed.
fn through_three_processes(tasks: u64, keep: &str) -> (Vec<usize>, usize) {
    let (sink, scratch) = (Sink::start(), Scratch::new(&format!("many-{keep}")));
    let tasks = tasks.to_string();
    for role in ["many-first", "many-second", "many-third"] {
        run(role, &scratch.0, &sink, &[("TASKER_TEST_TASKS", &tasks), ("TASKER_TEST_KEEP", keep)]);
    }
    let (mut traces, mut failed) = (BTreeMap::<String, Vec<String>>::new(), 0);
    for span in sink.spans() {
        failed += usize::from(span.name == TASK && span.status == StatusCode::Error);
        let step = span.attributes.get("tasker.step_name").map_or_else(|| TASK.to_owned(), |step| format!("{step:?}"));
        traces.entry(span.trace_id).or_default().push(step);
    }
    let whole = |spans: &mut Vec<String>| {
        spans.sort();
        spans.dedup();
        spans.len()
    };
    (traces.values_mut().map(whole).collect(), failed)
}

/// Three standard deviations around a tenth of that many.
fn about_a_tenth(share: usize, of: usize) -> bool {
    let (share, of) = (f64::from(u32::try_from(share).unwrap()), f64::from(u32::try_from(of).unwrap()));
    (share - of * 0.1).abs() <= 3.0 * (of * 0.1 * 0.9).sqrt()
}

#[test]
fn sampled_traces_are_whole_or_absent() {
    let (traces, _) = through_three_processes(10_000, "no");
    assert!(traces.iter().all(|spans| *spans == 4), "whole or absent");
    assert!(about_a_tenth(traces.len(), 10_000), "{}", traces.len());
}

#[test]
fn failed_tasks_are_kept_whole() {
    let (traces, failed) = through_three_processes(10_000, "yes");
    assert!(traces.iter().all(|spans| *spans == 4), "whole or absent");
    assert_eq!(failed, 500, "every failed one");
    assert!(about_a_tenth(traces.len() - failed, 9_500), "{}", traces.len());
}
