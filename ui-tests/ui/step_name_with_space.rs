use tasker_telemetry::prelude::*;

#[step(name = "charge card")]
fn pay() {}

fn main() {}
