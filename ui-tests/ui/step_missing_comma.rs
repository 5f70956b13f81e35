use tasker_telemetry::prelude::*;

#[step(name = "a" retry_limit = 2)]
fn charge() {}

fn main() {}
