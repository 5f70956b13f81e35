use tasker_telemetry::prelude::*;

#[step(fields())]
fn charge() {}

fn main() {}
