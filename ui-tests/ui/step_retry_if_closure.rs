use tasker_telemetry::prelude::*;

#[step(retry_limit = 3, retry_if = |_| true)]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
