use tasker_telemetry::prelude::*;

#[task(skip(card))]
async fn order_process(order: u64, card: &str) {
    let _ = (order, card);
}

fn main() {}
