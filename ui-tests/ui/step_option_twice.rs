use tasker_telemetry::prelude::*;

#[step(name = "a", retry_limit = 2, name = "b")]
fn charge() {}

fn main() {}
