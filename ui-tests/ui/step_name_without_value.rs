use tasker_telemetry::prelude::*;

#[step(name)]
fn pay() {}

fn main() {}
