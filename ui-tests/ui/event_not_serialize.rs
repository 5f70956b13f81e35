use tasker_telemetry::prelude::*;

#[derive(Event)]
#[event("payment.risk")]
struct Risk {
    amount: u64,
}

fn main() {}
