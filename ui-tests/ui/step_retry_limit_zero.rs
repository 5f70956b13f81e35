use tasker_telemetry::prelude::*;

#[step(retry_limit = 0)]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
