//! A file of JSON lines: whole lines, rotation, a crash, a full disk.

use std::fs;
use std::path::PathBuf;

use serde_json::Value as Json;
use tasker_telemetry::prelude::*;
use tasker_telemetry::subscribers::JsonLines;
use tasker_telemetry::testing::block_on;

use super::{books, order};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tasker-json-lines-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn telemetry(lines: JsonLines) -> Telemetry {
    Telemetry::builder().auto_subscribers(false).subscriber(lines).build().unwrap()
}

/// Every line, read as JSON.
fn lines(text: &str) -> Vec<Json> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn every_event_is_a_line_in_order() {
    let folder = Folder::new("order");
    let path = folder.file("events.jsonl");
    let telemetry = telemetry(JsonLines::new(&path).unwrap());
    let _ = block_on(telemetry.scope(order("ORD-1", 4242)));
    telemetry.flush_blocking().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let names: Vec<_> = lines(&text).iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        names,
        [
            "task.initialize_requested",
            "task.start_requested",
            "step.execution_requested",
            "step.started",
            "step.failed",
            "step.retry_requested",
            "step.execution_requested",
            "step.started",
            "step.failed",
            "step.max_retries_reached",
            "task.failed"
        ]
    );
    assert_eq!(books(&telemetry.health(), "JsonLines"), (11, 11, 0, String::new()));
    // Another program goes on where this one ended.
    drop(telemetry);
    let telemetry = self::telemetry(JsonLines::new(&path).unwrap());
    let _ = block_on(telemetry.scope(order("ORD-2", 0)));
    telemetry.flush_blocking().unwrap();
    assert_eq!(lines(&fs::read_to_string(&path).unwrap()).len(), 11 + 6);
}

#[test]
fn no_file_grows_beyond_its_size_and_old_ones_go() {
    let folder = Folder::new("rotation");
    let path = folder.file("events.jsonl");
    let telemetry = telemetry(JsonLines::new(&path).unwrap().max_bytes(2_000).keep(2));
    for number in 0..20 {
        let _ = block_on(telemetry.scope(order(&format!("ORD-{number}"), 0)));
    }
    telemetry.flush_blocking().unwrap();
    assert_eq!(folder.names(), ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]);
    let mut last = Vec::new();
    for name in ["events.jsonl.2", "events.jsonl.1", "events.jsonl"] {
        let text = fs::read_to_string(folder.file(name)).unwrap();
        assert!(!text.is_empty() && text.len() <= 2_000, "{name}: {} bytes", text.len());
        last.extend(lines(&text));
    }
    // What is left is the end of the story, without a gap.
    let ids: Vec<_> =
        last.iter().filter(|line| line["event"] == "task.completed").map(|line| line["task_id"].clone()).collect();
    let wanted: Vec<_> = (20 - ids.len()..20).map(|number| Json::from(format!("ORD-{number}"))).collect();
    assert_eq!(ids, wanted);
    assert_eq!(books(&telemetry.health(), "JsonLines").2, 0);

    let none = Folder::new("rotation-none");
    let telemetry = self::telemetry(JsonLines::new(none.file("e")).unwrap().max_bytes(1).keep(0));
    let _ = block_on(telemetry.scope(order("ORD-1", 0)));
    telemetry.flush_blocking().unwrap();
    assert_eq!(none.names(), ["e"]);
    assert_eq!(
        lines(&fs::read_to_string(none.file("e")).unwrap())[0]["event"],
        "task.completed",
        "one that is larger has a file"
    );
}

#[test]
fn half_a_line_of_a_crash_is_cut_off() {
    let folder = Folder::new("crash");
    for (number, before) in ["", "{\"a\":1}\n", "{\"a\":1}\n{\"event\":\"st", "{\"ev"].into_iter().enumerate() {
        // Longer than what is read from behind at once, too.
        for torn in
            [before.to_owned(), format!("{before}{}", if before.ends_with('\n') { "" } else { "x" }.repeat(10_000))]
        {
            let path = folder.file(&format!("{number}-{}", torn.len()));
            fs::write(&path, &torn).unwrap();
            let telemetry = telemetry(JsonLines::new(&path).unwrap().sync(true));
            let _ = block_on(telemetry.scope(order("ORD-1", 0)));
            telemetry.flush_blocking().unwrap();
            let whole = before.matches('\n').count();
            assert_eq!(lines(&fs::read_to_string(&path).unwrap()).len(), whole + 6, "{torn:.40}");
        }
    }
}

/// A real disk without room: writing to it answers `ENOSPC`.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_counted_and_harms_nobody() {
    let telemetry = telemetry(JsonLines::new("/dev/full").unwrap());
    let result = block_on(telemetry.scope(order("ORD-1", 0)));
    assert_eq!(result.unwrap(), 7, "the task is what it was");
    telemetry.flush_blocking().unwrap();
    let (published, delivered, failed, error) = books(&telemetry.health(), "JsonLines");
    assert_eq!((published, delivered, failed), (6, 6, 6), "each is counted");
    assert!(error.contains("No space left on device"), "{error}");
}

#[test]
fn a_file_that_cannot_be_rotated_is_counted_and_tried_again() {
    let folder = Folder::new("stuck");
    let path = folder.file("events.jsonl");
    fs::create_dir_all(folder.file("events.jsonl.1/in-the-way")).unwrap();
    let telemetry = telemetry(JsonLines::new(&path).unwrap().max_bytes(1_500).keep(1));
    let _ = block_on(telemetry.scope(order("ORD-1", 4242)));
    telemetry.flush_blocking().unwrap();
    let (_, delivered, failed, _) = books(&telemetry.health(), "JsonLines");
    let written = lines(&fs::read_to_string(&path).unwrap()).len() as u64;
    assert!(failed > 0 && written + failed == delivered, "{written} written, {failed} failed of {delivered}");
    fs::remove_dir_all(folder.file("events.jsonl.1")).unwrap();
    let _ = block_on(telemetry.scope(order("ORD-2", 0)));
    telemetry.flush_blocking().unwrap();
    assert_eq!(books(&telemetry.health(), "JsonLines").2, failed, "it goes on");
    assert_eq!(folder.names(), ["events.jsonl", "events.jsonl.1"]);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_at_once() {
    assert!(JsonLines::new("/no/such/folder/events.jsonl").is_err());
}
