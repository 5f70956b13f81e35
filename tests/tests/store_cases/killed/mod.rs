//! Atomic for real: a process is killed with SIGKILL in the middle of its work, at moments that a seed decides. Whatever the moment,
//! nothing in the database is half, what was seen from outside is there, and another process brings every task to the end that it
//! would have come to.

#[path = "../audit.rs"]
mod audit;
mod between;
mod worker;

use std::collections::{BTreeMap, HashSet};
use std::env;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use integration_tests::folder::Folder;
use integration_tests::store::Database;

use self::audit::{audit, outcomes};
use self::worker::{AHEAD, ENDED, LEDGER, ORDERS, ROLE, SEEN, URL};

/// When a process is killed.
#[derive(Debug, Clone, Copy)]
struct Moment {
    /// After so many events were seen from outside; 0: since it was started.
    events: usize,
    /// And so much later, so that no kill falls together with what was just seen.
    later: Duration,
    /// While it waits for this table, or between two of its transactions.
    between: Option<&'static str>,
}

/// What a transaction writes, in an order that is none of its own.
const TABLES: [&str; 5] = ["tasker_errors", "tasker_transitions", "tasker_steps", "tasker_attempts", "tasker_tasks"];

/// What was seen of a process.
#[derive(Debug, Default)]
struct Seen {
    events: Vec<String>,
    last_word: String,
    was_killed: bool,
}

fn number(seed: u64, of: u64, below: u64) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((seed, of)) % below
}

/// One of ten moments is in the start of the process, when tables are made; all others are in mid-run, before the last tasks
/// have been begun, and two of three of these while the database is held.
fn moment(seed: u64, kill: u64, all_events: usize) -> Moment {
    if kill.is_multiple_of(10) {
        return Moment { events: 0, later: Duration::from_micros(number(seed, kill, 80_000)), between: None };
    }
    let share = (ORDERS - AHEAD as u64) * 9 / 10;
    let most = all_events as u64 * share / ORDERS;
    let events = usize::try_from(1 + number(seed, kill, most)).expect("a few thousand");
    let table = TABLES[usize::try_from(kill / 2).expect("a few") % TABLES.len()];
    let between = (!kill.is_multiple_of(3)).then_some(table);
    Moment { events, later: Duration::from_micros(number(seed, kill + 1_000, 3_000)), between }
}

