use tasker_telemetry::prelude::*;

#[task(id = ordr.id)]
fn process(order: u8) -> u8 {
    order
}

fn main() {}
