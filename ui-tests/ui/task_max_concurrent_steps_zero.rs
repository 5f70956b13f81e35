use tasker_telemetry::prelude::*;

#[task(max_concurrent_steps = 0)]
fn order() {}

fn main() {}
