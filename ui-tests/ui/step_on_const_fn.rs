use tasker_telemetry::prelude::*;

#[step]
const fn charge() -> u8 {
    1
}

fn main() {}
