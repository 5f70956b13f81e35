use tasker_telemetry::prelude::*;

#[step(skip(card), err)]
fn charge(card: u64) -> u64 {
    card
}

fn main() {}
