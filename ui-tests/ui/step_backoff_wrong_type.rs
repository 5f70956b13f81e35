use tasker_telemetry::prelude::*;

const WAIT: u32 = 3;

#[step(retry_limit = 3, backoff = WAIT)]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
