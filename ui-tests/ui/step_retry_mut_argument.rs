use tasker_telemetry::prelude::*;

#[step(retry_limit = 3)]
async fn charge(items: &mut Vec<u8>) -> Result<(), String> {
    items.push(1);
    Ok(())
}

fn main() {}
