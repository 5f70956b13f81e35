use tasker_telemetry::prelude::*;

#[step(backoff = "exponential")]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
