use tasker_telemetry::prelude::*;

const TRIES: u32 = 0;

#[step(retry_limit = TRIES)]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
