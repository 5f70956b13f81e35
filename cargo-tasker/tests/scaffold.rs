//! A fresh cargo project becomes one with telemetry, and everything that is written into it compiles without a warning and passes
//! its tests.

mod support;

use support::{Project, checkout};

/// What `cargo new` makes.
fn fresh(name: &str, library: bool) -> Project {
    let project = Project::new(name);
    project.write(
        "Cargo.toml",
        &format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n"
        ),
    );
    if library {
        project.write("src/lib.rs", "//! A shop.\n#![forbid(unsafe_code)]\n#![warn(missing_docs, unreachable_pub)]\n\npub fn add(left: u64, right: u64) -> u64 {\n    left + right\n}\n");
        project.replace("src/lib.rs", "pub fn", "/// Adds.\npub fn");
    } else {
        project.write("src/main.rs", "fn main() {\n    println!(\"Hello, world!\");\n}\n");
    }
    project
}

fn init(project: &Project) {
    let library = checkout().join("tasker-telemetry");
    let ran = project.tasker(&["init", "--library", library.to_str().unwrap()]).ok();
    assert!(ran.out.contains("wrote tasker.toml") && ran.out.contains("wrote src/tasks/hello.rs"), "{}", ran.out);
}

#[track_caller]
fn is_clean(project: &Project, tests: usize) {
    let tested = project.cargo(&["test", "-q"]).ok();
    let passed: usize = tested
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse::<usize>().ok())
        .sum();
    assert_eq!(passed, tests, "{}", tested.out);
    // Of this project; what a library elsewhere says is its own business.
    assert!(!tested.err.contains("--> src/"), "{}", tested.err);
    project.cargo(&["clippy", "-q", "--all-targets", "--", "-D", "warnings"]).ok();
    project.cargo(&["fmt", "--check"]).ok();
}

