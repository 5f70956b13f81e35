//! The program under test, many times over, and what its processes said.

#![allow(dead_code, reason = "each test uses a part")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

/// A folder for the files of one test, gone at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// The program, with these arguments.
pub(crate) fn program(args: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_order_process_distributed"));
    program.args(args);
    program
}

/// Runs the program to its end, and gives the events that it printed.
pub(crate) fn run(args: &[&str]) -> Vec<Json> {
    let output = program(args).arg("--json").output().expect("it can be started");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    events(&String::from_utf8(output.stdout).expect("JSON is UTF-8"))
}

/// One worker under way, whose events go to a file.
pub(crate) struct Worker {
    child: Child,
    events: PathBuf,
}

impl Worker {
    pub(crate) fn start(folder: &Folder, name: &str, args: &[&str]) -> Self {
        let events = folder.path(&format!("{name}.jsonl"));
        let child = program(&["worker", "--json"])
            .args(args)
            .stdout(File::create(&events).expect("a file for the events"))
            .stderr(File::create(folder.path(&format!("{name}.log"))).expect("a file for the log"))
            .stdin(Stdio::null())
            .spawn()
            .expect("it can be started");
        Self { child, events }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it can be asked").is_none()
    }

    /// SIGKILL: it says nothing more.
    pub(crate) fn kill(mut self) -> Vec<Json> {
        self.child.kill().expect("it can be killed");
        let _ = self.child.wait();
        self.printed()
    }

    pub(crate) fn wait(mut self) -> Vec<Json> {
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{}: {status}", self.events.display());
        self.printed()
    }

    fn printed(&self) -> Vec<Json> {
        events(&std::fs::read_to_string(&self.events).expect("the events"))
    }
}

/// The events printed, but for a last line that a killed process did not finish.
fn events(text: &str) -> Vec<Json> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// What happened, without when and under which ids: so often each.
///
/// Left out are the events of an engine, which an embedded run has none of, and the class of a failed task: the error that a node
/// returns reaches the engine in a box, and is called by the class of the step that failed.
pub(crate) fn happened(events: &[Json]) -> BTreeMap<String, usize> {
    const TOLD: [&str; 14] = [
        "event",
        "task_id",
        "task_name",
        "step_name",
        "attempt_number",
        "retry_limit",
        "error_message",
        "retryable",
        "total_steps",
        "completed_steps",
        "failed_steps",
        "step_inputs",
        "context",
        "risk_score",
    ];
    let mut happened = BTreeMap::new();
    for event in events {
        let name = event["event"].as_str().expect("an event's name");
        if name.starts_with("workflow.") || name.starts_with("observability.task.") {
            continue;
        }
        let mut facts: Vec<_> =
            TOLD.iter().filter_map(|field| Some(format!("{field}={}", event.get(field)?))).collect();
        if name != "task.failed" {
            facts.extend(event.get("error_class").map(|class| format!("error_class={class}")));
        }
        *happened.entry(facts.join(" ")).or_default() += 1;
    }
    happened
}

/// What the two differ in; empty if in nothing.
pub(crate) fn difference(one: &BTreeMap<String, usize>, other: &BTreeMap<String, usize>) -> Vec<String> {
    let all: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let count = |of: &BTreeMap<String, usize>, fact: &str| of.get(fact).copied().unwrap_or(0);
    let differ = all.into_iter().filter(|fact| count(one, fact) != count(other, fact));
    differ.map(|fact| format!("{} and {}: {fact}", count(one, fact), count(other, fact))).collect()
}

/// How many events of that name.
pub(crate) fn count(events: &[Json], name: &str) -> usize {
    events.iter().filter(|event| event["event"] == name).count()
}

/// The ids of the tasks that these events are about.
pub(crate) fn task_ids(events: &[Json]) -> BTreeSet<String> {
    events.iter().filter_map(|event| event["task_id"].as_str().map(str::to_owned)).collect()
}
