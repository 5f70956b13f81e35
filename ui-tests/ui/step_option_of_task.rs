use tasker_telemetry::prelude::*;

#[step(id = 7, max_concurrent_steps = 2)]
fn charge() {}

fn main() {}
