use tasker_telemetry::prelude::*;

#[step(retry_limit = 3)]
async fn charge<T>(cart: T) -> Result<(), String> {
    drop(cart);
    Ok(())
}

fn main() {}
