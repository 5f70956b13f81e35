//! 500 orders, four worker processes, `PostgreSQL` and a real collector: everything agrees; and when workers are killed and the
//! database is restarted, every order ends and no trace is broken. Run by `scripts/test-services`.
#![cfg(feature = "services")]

#[allow(dead_code, unreachable_pub, reason = "shared with the tests of other packages")]
#[path = "../../../tests/src/folder.rs"]
mod folder;
#[allow(dead_code, unreachable_pub, reason = "as above")]
#[path = "../../../tests/src/postgres.rs"]
mod postgres;
#[allow(dead_code, unreachable_pub, unused_imports, reason = "as above")]
#[path = "../../../tests/src/services.rs"]
mod services;
mod support;

/// What `postgres` counts its servers and databases with.
mod store {
    use std::sync::atomic::{AtomicU32, Ordering};

    pub(crate) fn next_number() -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }
}

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use postgres::Postgres;
use serde_json::Value as Json;
use sqlx::PgPool;
use support::{Folder, Worker, count, difference, happened, run, task_ids};
use trace_kit::receivers::Rotel;
use trace_kit::{Checker, ReceivedSpan};

const SOON: Duration = Duration::from_mins(1);

/// So many orders, made of those of the example.
fn write_orders(file: &Path, many: usize) {
    let sample: Vec<Json> = serde_json::from_str(include_str!("../../data/orders.json")).expect("a list");
    let orders = sample.iter().cycle().take(many).zip(1..).map(|(order, number)| {
        let mut order = order.clone();
        order["id"] = format!("ORD-{number:05}").into();
        order["cart_id"] = (80_000 + number).into();
        order
    });
    let text = serde_json::to_string(&orders.collect::<Vec<_>>()).expect("JSON");
    std::fs::write(file, text).expect("the orders");
}

/// What a `SELECT` of names and counts says.
async fn counts(pool: &PgPool, sql: &'static str) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(pool).await.expect("an answer");
    rows.into_iter().collect()
}

