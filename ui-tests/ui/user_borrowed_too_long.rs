use tasker_telemetry::prelude::*;

#[step]
fn charge<'a>() -> &'a str {
    let text = String::new();
    &text
}

fn main() {}
