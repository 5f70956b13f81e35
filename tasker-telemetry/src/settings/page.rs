//! What is written of the options: `docs/configuration.md`, and a `tasker.toml` to begin with.

use std::fmt::Write as _;

use super::options;
use super::spec::OptionSpec;

const INTRODUCTION: &str = "\
<!-- Generated from the table of options; `scripts/bless` writes it anew. -->
# Configuration

Every option of a telemetry. From weak to strong, a value is taken from

1. the default;
2. `tasker.toml`, section `[telemetry]` (feature `config`, on by default): the file that `TASKER_TELEMETRY__CONFIG_FILE` names, else the one
   where the program was started, or the one that code names;
3. environment variables `TASKER_TELEMETRY__..`: the key in capitals, with `__` for each dot;
4. OpenTelemetry's variables, where the table names one;
5. code: the methods of `Builder`, and `Builder::option(key, value)` for options that have none. Only `OTEL_SDK_DISABLED=true` is stronger.

| | file | `TASKER_TELEMETRY__..` | `OTEL_..` |
| --- | --- | --- | --- |
| `Telemetry::from_env()` | if there is one | yes | yes |
| `Telemetry::from_file(path)` | that one | yes | yes |
| `Telemetry::builder().config_file(path)` | that one | no | with an OTLP exporter only |
| `Telemetry::builder()` | no | no | with an OTLP exporter only |

Of two options for one thing, such as `otlp.endpoint` and `otlp.traces.endpoint`, the more special one holds, wherever it was said.

`settings::template()` is a `tasker.toml` with everything in it, commented out. `telemetry.settings()` tells what is in force and
where it came from; secrets are masked. `telemetry.reload()` reads the sources again: what is marked ↻ takes effect, the rest is
refused with a reason. Rules of the filter can be added, never taken away: what a program masks it goes on masking.

## How values are written

| type | in `tasker.toml` | in a variable |
| --- | --- | --- |
| flag | `true` | `true`, `false`, also `1`, `0`, `on`, `off`, `yes`, `no` |
| text, word | `\"shop\"` | `shop` |
| number, share | `200_000`, `0.1` | the same |
| time | `\"250ms\"`, `\"5s\"`, `\"2m\"`, `\"24h\"`, or a number of seconds | the same, without quotes |
| list | `[\"a\", \"b\"]` | `a,b`; with commas inside as JSON: `[\"/a{1,2}/\"]` |
| pairs | `{ name = \"value\" }` | `name=value,other=value`, percent-encoded; or as JSON |

OpenTelemetry's variables are written as OpenTelemetry says: times in milliseconds.

## What is refused

Unknown keys, wrong types and impossible values are errors, all of them at once, with file, line, key and the nearest valid key. So are
unknown variables `TASKER_TELEMETRY__..`. Sections of `tasker.toml` other than `[telemetry]` are left to other tools.

```text
tasker.toml:3: `servce_name` is no option; did you mean `service_name`?
tasker.toml:4: `sampling.ratio` must be a number from 0 to 1
TASKER_TELEMETRY__OTLP__COMPRESSION: `otlp.compression` must be one of `none`, `gzip`
```
";

/// The reference of all options, as `docs/configuration.md` has it.
#[must_use]
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (section, option) in by_section() {
        if let Some(section) = section {
            let _ = write!(
                page,
                "\n## `[{section}]`\n\n| option | type, unit | default | what it does | variables |\n| --- | --- | --- | --- | --- |\n"
            );
        }
        let live = if option.is_reloadable() { " ↻" } else { "" };
        let unit = if option.unit.is_empty() { String::new() } else { format!(", {}", option.unit) };
        let mut variables = vec![format!("`{}`", option.variable())];
        variables.extend(option.standard_variables().iter().map(|name| format!("`{name}`")));
        let _ = writeln!(
            page,
            "| `{}`{live} | {}{unit} | `{}` | {} | {} |",
            option.key,
            option.kind.name(),
            option.default,
            description(option),
            variables.join(", "),
        );
    }
    page
}

/// A `tasker.toml` with every option in it, commented out, with its description, type, default and variables.
///
/// ```
/// let template = tasker_telemetry::settings::template();
/// assert!(template.contains("# service_name = \"tasker\""));
/// ```
#[must_use]
pub fn template() -> String {
    let mut out = String::from(
        "# Settings of tasker-telemetry. Everything is commented out and shows its default.\n\
         # Environment variables are stronger than this file, code is stronger than both.\n\n",
    );
    for (section, option) in by_section() {
        if let Some(section) = section {
            let _ = writeln!(out, "[{section}]\n");
        }
        for line in wrapped(&description(option)) {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "# Must be {}. {}", option.kind.expects(), option.variable());
        for name in option.standard_variables() {
            let _ = writeln!(out, "# or {name}");
        }
        let _ = writeln!(out, "# {} = {}\n", name_in_section(option), option.default);
    }
    out
}

fn description(option: &OptionSpec) -> String {
    let secret = if option.secret { " Shown nowhere." } else { "" };
    let feature = match option.one_of_its_features() {
        none if none.is_empty() => none,
        one => format!(" Feature {one}."),
    };
    let choices = match option.kind {
        super::Kind::Choice(words) | super::Kind::Choices(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            format!(" {}.", words.join(", "))
        }
        _ => String::new(),
    };
    format!("{}{choices}{secret}{feature}", option.description)
}

/// The options section by section; the first of each with the section's title, since TOML has each section once.
fn by_section() -> Vec<(Option<String>, &'static OptionSpec)> {
    let mut sections: Vec<&str> = Vec::new();
    for option in options() {
        if !sections.contains(&section_of(option)) {
            sections.push(section_of(option));
        }
    }
    let mut all = Vec::new();
    for section in sections {
        let dot = if section.is_empty() { "" } else { "." };
        let mut title = Some(format!("telemetry{dot}{section}"));
        for option in options().iter().filter(|option| section_of(option) == section) {
            all.push((title.take(), option));
        }
    }
    all
}

/// `otlp.traces` of `otlp.traces.endpoint`.
fn section_of(option: &OptionSpec) -> &'static str {
    option.key.rsplit_once('.').map_or("", |(section, _)| section)
}

fn name_in_section(option: &OptionSpec) -> &'static str {
    option.key.rsplit_once('.').map_or(option.key, |(_, name)| name)
}

/// Lines of at most some hundred characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 110 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