/// What a metric's series with that label add up to, over all processes.
fn sum(metrics: &[String], name: &str, label: &str) -> f64 {
    let lines = metrics.iter().flat_map(|text| text.lines());
    let of_series = lines.filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
    of_series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn four_workers_tell_what_one_process_would() {
    let folder = Folder::new("services-apalis");
    let (postgres, rotel) = (Postgres::start(), Rotel::start());
    let (url, otlp) = (postgres.new_database(), rotel.http_endpoint());
    let orders = folder.path("orders.json");
    write_orders(&orders, 500);
    let orders = orders.to_str().expect("a path");

    let embedded = run(&["embedded", "--speed", "50", "--orders", orders]);
    let to = ["--backend", &url, "--store", &url, "--otlp", &otlp];
    let mut events = run(&[&["submit", "--speed", "50", "--orders", orders], to.as_slice()].concat());
    let files: Vec<_> = (0..4).map(|n| folder.path(&format!("{n}.prom"))).collect();
    let workers = files.iter().enumerate().map(|(n, file)| {
        let more = ["--until-idle", "--metrics-out", file.to_str().expect("a path")];
        Worker::start(&folder, &n.to_string(), &[to.as_slice(), &more].concat())
    });
    let workers: Vec<_> = workers.collect();
    let said: Vec<_> = workers.into_iter().map(Worker::wait).collect();
    assert!(said.iter().all(|events| count(events, "step.completed") > 0), "all had a part in it");
    events.extend(said.into_iter().flatten());

    let differences = difference(&happened(&embedded), &happened(&events));
    assert!(differences.is_empty(), "embedded and distributed differ:\n{}", differences.join("\n"));

    let [steps, failures, completed, failed] =
        ["step.completed", "step.failed", "task.completed", "task.failed"].map(|name| count(&events, name));
    assert_eq!(completed + failed, 500);
    let spans = rotel.wait_for_spans(steps + failures + completed + failed, SOON);
    let checker = Checker::new().service("shop").fidelity(Rotel::FIDELITY).resumed(task_ids(&events));
    let report = checker.check(&spans, &events).unwrap_or_else(|mismatches| panic!("{mismatches}"));
    assert_eq!((report.tasks, report.attempts), (500, steps + failures));

    let metrics: Vec<_> = files.iter().map(|file| std::fs::read_to_string(file).expect("the metrics")).collect();
    let exactly = |name: &str, label: &str, told: usize| {
        let sum = sum(&metrics, name, label);
        assert!((sum - f64::from(u32::try_from(told).unwrap())).abs() < 0.5, "{name} {label}: {sum}, told {told}");
    };
    exactly("tasker_task_executions_total", "status=\"success\"", completed);
    exactly("tasker_task_executions_total", "status=\"failure\"", failed);
    exactly("tasker_step_executions_total", "status=\"success\"", steps);
    exactly("tasker_step_retries_total", "step_name", count(&events, "step.retry_requested"));

    let pool = PgPool::connect(&url).await.expect("the database");
    let as_i64 = |number: usize| i64::try_from(number).unwrap();
    let tasks = counts(&pool, "SELECT state, COUNT(*) FROM tasker_tasks GROUP BY state").await;
    assert_eq!(tasks, BTreeMap::from([("complete".into(), as_i64(completed)), ("error".into(), as_i64(failed))]));
    let attempts = counts(&pool, "SELECT state, COUNT(*) FROM tasker_attempts GROUP BY state").await;
    assert_eq!(attempts, BTreeMap::from([("complete".into(), as_i64(steps)), ("error".into(), as_i64(failures))]));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_workers_and_a_restarted_database_lose_no_order() {
    let folder = Folder::new("services-apalis-killed");
    let (postgres, rotel) = (Postgres::start(), Rotel::start());
    let (url, otlp) = (postgres.new_database(), rotel.http_endpoint());
    let orders = folder.path("orders.json");
    write_orders(&orders, 500);
    let to = ["--backend", &url, "--store", &url, "--otlp", &otlp];
    let speed = ["--speed", "2", "--orders", orders.to_str().expect("a path")];
    let mut events = run(&[&["submit"], speed.as_slice(), to.as_slice()].concat());

    let args = [to.as_slice(), &["--until-idle", "--dead-after", "2"]].concat();
    let mut number = 0;
    let mut start = || {
        number += 1;
        Worker::start(&folder, &number.to_string(), &args)
    };
    let mut workers: Vec<_> = (0..4).map(|_| start()).collect();
    let (begin, mut kills) = (Instant::now(), 0);
    while workers.iter_mut().any(Worker::is_running) {
        assert!(begin.elapsed() < Duration::from_mins(5), "the orders do not end");
        std::thread::sleep(Duration::from_secs(2)); // the rhythm of the killing, not a wait for something
        let all_run = workers.iter_mut().all(Worker::is_running);
        if all_run {
            events.extend(workers.remove(0).kill());
            kills += 1;
            workers.push(start());
        }
        if kills == 3 && all_run {
            postgres.stop();
            postgres.restart();
        }
    }
    for worker in workers {
        events.extend(worker.wait());
    }
    assert!(kills > 3, "killed {kills} only");

    // Every order ends, in the store for certain and in the events unless its process died between the two.
    let pool = PgPool::connect(&url).await.expect("the database");
    let tasks = counts(&pool, "SELECT state, COUNT(*) FROM tasker_tasks GROUP BY state").await;
    assert_eq!(tasks.values().sum::<i64>(), 500);
    assert!(tasks.keys().all(|state| state == "complete" || state == "error"), "{tasks:?}");
    let mut ends: HashMap<&str, usize> = HashMap::new();
    for event in &events {
        if event["event"] == "task.completed" || event["event"] == "task.failed" {
            *ends.entry(event["task_id"].as_str().unwrap()).or_default() += 1;
        }
    }
    assert!(ends.values().all(|told| *told == 1), "an end was told twice");
    assert!(ends.len() + 2 * kills >= 500, "{} ends were told", ends.len());

    // Attempts that died are visible: started and never ended.
    let attempts = |names: &[&str]| -> BTreeSet<(String, u64)> {
        let of = events.iter().filter(|event| names.contains(&event["event"].as_str().unwrap()));
        of.map(|event| (event["step_id"].to_string(), event["attempt_number"].as_u64().unwrap())).collect()
    };
    let (started, ended) = (attempts(&["step.started"]), attempts(&["step.completed", "step.failed"]));
    assert!(ended.is_subset(&started), "an attempt ended that nobody saw begin");
    assert!(started.len() > ended.len(), "no attempt died: the test killed nothing");

    // Whatever arrived stands in its task's one trace, below its task's one root.
    let whole = |spans: &[ReceivedSpan]| spans.iter().filter(|span| span.name == "tasker.task.execution").count() > 0;
    services::wait_for("spans", || if whole(&rotel.spans()) { Ok(()) } else { Err("none yet".to_owned()) });
    let mut traces: HashMap<String, BTreeSet<String>> = HashMap::new();
    let mut roots: HashMap<String, BTreeSet<String>> = HashMap::new();
    for span in rotel.spans() {
        let trace = traces.entry(span.trace_id.clone()).or_default();
        if span.name == "tasker.task.execution" {
            trace.insert(span.span_id.clone());
            roots.entry(span.trace_id).or_default().insert(span.span_id);
        } else {
            assert!(!span.parent_span_id.is_empty(), "a step without a parent");
            trace.insert(span.parent_span_id);
        }
    }
    assert!(traces.values().all(|roots| roots.len() == 1), "a trace has steps below several roots");
    assert!(traces.len() <= 500 && roots.len() <= 500, "{} traces", traces.len());
}
