use tasker_telemetry::prelude::*;

#[step(crate = "telemetry")]
fn charge() {}

fn main() {}