#[test]
fn a_library_grows() {
    let project = fresh("shop", true);
    init(&project);
    let settings = project.read("tasker.toml");
    assert!(settings.contains("\nservice_name = \"shop\"\n") && settings.contains("[telemetry.otlp]"), "{settings}");
    // Again is no change, and no error.
    assert!(project.tasker(&["init"]).ok().out.contains("all there"));

    let event =
        ["new", "event", "payment.risk_flagged", "payment_id:String", "score:Option<f64>", "card:String:sensitive"];
    let dry = project.tasker(&[&event[..], &["--dry-run"]].concat()).ok();
    assert!(
        dry.out.contains("+++ b/src/events/risk_flagged.rs") && dry.out.contains("+pub mod risk_flagged;"),
        "{}",
        dry.out
    );
    assert!(!project.path("src/events").exists());
    project.tasker(&event).ok();

    project.tasker(&["new", "subscriber", "OnCall"]).ok();
    project
        .tasker(&[
            "new",
            "subscriber",
            "billing",
            "--metrics",
            "--events",
            "task.failed",
            "step.completed",
            "payment.risk_flagged",
            "workflow.*",
        ])
        .ok();
    let billing = project.read("src/subscribers/billing.rs");
    assert!(billing.contains("event: &crate::events::risk_flagged::RiskFlagged"), "{billing}");
    assert!(billing.contains("event: &event::step::Completed"), "{billing}");

    let unknown = project.tasker(&["new", "subscriber", "x", "--events", "payment.risk_flaged"]).ended(2);
    assert!(unknown.err.contains("did you mean `payment.risk_flagged`?"), "{}", unknown.err);
    let unknown = project.tasker(&["new", "subscriber", "x", "--events", "task.complete"]).ended(2);
    assert!(unknown.err.contains("did you mean `task.completed`?"), "{}", unknown.err);
    assert!(!project.path("src/subscribers/x.rs").exists());

    project.tasker(&["new", "step", "charge"]).ok();
    project.tasker(&["new", "step", "fetch_user", "--api"]).ok();
    assert!(project.read("Cargo.toml").contains("features = [\"api\"]"), "{}", project.read("Cargo.toml"));
    project.tasker(&["new", "task", "RefundProcess", "--path", "src/flows/refund.rs"]).ok();
    assert_eq!(project.read("src/flows.rs"), "//! Flows of this crate.\n\npub mod refund;\n");

    // What somebody wrote stays, unless told otherwise; then it is the template again.
    project.replace("src/steps/charge.rs", "Ok(input)", "Ok(input + \"!\")");
    let mine = project.read("src/steps/charge.rs");
    let refused = project.tasker(&["new", "step", "charge"]).ended(2);
    assert!(refused.err.contains("--force"), "{}", refused.err);
    assert_eq!(project.read("src/steps/charge.rs"), mine);
    let forced = project.tasker(&["new", "step", "charge", "--force", "--format", "json"]).ok().json();
    assert_eq!(forced["written"], serde_json::json!(["src/steps/charge.rs"]));
    assert!(!project.read("src/steps/charge.rs").contains("\"!\""));

    is_clean(&project, 2 + 2 + 3 + 3 + 2 + 2 + 2);
    let catalog = project.tasker(&["catalog", "--format", "json"]).ok().json();
    let steps: Vec<_> =
        catalog["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(steps, ["charge", "fetch_user", "hello_first", "refund_process_first"]);
    let lib = project.read("src/lib.rs");
    assert!(
        lib.contains("pub mod events;\npub mod flows;\npub mod steps;\npub mod subscribers;\npub mod tasks;\n"),
        "{lib}"
    );
    assert!(lib.contains("pub fn add(left: u64, right: u64)"));
}

#[test]
fn a_program_grows_in_its_own_style() {
    let project = fresh("kiosk", false);
    // This project likes `mod.rs`.
    project.write("src/desk/mod.rs", "pub fn greet() -> &'static str {\n    \"hello\"\n}\n");
    project.write("src/main.rs", "mod desk;\n\nfn main() {\n    println!(\"{}\", desk::greet());\n}\n");
    init(&project);
    assert!(project.path("src/tasks/mod.rs").exists());
    project.tasker(&["new", "step", "FetchCart"]).ok();
    project.tasker(&["new", "event", "cart.emptied"]).ok();
    project.tasker(&["new", "event", "cart.moved", "to:std::path::PathBuf"]).ok();
    project.tasker(&["new", "subscriber", "everything", "--events", "*", "cart.emptied"]).ok();
    is_clean(&project, 2 + 2 + 2 + 1 + 1);
    assert!(project.read("src/main.rs").starts_with("mod desk;\nmod events;\nmod steps;\n"));
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_written() {
    let project = fresh("empty", true);
    let without = project.tasker(&["new", "step", "charge"]).ended(2);
    assert!(without.err.contains("cargo tasker init"), "{}", without.err);
    init(&project);
    for (arguments, says) in [
        (&["new", "step", "fn"][..], "word of the language"),
        (&["new", "step", "../../x"], "letters"),
        (&["new", "step", "x", "--path", "../x.rs"], "under"),
        (&["new", "step", "x", "--path", "src/x.txt"], "`.rs` file"),
        (&["new", "event", "task.done"], "the library's own"),
        (&["new", "event", "done"], "namespace"),
        (&["new", "event", "a.b", "x"], "name:type"),
        (&["new", "event", "a.b", "x:Vec<"], "type"),
        (&["new", "event", "a.b", "task_id:u64"], "every event has"),
        (&["new", "event", "a.b", "x:u8", "x:u8"], "more than once"),
        (&["new", "subscriber", "A", "--events", "task.failed", "task.failed"], "more than once"),
        (&["new", "subscriber", "Tasker", "--metrics"], "another name"),
        (&["init", "--library", "src"], "no package"),
    ] {
        let refused = project.tasker(arguments).ended(2);
        assert!(refused.err.contains(says), "{arguments:?}: {}", refused.err);
    }
    let left: Vec<_> =
        std::fs::read_dir(project.path("src")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}"); // lib.rs, tasks.rs, tasks
}
