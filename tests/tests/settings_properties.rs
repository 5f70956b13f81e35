//! Whatever stands in a file or a variable: it is read, or refused at its place; nothing panics, and what is right beside a
//! mistake is no mistake.
//!
//! `scripts/fuzz-config` runs these for as long as one likes.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use tasker_telemetry::Telemetry;
use tasker_telemetry::settings::{self, Kind, OptionSpec};

/// Pieces of files, well-formed and not.
fn piece() -> impl Strategy<Value = String> {
    let keys: Vec<&'static str> = settings::options().iter().map(|option| option.key).collect();
    prop_oneof![
        select(keys).prop_map(str::to_owned),
        select(vec![
            "[telemetry]",
            "[telemetry.otlp]",
            "[[telemetry]]",
            "=",
            ".",
            "\n",
            "\r\n",
            "\"",
            "'''",
            "\"\"\"",
            "{",
            "}",
            "[",
            "]",
            ",",
            "true",
            "0x1F",
            "-0",
            "1e999",
            "nan",
            "1979-05-27",
            "# c",
            " ",
            "\\u{0}",
            "ä",
            "_",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,8}",
        any::<i64>().prop_map(|number| number.to_string()),
    ]
}

/// No value of that kind.
const fn impossible(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Count(_) | Kind::Share => "[]",
        _ => "-1.5e300",
    }
}

proptest! {
    #[test]
    fn anything_is_read_or_refused_at_its_place(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        if let Err(error) = settings::check(&text) {
            prop_assert!(!error.problems().is_empty());
            let lines = 1 + text.bytes().filter(|byte| *byte == b'\n').count();
            for problem in error.problems() {
                prop_assert!((1..=lines).contains(&problem.line().unwrap()), "{problem} of {lines} lines");
                prop_assert!(!problem.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn the_mistakes_are_those_that_were_made(
        chosen in prop::collection::vec((any::<Index>(), select(vec!['o', 'k', 'v'])), 1..12),
    ) {
        let options = settings::options();
        let mut used: Vec<&OptionSpec> = Vec::new();
        let (mut text, mut wanted) = ("[telemetry]\n".to_owned(), Vec::new());
        for (index, what) in chosen {
            let option = index.get(options);
            if used.iter().any(|other| other.key == option.key) {
                continue;
            }
            used.push(option);
            let (key, value) = match what {
                'k' => (format!("{}_", option.key), option.example),
                'v' => (option.key.to_owned(), impossible(option.kind)),
                _ => (option.key.to_owned(), option.example),
            };
            if what != 'o' {
                wanted.push((used.len() + 1, key.clone()));
            }
            text.extend([&*key, " = ", value, "\n"]);
        }
        let mut found: Vec<_> = match settings::check(&text) {
            Ok(()) => Vec::new(),
            Err(error) => {
                let problems = error.problems().iter();
                problems.map(|problem| (problem.line().unwrap(), problem.key().to_owned())).collect()
            }
        };
        found.sort();
        prop_assert_eq!(found, wanted, "{}", text);
    }

    #[test]
    fn any_variable_is_read_or_refused_by_name(index in any::<Index>(), text in ".{0,40}", standard in any::<bool>()) {
        let option = index.get(settings::options());
        let names = option.standard_variables();
        let name = match names.first() {
            Some(name) if standard => (*name).to_owned(),
            _ => option.variable(),
        };
        if let Err(error) = Telemetry::from_variables([(name.clone(), text)]) {
            for problem in error.problems() {
                prop_assert!(names.iter().any(|name| problem.variable() == Some(name)) || problem.variable() == Some(&name));
            }
        }
    }
}
