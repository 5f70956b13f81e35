use tasker_telemetry::prelude::*;

#[step]
async fn charge(n: u8) -> Result<u8, String> {
    n
}

fn main() {}
