use tasker_telemetry::prelude::*;

#[step(name = charge)]
fn pay() {}

fn main() {}
