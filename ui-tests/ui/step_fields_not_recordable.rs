use tasker_telemetry::prelude::*;

struct Cart;

#[step(fields(cart))]
fn charge(cart: Cart) {
    drop(cart);
}

fn main() {}
