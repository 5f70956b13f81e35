use tasker_telemetry::prelude::*;

#[step(retry_limt = 3)]
fn charge() {}

fn main() {}
