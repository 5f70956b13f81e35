use tasker_telemetry::prelude::*;

#[step(retry_limit = -1)]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
