//! The example `order_process` with a store: what a killed run left is resumed by the next, nothing that ended is run again, and the
//! failures can be printed; a disk that is full harms no order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop(); // this test
    path.pop(); // deps
    path.push("examples");
    path.push(format!("order_process{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built: run `cargo test -p examples`", path.display());
    path
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tasker-order-process-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.0.join("orders.db").display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(args: &[&str]) -> Output {
    let output = Command::new(program()).args(args).args(["--color", "never"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// How each order ended, from the events of a run.
fn ends(lines: &str) -> BTreeMap<String, String> {
    let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_end = |event: &Value| matches!(event["event"].as_str(), Some("task.completed" | "task.failed"));
    let order = |event: &Value| event["task_id"].as_str().unwrap_or_default().to_owned();
    events.filter(is_end).map(|event| (order(&event), event["event"].to_string())).collect()
}

#[test]
fn what_a_killed_run_left_the_next_one_resumes() {
    let folder = Folder::new("killed");
    let url = folder.url();
    let undisturbed = ends(&text(&run(&["--json", "--speed", "20"])));

    let mut first = Command::new(program())
        .args(["--json", "--speed", "1", "--store", &url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Killed in the middle, as soon as some orders have ended.
    let mut ended = 0;
    let lines = std::io::BufRead::lines(std::io::BufReader::new(first.stdout.take().unwrap()));
    for line in lines.map_while(Result::ok) {
        ended += ends(&line).len();
        if ended == 10 {
            break;
        }
    }
    first.kill().unwrap();
    first.wait().unwrap();

    let second = text(&run(&["--speed", "20", "--store", &url]));
    assert!(second.contains("that an earlier run left unfinished were resumed"), "{second}");
    let third = text(&run(&["--speed", "20", "--store", &url]));
    assert!(third.contains("\n0 orders in "), "nothing is left to do: {third}");
    let failed = undisturbed.values().filter(|end| end.contains("failed")).count();
    let completed = undisturbed.len() - failed;
    let line = format!("{completed} orders were completed before, {failed} had failed: not run again");
    assert!(third.contains(&line), "the same final results as without the kill, {line}: {third}");

    let errors: Vec<Value> = serde_json::from_str(&text(&run(&["--errors", "--json", "--store", &url]))).unwrap();
    let of_tasks: BTreeMap<&str, &Value> = errors
        .iter()
        .filter(|error| error["step_id"].is_null())
        .filter_map(|error| Some((error["task_id"].as_str()?, error)))
        .collect();
    let expected = undisturbed.iter().filter(|(_, end)| end.contains("failed")).map(|(order, _)| order.as_str());
    assert_eq!(of_tasks.keys().copied().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let table = text(&run(&["--errors", "--store", &url]));
    assert!(table.contains("PaymentError::Declined") && table.contains(&format!("{failed} failed orders")), "{table}");
    assert_eq!(table.lines().count(), errors.len() + 2);
}

#[cfg(unix)]
#[test]
fn a_full_disk_harms_no_order() {
    let folder = Folder::new("full");
    // A file may grow to so many blocks and no further: as a full disk, but for this program alone.
    let script =
        format!("trap '' XFSZ; ulimit -f 160; exec {} --json --speed 20 --store {}", program().display(), folder.url());
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(ends(&text(&output)), ends(&text(&run(&["--json", "--speed", "20"]))));
    assert!(stderr.contains("events could not be stored"), "{stderr}");
    assert!(stderr.contains("full") || stderr.contains("I/O"), "the cause is named: {stderr}");
}

#[test]
fn without_failures_it_says_so() {
    let folder = Folder::new("none");
    let url = folder.url();
    assert!(text(&run(&["--errors", "--store", &url])).contains("holds no failures"));
    assert_eq!(text(&run(&["--errors", "--json", "--store", &url])), "[]\n");
    let bad = Command::new(program()).args(["--store", "mysql://x"]).output().unwrap();
    assert_eq!(bad.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("must begin with `sqlite://`"));
}
