use tasker_telemetry::prelude::*;

#[task(retry_limit = 3)]
fn order() {}

fn main() {}
