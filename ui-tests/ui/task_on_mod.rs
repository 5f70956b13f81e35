use tasker_telemetry::prelude::*;

#[task]
mod orders {}

fn main() {}
