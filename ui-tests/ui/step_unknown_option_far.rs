use tasker_telemetry::prelude::*;

#[step(color = "red")]
fn charge() {}

fn main() {}
