use tasker_telemetry::prelude::*;

struct Order;

#[task(id = order)]
fn process(order: Order) {
    drop(order);
}

fn main() {}