/// Runs a process in that role, to its end or to that moment.
fn watch(role: &str, url: &str, ledger: &Path, kill_at: Option<Moment>) -> Seen {
    let name =
        format!("{}::role", module_path!().split_once("::").expect("a module of a test").1.to_owned() + "::worker");
    let mut child = Command::new(env::current_exe().expect("this program"))
        .args([&name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(URL, url)
        .env(LEDGER, ledger)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let mut confirm = child.stdin.take().expect("it is piped");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let (mut seen, mut line, mut is_dead) = (Seen::default(), String::new(), false);
    loop {
        if let Some(moment) = kill_at
            && !is_dead
            && seen.events.len() == moment.events
        {
            let reached = Instant::now();
            while reached.elapsed() < moment.later {
                std::hint::spin_loop();
            }
            let held = moment.between.map(|table| between::hold(url, table));
            child.kill().expect("SIGKILL");
            child.wait().expect("it ends");
            drop(held);
            is_dead = true;
        }
        line.clear();
        // What it had written before it died is read to the end: that was seen, too.
        if output.read_line(&mut line).expect("text") == 0 {
            break;
        }
        // The harness writes the test's name before the first.
        let Some(whole) = line.strip_suffix('\n') else { continue };
        if let Some((_, event)) = whole.split_once(SEEN) {
            let (event_id, name) = event.split_once(' ').expect("an event's id and name");
            seen.events.push(event_id.to_owned());
            if ["task.completed", "task.failed"].contains(&name) && !is_dead {
                let _ = confirm.write_all(b".");
            }
        } else if let Some((_, word)) = whole.split_once(ENDED) {
            word.clone_into(&mut seen.last_word);
        }
    }
    let status = child.wait().expect("it ends");
    seen.was_killed = status.signal() == Some(9);
    assert!(seen.was_killed || status.success(), "{role}: {status}");
    seen
}

/// What the work itself left: each order's total, which must be the same however often it was written down.
fn totals(ledger: &Path) -> BTreeMap<u64, u64> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    let mut totals = BTreeMap::new();
    for line in text.lines() {
        let (order, total) = line.split_once(' ').expect("two numbers");
        let (order, total) = (order.parse().expect("a number"), total.parse().expect("a number"));
        assert_eq!(*totals.entry(order).or_insert(total), total, "order {order}");
    }
    totals
}

async fn ids(database: &Database) -> HashSet<String> {
    let found = database.reader().texts("SELECT event_id FROM tasker_transitions").await;
    found.expect("the database answers").into_iter().collect()
}

/// Kills so many processes at moments that `seed` decides, each in a database of its own.
pub(super) async fn killed_at_random_moments(database: fn() -> Database, kills: u64, seed: u64) {
    let folder = Folder::new(&format!("ledgers-{seed:x}-{kills}"));
    let ledger = |name: &str| folder.path().join(name);

    let undisturbed = database();
    let whole = watch("begins", undisturbed.url(), &ledger("undisturbed"), None);
    assert_eq!(whole.last_word, "waiting 0 lost 0 up true");
    assert_eq!(audit(&undisturbed.reader()).await, [""; 0]);
    let (expected, expected_totals) = (outcomes(&undisturbed.reader()).await, totals(&ledger("undisturbed")));
    // Of 10 orders 1 fails in its first step, 1 in its second after three attempts, 1 by a panic; 1 more needs three attempts.
    assert_eq!(expected_totals.len(), 350);
    assert_eq!(expected.iter().filter(|line| line.split(' ').nth(1) == Some("error")).count(), 150);

    let (mut mid_run, mut in_progress) = (0, 0);
    for kill in 0..kills {
        let moment = moment(seed, kill, whole.events.len());
        let (database, ledger) = (database(), ledger(&kill.to_string()));
        let reader = database.reader();
        let context = format!("seed {seed:#x}, kill {kill} at {moment:?}");

        let first = watch("begins", database.url(), &ledger, Some(moment));
        assert!(first.was_killed, "{context}");
        // A process may die before there is a table.
        let begun = reader.number("SELECT count(*) FROM tasker_tasks", &[]).await;
        if let Ok(begun) = begun {
            assert_eq!(audit(&reader).await, [""; 0], "{context}");
            let rows = ids(&database).await;
            let missing: Vec<_> = first.events.iter().filter(|id| !rows.contains(*id)).collect();
            assert!(missing.is_empty(), "{context}: seen, but not in the store: {missing:?}");
            let open = "SELECT count(*) FROM tasker_tasks WHERE state IN ('pending', 'in_progress')";
            let open = reader.number(open, &[]).await.expect("the database answers");
            mid_run += u64::from(begun > 0 && (open > 0 || begun < i64::try_from(ORDERS).expect("a few hundred")));
            in_progress += open;
        } else {
            assert!(first.events.is_empty(), "{context}: seen, but there are no tables");
        }

        let second = watch("resumes", database.url(), &ledger, None);
        assert_eq!(second.last_word, "waiting 0 lost 0 up true", "{context}");
        assert_eq!(audit(&reader).await, [""; 0], "{context}, after all was resumed");
        let rows = ids(&database).await;
        let missing: Vec<_> = first.events.iter().chain(&second.events).filter(|id| !rows.contains(*id)).collect();
        assert!(missing.is_empty(), "{context}: seen, but not in the store: {missing:?}");
        assert_eq!(outcomes(&reader).await, expected, "{context}");
        assert_eq!(totals(&ledger), expected_totals, "{context}");
    }
    // Otherwise the moments would prove nothing.
    assert!(mid_run * 10 >= kills * 8, "only {mid_run} of {kills} kills were in mid-run");
    assert!(in_progress >= i64::try_from(mid_run).expect("a few"), "only {in_progress} tasks were left in progress");
    println!("{kills} kills, {mid_run} in mid-run; {in_progress} tasks were left in progress and resumed");
}
