use tasker_telemetry::prelude::*;

#[step]
struct Charge;

fn main() {}
