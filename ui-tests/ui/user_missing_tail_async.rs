use tasker_telemetry::prelude::*;

#[step]
async fn charge() -> u8 {
    5;
}

fn main() {}
