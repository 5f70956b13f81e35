use tasker_telemetry::prelude::*;

#[step(fields(total = crat.total))]
fn charge(cart: u8) -> u8 {
    cart
}

fn main() {}
