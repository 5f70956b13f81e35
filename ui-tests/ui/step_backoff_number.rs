use tasker_telemetry::prelude::*;

#[step(retry_limit = 3, backoff = 2)]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
