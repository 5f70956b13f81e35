//! `docs/configuration.md` is what the table of options says; `scripts/bless` writes it anew. The template is a `tasker.toml`.

use std::fs;
use std::path::Path;

use tasker_telemetry::settings::{self, Kind};

#[test]
fn the_page_is_up_to_date() {
    let page = settings::markdown();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(page == written, "docs/configuration.md is out of date: run scripts/bless");
    for option in settings::options() {
        assert!(page.contains(&format!("| `{}`", option.key)), "{} is not on the page", option.key);
        for variable in option.standard_variables() {
            assert!(page.contains(&format!("`{variable}`")), "{variable} is not on the page");
        }
    }
}

#[test]
fn the_template_can_be_used_as_it_is_and_with_every_line() {
    let template = settings::template();
    settings::check(&template).unwrap();
    // Every line `# key = value` is one of an option: uncommented, all of them are what holds anyway.
    let options = settings::options().iter().filter(|option| option.kind != Kind::Text || option.default != "\"\"");
    let (mut all, mut lines) = (String::new(), 0);
    for line in template.lines() {
        let bare = line.strip_prefix("# ").filter(|line| {
            let name = line.split(" = ").next().unwrap_or_default();
            line.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        });
        lines += usize::from(bare.is_some());
        all.push_str(bare.unwrap_or(line));
        all.push('\n');
    }
    assert_eq!(lines, settings::options().len(), "{all}");
    settings::check(&all).unwrap();
    for option in options {
        assert!(all.contains(option.description.split(' ').next().unwrap()), "{}", option.key);
    }
}
