use tasker_telemetry::prelude::*;

#[task(correlation_id)]
fn order() {}

fn main() {}
