use tasker_telemetry::prelude::*;

#[step(retry_limit = "3")]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
