use tasker_telemetry::prelude::*;

#[step(retry_limit = 3, retry_if = "is_busy")]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
