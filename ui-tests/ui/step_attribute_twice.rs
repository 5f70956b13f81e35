use tasker_telemetry::prelude::*;

#[step]
#[step]
fn charge() {}

fn main() {}
