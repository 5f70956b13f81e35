//! Two worker processes on one `SQLite` file: the same facts as in one process, and one whole trace a task.

mod support;

use std::time::Duration;

use support::{Folder, Worker, count, difference, happened, run, task_ids};
use trace_kit::{Checker, Sink};

#[test]
fn two_processes_tell_what_one_would() {
    let folder = Folder::new("two-processes");
    let backend = format!("sqlite://{}", folder.path("orders.db").display());
    let sink = Sink::start();
    let otlp = sink.endpoint();
    let embedded = run(&["embedded", "--speed", "50"]);

    let mut events = run(&["submit", "--speed", "50", "--backend", &backend, "--otlp", &otlp]);
    assert_eq!(count(&events, "observability.task.enqueue"), 44);
    let args = ["--backend", &backend, "--otlp", &otlp, "--until-idle", "--at-once", "4"];
    let workers = [Worker::start(&folder, "one", &args), Worker::start(&folder, "two", &args)];
    let said = workers.map(Worker::wait);
    assert!(said.iter().all(|events| count(events, "step.completed") > 0), "both had a part in it");
    let shared = task_ids(&said[0]).intersection(&task_ids(&said[1])).count();
    assert!(shared > 0, "no task crossed from one process to the other");
    events.extend(said.into_iter().flatten());

    let differences = difference(&happened(&embedded), &happened(&events));
    assert!(differences.is_empty(), "embedded and distributed differ:\n{}", differences.join("\n"));

    // What only an engine tells: each task is picked up once, and each step that ended well seen to be.
    assert_eq!(count(&events, "observability.task.start"), 44);
    assert_eq!(count(&events, "workflow.task_started"), 44);
    assert_eq!(count(&events, "workflow.task_completed"), 44);

    // 44 roots and every attempt, in whichever process it ran: ids, parents, links, times, attributes.
    let ends = ["step.completed", "step.failed", "task.completed", "task.failed"].map(|end| count(&events, end));
    let spans = sink.wait_for_spans(ends.iter().sum::<usize>() as u64, Duration::from_secs(20));
    let checker = Checker::new().service("shop").resumed(task_ids(&events));
    let report = checker.check(&spans, &events).unwrap_or_else(|mismatches| panic!("{mismatches}"));
    assert_eq!(report.tasks, 44);
}
