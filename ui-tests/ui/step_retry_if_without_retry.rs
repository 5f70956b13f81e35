use tasker_telemetry::prelude::*;

fn busy(_: &String) -> bool {
    true
}

#[step(retry_limit = 1, retry_if = busy)]
fn charge() -> Result<(), String> {
    Ok(())
}

fn main() {}
