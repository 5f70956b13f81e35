use tasker_telemetry::prelude::*;

#[step(crate = super::telemetry)]
fn charge() {}

fn main() {}
