use tasker_telemetry::prelude::*;

#[step(fields = cart)]
fn charge(cart: u8) -> u8 {
    cart
}

fn main() {}
