use tasker_telemetry::prelude::*;

#[task(id)]
fn order() {}

fn main() {}
