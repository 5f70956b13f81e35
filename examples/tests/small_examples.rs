//! The small examples, run as programs: each prints what it is there to show.

use std::process::Command;

/// What an example prints. `cargo test` built it, next to the folder of this test.
fn output_of(example: &str) -> String {
    let mut path = std::env::current_exe().unwrap();
    path.pop(); // this test
    path.pop(); // deps
    path.push("examples");
    path.push(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built: run `cargo test -p examples`", path.display());
    let output = Command::new(path).output().unwrap();
    assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn minimal_prints_the_events_of_one_step() {
    let output = output_of("minimal");
    assert!(output.starts_with("Hello, world!\n"), "{output}");
    let events: Vec<_> = output.lines().skip(1).filter_map(|line| line.split(' ').nth(1)).collect();
    let expected = [
        "task.initialize_requested",
        "task.start_requested",
        "step.execution_requested",
        "step.started",
        "step.completed",
        "task.completed",
    ];
    assert_eq!(events, expected);
}

#[test]
fn custom_events_reach_each_kind_of_subscriber_masked() {
    let output = output_of("custom_events");
    for line in [
        "warehouse: TRK-1 (250 g) to [FILTERED]",
        "warehouse: only 3 of TEA-001 left",
        "forklift:  TRK-2",
        "scales:    750 g in all",
        "custom_events::Forklift: 2 published, 1 delivered, 1 filtered, dropped {}",
    ] {
        assert!(output.lines().any(|printed| printed == line), "`{line}` is not in\n{output}");
    }
    assert!(output.contains("did you mean `stock.low`?"), "{output}");
    assert!(!output.contains("Sesame") && !output.contains("forklift:  TRK-1"), "{output}");
}

#[test]
fn async_trait_handlers_are_steps_and_are_retried() {
    let output = output_of("async_trait_handler");
    let expected = "\
pack  attempt 1 completed
label attempt 1 failed: the printer is jammed (async_trait_handler::StageError::Jammed)
label attempt 2 completed
labelled packed tea
";
    assert_eq!(output, expected);
}

#[test]
fn linked_steps_lists_the_steps_and_events_of_the_other_crate() {
    let output = output_of("linked_steps");
    for word in ["invoice.written", "write_invoice", "mail_invoice", "The catalog is sound."] {
        assert!(output.contains(word), "`{word}` is not in\n{output}");
    }
}
