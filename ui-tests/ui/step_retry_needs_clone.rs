use tasker_telemetry::prelude::*;

struct Cart;

#[step(retry_limit = 3)]
async fn charge(cart: Cart) -> Result<(), String> {
    drop(cart);
    Ok(())
}

fn main() {}
