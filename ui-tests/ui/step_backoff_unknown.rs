use tasker_telemetry::prelude::*;

#[step(retry_limit = 3, backoff = "exponental")]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
