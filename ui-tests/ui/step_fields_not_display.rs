use tasker_telemetry::prelude::*;

#[derive(Debug)]
struct Cart;

#[step(fields(cart = %cart))]
fn charge(cart: Cart) {
    drop(cart);
}

fn main() {}
