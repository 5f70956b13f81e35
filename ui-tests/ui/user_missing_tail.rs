use tasker_telemetry::prelude::*;

#[step]
fn charge() -> u8 {
    5;
}

fn main() {}
