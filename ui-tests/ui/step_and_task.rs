use tasker_telemetry::prelude::*;

#[task]
#[step]
fn charge() {}

fn main() {}
