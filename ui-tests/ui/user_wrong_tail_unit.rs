use tasker_telemetry::prelude::*;

#[step]
fn charge() {
    5
}

fn main() {}
