use tasker_telemetry::prelude::*;

#[step("charge")]
fn pay() {}

fn main() {}
