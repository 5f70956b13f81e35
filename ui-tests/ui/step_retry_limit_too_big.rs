use tasker_telemetry::prelude::*;

#[step(retry_limit = 4_294_967_296)]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
