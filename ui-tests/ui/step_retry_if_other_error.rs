use tasker_telemetry::prelude::*;

fn busy(_: &u8) -> bool {
    true
}

#[step(retry_limit = 3, retry_if = busy)]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
