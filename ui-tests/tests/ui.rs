//! Each file under `ui` is named for a rule and breaks it. What the compiler says stands beside it, was read by a person,
//! and is one error at the word that is wrong.
//!
//! The texts are those of one compiler (see `rust-version`); on another only the number of errors is compared by eye.
//! `UI=name` runs the files whose name contains that.

use std::fs;
use std::path::{Path, PathBuf};

/// The files that make more than one mistake, and how many.
const SEVERAL: &[(&str, usize)] = &[
    ("event_five_mistakes", 5),
    ("event_sensitive_cannot_be_masked", 2),
    ("handler_process_elsewhere", 3),
    ("step_fields_mistakes", 6),
    ("step_option_of_another_macro", 2),
    ("step_option_of_task", 2),
    ("step_retry_mut_receiver", 2),
    ("step_several_mistakes", 5),
    ("subscriber_five_mistakes", 5),
    ("subscriber_handler_return", 2),
    ("subscriber_wildcard_in_the_middle", 2),
];

fn cases() -> Vec<PathBuf> {
    let only = std::env::var("UI").unwrap_or_default();
    let mut cases: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("ui"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| path.file_stem().unwrap().to_string_lossy().contains(&only))
        .collect();
    cases.sort();
    cases
}

#[test]
fn every_mistake_is_told_as_it_should_be() {
    let tests = trybuild::TestCases::new();
    for case in cases() {
        tests.compile_fail(case);
    }
}

#[test]
fn one_mistake_is_one_error() {
    let cases = cases();
    assert!(std::env::var("UI").is_ok() || cases.len() >= 40, "only {} mistakes are tested", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_stem().unwrap().to_string_lossy().into_owned();
        let told = fs::read_to_string(case.with_extension("stderr")).unwrap();
        let errors = told.lines().filter(|line| line.starts_with("error")).count();
        let expected = SEVERAL.iter().find(|(several, _)| *several == name).map_or(1, |(_, count)| *count);
        if errors != expected {
            wrong.push(format!("{name}: {errors} errors instead of {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
